"""Persistence: a lane. It gathers the slices of its keys into batches, and answers each after the commit.

Ordering rule: slices are committed in the order in which they came; one batch is under way at a time. While that
batch does not return, the lane takes no more: whoever asks is refused at once, so what waits is bounded.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from greenroom.actors.messages import (
    AwaitWrites,
    CommitSlice,
    SliceLate,
    SliceRefused,
    SliceStored,
    WritesSettled,
)
from greenroom.actors.runtime.entity import Entity
from greenroom.persistence.store import Reason, Refusal

if TYPE_CHECKING:
    from thespian.actors import WakeupMessage

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.replies import Failed, Piped
    from greenroom.actors.world import World

__all__ = ["Lane", "Persistence"]

log = logging.getLogger("greenroom.persistence")

_GATHER: Final = "gather"
_LOOK: Final = "look"
_LOOKS: Final = 5
"""How often within write_timeout_s the lane looks for what waits too long. Who has waited for all but one of these
times is told, so nobody waits for longer."""
_SLOW: Final = Refusal(Reason.FAILED, "the store is slow")


class Lane:
    """What a lane has taken: outlives a crash of its actor, so that no slice is forgotten."""

    def __init__(self) -> None:
        self.waiting: deque[CommitSlice] = deque()
        """At most one of each owner."""
        self.batch: list[CommitSlice] = []
        """Under way, in order."""
        self.number = 0
        """Of the batch under way: counts batches."""
        self.began = 0.0
        """When the batch under way was given to the store, on the loop's clock."""
        self.is_stuck = False
        """The batch under way has been there for too long."""
        self.owners: dict[Address, int] = {}
        """Slices not yet answered, by owner."""
        self.settling: dict[Address, int] = {}
        """Who waits until it has none, and which life of it: the latest one that asked."""
        self.refused = 0
        """Slices, since the store last took one."""


class Persistence(Entity):
    """Answers each slice once: SliceStored or SliceRefused (SliceLate may come before, again and again).

    After a crash the batch that was under way counts as failed: its owners load anew and learn what landed. A
    slice or question that a crash kept from being noted comes back to its owner as Failed.
    """

    stash_limit = 1_000_000

    def __init__(self, world: World, lane: Lane) -> None:
        super().__init__()
        self.world = world
        self.lane = lane
        self._gathering = False
        self._looking = False
        self._has_answered = False
        """In this turn."""

    def on_start(self) -> None:
        if self.lane.batch:
            self._answer([Refusal(Reason.FAILED, "the lane crashed")] * len(self.lane.batch))

    def may_sleep(self) -> bool:
        return False

    def receiveMsg_CommitSlice(self, message: CommitSlice, sender: Address) -> None:
        if self.lane.is_stuck:
            self.lane.refused += 1
            self.send(message.owner, SliceRefused(_SLOW, message.items))
            return
        self.lane.waiting.append(message)
        owners = self.lane.owners
        owners[message.owner] = owners.get(message.owner, 0) + 1

    def receiveMsg_AwaitWrites(self, message: AwaitWrites, sender: Address) -> None:
        if message.owner in self.lane.owners:
            self.lane.settling[message.owner] = message.life
        else:
            self.send(message.owner, WritesSettled(message.life))

    def turn_over(self) -> bool | None:
        lane, settings = self.lane, self.world.settings.store
        if self._has_answered:
            # The owners first: what they have decided meanwhile goes with this batch, instead of waiting for it.
            self._has_answered = False
            return True
        if lane.batch or not lane.waiting:
            return None
        if settings.batch_interval_ms > 0 and len(lane.waiting) < settings.batch_slices:
            if not self._gathering:
                self._gathering = True
                self.wakeupAfter(settings.batch_interval_ms / 1000, _GATHER)
            return None
        self._commit()
        return None

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        if message.payload == _GATHER:
            self._gathering = False
            if self.lane.waiting and not self.lane.batch:
                self._commit()
            return
        self._looking = False
        if self.lane.batch:
            self._look()
            self._look_later()

    def _look_later(self) -> None:
        """One timer for all batches."""
        if not self._looking:
            self._looking = True
            self.wakeupAfter(self.world.settings.store.write_timeout_s / _LOOKS, _LOOK)

    def _look(self) -> None:
        """Tell those that wait too long. What the store does not have yet is given up: it will not be stored."""
        lane = self.lane
        limit = self.runtime.now - self.world.settings.store.write_timeout_s * (_LOOKS - 1) / _LOOKS
        if lane.began <= limit and not lane.is_stuck:
            lane.is_stuck = True
            log.error("the store does not answer a commit of %d slices: sends are refused", len(lane.batch))
        for each in lane.batch:
            if each.since <= limit:
                self.send(each.owner, SliceLate(each.items))
        given_up = [each for each in lane.waiting if lane.is_stuck or each.since <= limit]
        if given_up:
            lane.waiting = deque(each for each in lane.waiting if not lane.is_stuck and each.since > limit)
            for each in given_up:
                self._refuse(each, _SLOW)

    def _commit(self) -> None:
        lane, settings = self.lane, self.world.settings.store
        count = min(len(lane.waiting), settings.batch_slices)
        lane.batch = [lane.waiting.popleft() for _ in range(count)]
        lane.number += 1
        lane.began = self.runtime.now
        self._look_later()
        self.pipe(self.world.store.commit([each.take() for each in lane.batch]))

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        if message.error is not None:
            self._answer([Refusal(Reason.FAILED, type(message.error).__name__)] * len(self.lane.batch))
        else:
            self._answer(message.value)

    def _answer(self, outcomes: list[Refusal | None]) -> None:
        lane = self.lane
        if len(outcomes) != len(lane.batch):
            raise ValueError("not one outcome for each slice")
        batch, lane.batch = lane.batch, []
        lane.is_stuck = False
        self._has_answered = True
        self.world.commits.tell()
        for each, refusal in zip(batch, outcomes, strict=True):
            if refusal is None:
                self.send(each.owner, SliceStored(each.items))
                self._settle(each.owner)
            else:
                self._refuse(each, refusal)
        if lane.refused and None in outcomes:
            log.warning("the store takes slices again; %d were refused", lane.refused)
            lane.refused = 0

    def _refuse(self, each: CommitSlice, refusal: Refusal) -> None:
        if refusal.reason == Reason.FAILED:
            if not self.lane.refused:
                log.error("a slice of %s was refused, and perhaps more: %s", each.owner, refusal.detail)
            self.lane.refused += 1
        self.send(each.owner, SliceRefused(refusal, each.items))
        self._settle(each.owner)

    def _settle(self, owner: Address) -> None:
        owners = self.lane.owners
        left = owners.pop(owner) - 1
        if left:
            owners[owner] = left
        else:
            life = self.lane.settling.pop(owner, None)
            if life is not None:
                self.send(owner, WritesSettled(life))

    def receiveMsg_Failed(self, message: Failed, sender: Address) -> None:
        """An owner crashed on an answer; its next life loads what is stored."""
