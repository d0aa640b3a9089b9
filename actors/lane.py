"""Lane: gathers the slices of its keys into batches, commits one batch at a time, and answers each slice then.

Ordering rule: slices are committed in the order in which they came; one batch is in flight at a time. While that
batch does not return, the lane takes no more: who asks is refused at once, so what waits is bounded.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from greenroom.actors.runtime.entity import Entity
from greenroom.actors.slices import AwaitWrites, CommitSlice, SliceLate, SliceRefused, SliceStored, WritesDone
from greenroom.persistence.store import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thespian.actors import WakeupMessage

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.replies import Failed, Piped
    from greenroom.actors.world import World

__all__ = ["Lane", "LaneQueue"]

log = logging.getLogger("greenroom.persistence")

_GATHER: Final = "gather"
_CHECK: Final = "check"
_CHECKS: Final = 5
"""How often within write_timeout_s the lane checks what waits too long. A slice that has waited for all but one of
these times is told, so none waits for longer."""
_SLOW: Final = Refusal(Reason.FAILED, "the store is slow")


class LaneQueue:
    """The slices that a lane has taken: outlives a crash of the lane, so that none is forgotten."""

    def __init__(self) -> None:
        self.waiting: deque[CommitSlice] = deque()
        """For the next batch, in order."""
        self.batch: list[CommitSlice] = []
        """The batch in flight, in order."""
        self.number = 0
        """Batches begun, the one in flight included."""
        self.began = 0.0
        """When the batch in flight was given to the store, on the loop's clock."""
        self.is_stuck = False
        """The batch in flight has been there for too long."""
        self.owners: set[Address] = set()
        """Entities that have a slice here, in the batch or waiting."""
        self.awaiting: dict[Address, int] = {}
        """Entities that wait until they have none, and the number of the life that asked last."""
        self.refused = 0
        """Slices refused since the store last took one."""


class Lane(Entity):
    """Answers each slice once: SliceStored or SliceRefused (SliceLate may come before, again and again).

    After a crash the batch that was in flight counts as failed: its owners load again and learn what landed. A
    slice or question that a crash kept from being noted comes back to its owner as Failed.
    """

    stash_limit = 1_000_000

    def __init__(self, world: World, queue: LaneQueue) -> None:
        super().__init__()
        self.world = world
        self.queue = queue
        self._is_gathering = False
        self._is_check_due = False
        self._has_answered = False
        """Since the turn began."""

    def on_start(self) -> None:
        if self.queue.batch:
            self._answer([Refusal(Reason.FAILED, "the lane crashed")] * len(self.queue.batch))

    def may_sleep(self) -> bool:
        return False

    def receiveMsg_CommitSlice(self, message: CommitSlice, sender: Address) -> None:
        if self.queue.is_stuck:
            self.queue.refused += 1
            self.send(message.owner, SliceRefused(message.number, message.items, _SLOW))
            return
        self.queue.waiting.append(message)
        self.queue.owners.add(message.owner)

    def receiveMsg_AwaitWrites(self, message: AwaitWrites, sender: Address) -> None:
        if message.owner in self.queue.owners:
            self.queue.awaiting[message.owner] = message.life
        else:
            self.send(message.owner, WritesDone(message.life))

    def on_turn_end(self) -> bool:
        queue, settings = self.queue, self.world.settings.store
        if self._has_answered:
            # The owners first: what they have decided meanwhile goes with this batch, instead of waiting for it.
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
            self._check_waits()
            self._check_later()

    def _check_later(self) -> None:
        """One timer for all batches."""
        if not self._is_check_due:
            self._is_check_due = True
            self.wakeupAfter(self.world.settings.store.write_timeout_s / _CHECKS, _CHECK)

    def _check_waits(self) -> None:
        """Tell those that wait too long. What the store does not have yet is given up: it will not be stored."""
        queue = self.queue
        limit = self.runtime.now - self.world.settings.store.write_timeout_s * (_CHECKS - 1) / _CHECKS
        if queue.began <= limit and not queue.is_stuck:
            queue.is_stuck = True
            log.error("the store does not answer a commit of %d slices: sends are refused", len(queue.batch))
        for each in queue.batch:
            if each.since <= limit:
                self.send(each.owner, SliceLate(each.number, each.items))
        given_up = [each for each in queue.waiting if queue.is_stuck or each.since <= limit]
        if given_up:
            queue.waiting = deque(each for each in queue.waiting if not queue.is_stuck and each.since > limit)
            for each in given_up:
                self._refuse(each, _SLOW)

    def _commit(self) -> None:
        queue, settings = self.queue, self.world.settings.store
        count = min(len(queue.waiting), settings.batch_slices)
        queue.batch = [queue.waiting.popleft() for _ in range(count)]
        queue.number += 1
        queue.began = self.runtime.now
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
            raise ValueError("not one outcome for each slice")
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
        if queue.refused and None in outcomes:
            log.warning("the store takes slices again; %d were refused", queue.refused)
            queue.refused = 0

    def _refuse(self, each: CommitSlice, refusal: Refusal) -> None:
        if refusal.reason == Reason.FAILED:
            if not self.queue.refused:
                log.error("a slice of %s was refused, and perhaps more: %s", each.owner, refusal.detail)
            self.queue.refused += 1
        self.send(each.owner, SliceRefused(each.number, each.items, refusal))
        self._note_done(each.owner)

    def _note_done(self, owner: Address) -> None:
        """The slice of this owner is answered."""
        self.queue.owners.discard(owner)
        life = self.queue.awaiting.pop(owner, None)
        if life is not None:
            self.send(owner, WritesDone(life))

    def receiveMsg_Failed(self, message: Failed, sender: Address) -> None:
        """An owner crashed on an answer; its next life loads what is stored."""
