"""Persistence: a lane. It gathers the slices of its keys into batches, and answers each after the commit.

Ordering rule: slices are committed in the order in which they came; one batch is under way at a time.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import TYPE_CHECKING

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

_GATHER = "gather"


class Lane:
    """What a lane has taken: outlives a crash of its actor, so that no slice is forgotten."""

    def __init__(self) -> None:
        self.waiting: deque[CommitSlice] = deque()
        self.batch: list[CommitSlice] = []
        """Under way, in order."""
        self.number = 0
        """Of the batch under way: counts batches."""
        self.owners: Counter[Address] = Counter()
        """Slices not yet answered, by owner."""
        self.settling: dict[Address, list[Address]] = {}
        """Who waits until an owner has none."""


class Persistence(Entity):
    """Never refuses a slice, and answers each once: SliceStored or SliceRefused (SliceLate may come before).

    After a crash the batch that was under way counts as failed: its owners load anew and learn what landed.
    """

    stash_limit = 1_000_000

    def __init__(self, world: World, lane: Lane) -> None:
        super().__init__()
        self.world = world
        self.lane = lane
        self._gathering = False
        self._watching = False

    def on_start(self) -> None:
        if self.lane.batch:
            self._answer([Refusal(Reason.FAILED, "the lane crashed")] * len(self.lane.batch))

    def may_sleep(self) -> bool:
        return False

    def receiveMsg_CommitSlice(self, message: CommitSlice, sender: Address) -> None:
        self.lane.waiting.append(message)
        self.lane.owners[message.owner] += 1

    def receiveMsg_AwaitWrites(self, message: AwaitWrites, sender: Address) -> None:
        if message.owner in self.lane.owners:
            self.lane.settling.setdefault(message.owner, []).append(message.owner)
        else:
            self.send(message.owner, WritesSettled())

    def turn_over(self) -> None:
        lane, settings = self.lane, self.world.settings.store
        if lane.batch or not lane.waiting:
            return
        if settings.batch_interval_ms > 0 and len(lane.waiting) < settings.batch_slices:
            if not self._gathering:
                self._gathering = True
                self.wakeupAfter(settings.batch_interval_ms / 1000, _GATHER)
            return
        self._commit()

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        if message.payload == _GATHER:
            self._gathering = False
            if self.lane.waiting and not self.lane.batch:
                self._commit()
            return
        self._watching = False
        if self.lane.batch:
            if message.payload == self.lane.number:
                log.warning("a commit of %d slices is late", len(self.lane.batch))
                for each in self.lane.batch:
                    self.send(each.owner, SliceLate(each.effects))
            self._watch()

    def _watch(self) -> None:
        """One timer for all batches: whichever is seen at two ticks in a row is late."""
        if not self._watching:
            self._watching = True
            self.wakeupAfter(self.world.settings.store.write_timeout_s / 2, self.lane.number)

    def _commit(self) -> None:
        lane, settings = self.lane, self.world.settings.store
        count = min(len(lane.waiting), settings.batch_slices)
        lane.batch = [lane.waiting.popleft() for _ in range(count)]
        lane.number += 1
        self._watch()
        self.pipe(self.world.store.commit([each.slice for each in lane.batch]), tag=lane.number)

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        if message.error is not None:
            log.error("the store failed: %s", type(message.error).__name__)
            self._answer([Refusal(Reason.FAILED, type(message.error).__name__)] * len(self.lane.batch))
        else:
            self._answer(message.value)

    def _answer(self, outcomes: list[Refusal | None]) -> None:
        lane = self.lane
        batch, lane.batch = lane.batch, []
        for each, refusal in zip(batch, outcomes, strict=True):
            if refusal is None:
                self.send(each.owner, SliceStored(each.effects))
            else:
                self.send(each.owner, SliceRefused(refusal, each.effects))
            lane.owners[each.owner] -= 1
            if not lane.owners[each.owner]:
                del lane.owners[each.owner]
                for owner in lane.settling.pop(each.owner, ()):
                    self.send(owner, WritesSettled())

    def receiveMsg_Failed(self, message: Failed, sender: Address) -> None:
        """An owner crashed on an answer; its next life loads what is stored."""
