"""Status of a node: a snapshot of its counters. Reading it changes nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from greenroom.persistence.errors import StoreError
from greenroom.persistence.store import Slice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from greenroom.actors.health import Health
    from greenroom.actors.lane import LaneQueue
    from greenroom.actors.ports import Clock
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.session_table import SessionTable
    from greenroom.persistence.store import Refusal, Store

__all__ = ["ActorClass", "InQuarantine", "LaneState", "LimitedState", "NodeStatus", "Observer", "StoreState"]


_TEST_COMMIT_TIMEOUT_S = 2.0
"""Less than the time-out of usual health checks."""


class ActorClass(msgspec.Struct, frozen=True, rename="camel"):
    """Counters of one class of actors, since the node started."""

    name: str
    awake: int
    """Actors that are awake now."""
    messages: int
    crashes: int
    sleeps: int
    unhandled: int
    """Messages that the class has no handler for."""
    mailbox_high_water: int
    """The greatest length of one mailbox so far, in messages."""
    quarantined: int
    """Entities that are in quarantine now."""


class LaneState(msgspec.Struct, frozen=True, rename="camel"):
    """One lane: the queue in front of the store."""

    name: str
    waiting_slices: int
    batch_slices: int
    """Number of slices of the batch in flight."""
    batches: int
    """Number of batches since the node started."""


class StoreState(msgspec.Struct, frozen=True, rename="camel"):
    """Answers of the store since the node started."""

    is_failing: bool
    """Whether its last answer was a failure, or overdue."""
    slices_stored: int
    slices_refused: int
    """Slices that its rules refused: a repeat, a key that is already taken, an old epoch."""
    slices_failed: int
    slices_late: int
    reads_damaged: int
    """Reads that found a damaged page. `greenroom check` shows what is damaged."""


class LimitedState(msgspec.Struct, frozen=True, rename="camel"):
    """Refusals by the settings `[limits]`, since the node started."""

    sends: int
    """Messages of a user."""
    changes: int
    """Changes that a user makes, such as new groups."""
    anonymous: int
    """Requests without a valid token."""
    wrong_secrets: int
    """Wrong admin secrets that were compared."""


class InQuarantine(msgspec.Struct, frozen=True, rename="camel"):
    """An entity that has crashed repeatedly and is not woken yet. Its address contains the id of a user or group."""

    address: str
    actor: str
    crashes: int
    remaining_s: float = msgspec.field(name="leftS")


class NodeStatus(msgspec.Struct, frozen=True, rename="camel"):
    is_healthy: bool
    """Whether the store does not fail, no read has found damage, and no entity is in quarantine."""
    version: str
    started_at: int
    """Milliseconds since the epoch."""
    up_s: float
    connections: int
    sends_answered: int
    """Messages that were stored, or only pushed if they are not stored. Each counts once."""
    pushes: int
    """Message frames that were passed to connections."""
    limited: LimitedState
    store: StoreState
    lanes: list[LaneState]
    restarts: dict[str, int]
    """Restarts of each fixed child since the node started."""
    actors: list[ActorClass]
    """Sorted by name, without the runtime's own cells."""
    quarantined: list[InQuarantine]


class Observer:
    """Reads the counters of one node. This costs a few microseconds, and as much again for each entity that has crashed
    recently. The number of awake entities does not matter."""

    def __init__(
        self,
        *,
        base: LoopBase,
        clock: Clock,
        health: Health,
        store: Store,
        sessions: SessionTable,
        lanes: Mapping[str, LaneQueue],
        version: str,
    ) -> None:
        self._base = base
        self._clock = clock
        self._health = health
        self._store = store
        self._sessions = sessions
        self._lanes = lanes
        self._version = version
        self._started_at = clock.now_ms()
        self._started_s = base.loop.time()
        self._test_commit: asyncio.Future[list[Refusal | None]] | None = None
        """The test commit in flight, or the last one. There is one at a time."""

    async def not_ready(self) -> str:
        """Why the node cannot serve now; empty if it can.

        While the store fails, this makes a test commit: a node that gets no traffic until it is ready would otherwise
        never notice that the store works again.
        """
        try:
            await self._store.users([])
        except StoreError:
            return "the store cannot be read"
        if not self._health.store_fails:
            return ""
        if self._test_commit is None or self._test_commit.done():
            commit = self._store.commit([Slice("test/", self._store.epoch, [])])
            self._test_commit = asyncio.ensure_future(commit)
        done, _ = await asyncio.wait((self._test_commit,), timeout=_TEST_COMMIT_TIMEOUT_S)
        if not done:
            return "the store does not answer"
        if self._test_commit.exception() is not None or self._test_commit.result() != [None]:
            return "the store fails"
        self._health.store_fails = False
        return ""

    def status(self, restarts: Mapping[str, int]) -> NodeStatus:
        health = self._health
        quarantines = self._base.quarantines()
        quarantined_by_class = Counter(quarantine.actor for quarantine in quarantines)
        return NodeStatus(
            is_healthy=not (health.store_fails or self._store.damage or quarantines),
            version=self._version,
            started_at=self._started_at,
            up_s=self._base.loop.time() - self._started_s,
            connections=len(self._sessions),
            sends_answered=health.sends_answered,
            pushes=self._sessions.pushes,
            limited=LimitedState(
                sends=health.sends_limited,
                changes=health.changes_limited,
                anonymous=health.anonymous_limited,
                wrong_secrets=health.wrong_secrets,
            ),
            store=StoreState(
                is_failing=health.store_fails,
                slices_stored=health.slices_stored,
                slices_refused=health.slices_refused,
                slices_failed=health.slices_failed,
                slices_late=health.slices_late,
                reads_damaged=self._store.damage,
            ),
            lanes=[
                LaneState(name, len(lane.waiting), len(lane.batch), lane.batch_count)
                for name, lane in self._lanes.items()
            ],
            restarts=dict(restarts),
            actors=[
                ActorClass(
                    name=name,
                    awake=counters.awake,
                    messages=counters.messages,
                    crashes=counters.crashes,
                    sleeps=counters.sleeps,
                    unhandled=counters.unhandled,
                    mailbox_high_water=counters.mailbox_high_water,
                    quarantined=quarantined_by_class[name],
                )
                for name, counters in sorted(self._base.stats().items())
                if counters.wakes or counters.crashes
            ],
            quarantined=[
                InQuarantine(str(quarantine.address), quarantine.actor, quarantine.crashes, quarantine.remaining_s)
                for quarantine in quarantines
            ],
        )
