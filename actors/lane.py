"""Lane: gathers the slices of its keys into batches, commits one batch at a time, and then answers each slice.

Ordering rule: a key has one slice at a time in the lane, so its slices are committed in the order in which they were
sealed; one batch is in flight at a time. Slices of different keys have no order. The small ones are committed in the
order in which they arrived, and so are the large ones, each in a batch of its own. Both take turns: a small slice waits
for one large slice at most, and a large one for one batch of small ones before each large one that came earlier.

While the batch in flight is overdue, the lane refuses new slices at once, so the number of waiting slices is bounded.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from greenroom.actors.runtime.entity import Entity
from greenroom.actors.slices import AwaitWrites, CommitSlice, SliceLate, SliceRefused, SliceStored, WritesDone
from greenroom.persistence.store import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thespian.actors import WakeupMessage

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.replies import Failed, Piped
    from greenroom.actors.world import World

__all__ = ["Lane", "LaneQueue", "WaitingSlices"]

log = logging.getLogger("greenroom.persistence")

_GATHER: Final = "gather"
_CHECK: Final = "check"
_CHECKS: Final = 5
"""Number of checks for overdue slices within write_timeout_s. A slice is overdue once it has waited for all but one of
these intervals, so no sender waits longer than write_timeout_s."""
_LARGE_WEIGHT: Final = 256
"""A slice above this weight (see `CommitSlice.weight`) is large. The writer takes about 10 microseconds for a unit."""
_BATCH_WEIGHT: Final = 16 * _LARGE_WEIGHT
"""Bound of a batch of small slices, whose number is also bounded: by `store.batch_slices`."""
_SLOW: Final = Refusal(Reason.FAILED, "the store is slow")


class WaitingSlices:
    """Slices for the next batches: small and large ones, each in the order in which they arrived."""

    def __init__(self) -> None:
        self._small: deque[CommitSlice] = deque()
        self._large: deque[CommitSlice] = deque()
        self._is_large_next = False
        """Whether the last batch was one of small slices."""

    def __len__(self) -> int:
        return len(self._small) + len(self._large)

    def add(self, each: CommitSlice) -> None:
        (self._large if each.weight > _LARGE_WEIGHT else self._small).append(each)

    def take_batch(self, limit: int) -> list[CommitSlice]:
        """Take the slices of the next batch: one large slice, or at most `limit` small ones."""
        small, large = self._small, self._large
        if large and (self._is_large_next or not small):
            self._is_large_next = False
            return [large.popleft()]
        self._is_large_next = True
        batch: list[CommitSlice] = []
        weight = 0
        while small and len(batch) < limit:
            weight += small[0].weight
            if weight > _BATCH_WEIGHT:
                break
            batch.append(small.popleft())
        return batch

    def remove(self, is_removed: Callable[[CommitSlice], bool]) -> list[CommitSlice]:
        """Remove the slices for which this is true, and return them."""
        removed = [each for queue in (self._small, self._large) for each in queue if is_removed(each)]
        if removed:
            self._small = deque(each for each in self._small if not is_removed(each))
            self._large = deque(each for each in self._large if not is_removed(each))
        return removed


class LaneQueue:
    """The unanswered slices of a lane. It outlives a crash of the lane, so that no slice is lost."""

    def __init__(self) -> None:
        self.waiting = WaitingSlices()
        self.batch: list[CommitSlice] = []
        """Slices of the batch in flight, in order."""
        self.batch_count = 0
        """Number of batches so far, including the one in flight."""
        self.batch_started_at = 0.0
        """When the batch in flight was passed to the store, on the loop's clock."""
        self.is_stuck = False
        """Whether the batch in flight is overdue."""
        self.owners: set[Address] = set()
        """Entities that have a slice in the batch in flight or in `waiting`."""
        self.awaiting: dict[Address, int] = {}
        """Entities that wait for the answer to their slice, each with the incarnation that asked last."""
        self.failed_count = 0
        """Number of slices that were refused because the store failed or was slow, since it last committed one."""
        self.is_failure_logged = False
        """Whether a log line told of a failure since the store last committed a slice."""


class Lane(Entity):
    """Answers each slice once, with SliceStored or SliceRefused; SliceLate may be sent before that, several times.

    After a crash, the batch that was in flight counts as failed: its owners load again, and so find out what was
    committed. If the lane crashes before it has noted a slice or an AwaitWrites, the owner gets Failed.
    """

    stash_limit = 1_000_000

    def __init__(self, world: World, queue: LaneQueue) -> None:
        super().__init__()
        self.world = world
        self.queue = queue
        self._is_gathering = False
        self._is_check_due = False
        self._check_at = 0.0
        self._has_skipped_check = False
        self._has_answered = False
        """Whether slices have been answered in this turn."""

    def on_start(self) -> None:
        if self.queue.batch:
            self._answer([Refusal(Reason.FAILED, "the lane crashed")] * len(self.queue.batch))

    def may_sleep(self) -> bool:
        return False

    def receiveMsg_CommitSlice(self, message: CommitSlice, sender: Address) -> None:
        if self.queue.is_stuck:
            self.queue.failed_count += 1
            self.send(message.owner, SliceRefused(message.number, message.items, _SLOW))
            return
        self.queue.waiting.add(message)
        self.queue.owners.add(message.owner)

    def receiveMsg_AwaitWrites(self, message: AwaitWrites, sender: Address) -> None:
        if message.owner in self.queue.owners:
            self.queue.awaiting[message.owner] = message.incarnation
        else:
            self.send(message.owner, WritesDone(message.incarnation))

    def on_turn_end(self) -> bool:
        queue, settings = self.queue, self.world.settings.store
        if self._has_answered:
            # First the owners take their turns: what they have decided meanwhile then joins the next batch.
            self._has_answered = False
            return True
        if queue.batch or not queue.waiting:
            return False
        if settings.batch_interval_ms > 0 and len(queue.waiting) < settings.batch_slices:
            if not self._is_gathering:
                self._is_gathering = True
                self.wakeupAfter(settings.batch_interval_ms / 1000, _GATHER)
            return False
        self._commit()
        return False

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        if message.payload == _GATHER:
            self._is_gathering = False
            if self.queue.waiting and not self.queue.batch:
                self._commit()
            return
        self._is_check_due = False
        if self.queue.batch:
            # After a check that came late itself, because the process was stopped or the loop was busy, the store's
            # answer may not have been read yet.
            is_late = self.runtime.now - self._check_at > self._check_interval_s
            self._has_skipped_check = is_late and not self._has_skipped_check
            if not self._has_skipped_check:
                self._check_overdue()
            self._check_later()

    def _check_later(self) -> None:
        """Start the timer of the checks, unless it is already running. All batches share it."""
        if not self._is_check_due:
            self._is_check_due = True
            self._check_at = self.runtime.now + self._check_interval_s
            self.wakeupAfter(self._check_interval_s, _CHECK)

    @property
    def _check_interval_s(self) -> float:
        return self.world.settings.store.write_timeout_s / _CHECKS

    def _check_overdue(self) -> None:
        """Send SliceLate to the owners of overdue slices in flight. Overdue slices that still wait (all of them, if the
        batch is overdue) are refused: they will not be stored."""
        queue = self.queue
        limit = self.runtime.now - self.world.settings.store.write_timeout_s * (_CHECKS - 1) / _CHECKS
        if queue.batch_started_at <= limit and not queue.is_stuck:
            queue.is_stuck = True
            queue.is_failure_logged = True
            log.error("the store does not answer a commit of %d slices: sends are refused", len(queue.batch))
        for each in queue.batch:
            if each.decided_at <= limit:
                self.send(each.owner, SliceLate(each.number, each.items))
        for each in queue.waiting.remove(lambda each: queue.is_stuck or each.decided_at <= limit):
            self._refuse(each, _SLOW)

    def _commit(self) -> None:
        queue, settings = self.queue, self.world.settings.store
        queue.batch = queue.waiting.take_batch(settings.batch_slices)
        queue.batch_count += 1
        queue.batch_started_at = self.runtime.now
        self._check_later()
        self.pipe(self.world.store.commit([each.slice for each in queue.batch]))

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        if message.error is not None:
            self._answer([Refusal(Reason.FAILED, type(message.error).__name__)] * len(self.queue.batch))
        else:
            self._answer(message.value)

    def _answer(self, outcomes: Sequence[Refusal | None]) -> None:
        queue = self.queue
        if len(outcomes) != len(queue.batch):
            raise ValueError("there must be one outcome for each slice")
        batch, queue.batch = queue.batch, []
        queue.is_stuck = False
        self._has_answered = True
        self.world.commits.tell()
        for each, refusal in zip(batch, outcomes, strict=True):
            if refusal is None:
                self.send(each.owner, SliceStored(each.number, each.items))
                self._note_done(each.owner)
            else:
                self._refuse(each, refusal)
        if queue.failed_count and None in outcomes:
            if queue.is_failure_logged:
                log.warning("the store commits slices again; %d were refused", queue.failed_count)
            queue.failed_count, queue.is_failure_logged = 0, False

    def _refuse(self, each: CommitSlice, refusal: Refusal) -> None:
        if refusal.reason == Reason.FAILED:
            if not self.queue.failed_count and (times := self.runtime.sampler.take("slice refused")):
                self.queue.is_failure_logged = True
                log.error(
                    "a slice of %s was refused, and perhaps others: %s (%d times since the last line)",
                    each.owner, refusal.detail, times,
                )  # fmt: skip
            self.queue.failed_count += 1
        self.send(each.owner, SliceRefused(each.number, each.items, refusal))
        self._note_done(each.owner)

    def _note_done(self, owner: Address) -> None:
        """Note that the slice of this owner has been answered."""
        self.queue.owners.discard(owner)
        incarnation = self.queue.awaiting.pop(owner, None)
        if incarnation is not None:
            self.send(owner, WritesDone(incarnation))

    def receiveMsg_Failed(self, message: Failed, sender: Address) -> None:
        """An owner crashed on an answer. Its next incarnation loads what is stored."""
