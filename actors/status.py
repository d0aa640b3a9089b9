"""Status of a node: a snapshot of counters that are kept anyway. Reading it changes nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from greenroom.actors.health import Health
    from greenroom.actors.lane import LaneQueue
    from greenroom.actors.ports import Clock
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.session_table import SessionTable
    from greenroom.persistence.store import Store

__all__ = ["ActorClass", "InQuarantine", "LaneState", "NodeStatus", "Observer", "StoreState"]


class ActorClass(msgspec.Struct, frozen=True, rename="camel"):
    """Counters of one class of actors, since the node began."""

    name: str
    awake: int
    """Actors that are awake now."""
    messages: int
    crashes: int
    sleeps: int
    unhandled: int
    """Messages that the class has no handler for."""
    mailbox_high_water: int
    """The longest that one mailbox ever was, in messages."""
    quarantined: int
    """Entities that are in quarantine now."""


class LaneState(msgspec.Struct, frozen=True, rename="camel"):
    """One lane: the queue in front of the store."""

    name: str
    waiting_slices: int
    batch_slices: int
    """Slices of the batch in flight."""
    batches: int
    """Batches begun since the node began."""


class StoreState(msgspec.Struct, frozen=True, rename="camel"):
    """Answers of the store since the node began."""

    is_failing: bool
    """Its last answer was a failure, or did not come in time."""
    slices_stored: int
    slices_refused: int
    """Slices that its rules refused: repeats, keys that are taken, an old epoch."""
    slices_failed: int
    slices_late: int
    reads_damaged: int
    """Reads that met a damaged page. `greenroom check` says what is damaged."""


class InQuarantine(msgspec.Struct, frozen=True, rename="camel"):
    """An entity that crashed again and again, and is not woken for now. Its address holds a user's or group's id."""

    address: str
    actor: str
    crashes: int
    left_s: float


class NodeStatus(msgspec.Struct, frozen=True, rename="camel"):
    is_healthy: bool
    """The store does not fail, no read met damage, and no entity is in quarantine."""
    version: str
    started_at: int
    """Milliseconds since 1970."""
    up_s: float
    connections: int
    sends_answered: int
    """Messages that were stored, or pushed if they are not to be stored. Each counts once."""
    pushes: int
    """Frames of messages that connections were given."""
    store: StoreState
    lanes: list[LaneState]
    restarts: dict[str, int]
    """Restarts of each fixed child, since the node began."""
    actors: list[ActorClass]
    """Sorted by name, without the runtime's own cells."""
    quarantined: list[InQuarantine]


class Observer:
    """Reads the counters of one node. A reading costs some microseconds, and as much again for each entity that has
    crashed lately. It does not depend on how many entities are awake."""

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
        self._began = base.loop.time()

    def status(self, restarts: Mapping[str, int]) -> NodeStatus:
        health = self._health
        quarantines = self._base.quarantines()
        quarantined_by_class = Counter(one.actor for one in quarantines)
        return NodeStatus(
            is_healthy=not (health.store_fails or self._store.damage or quarantines),
            version=self._version,
            started_at=self._started_at,
            up_s=self._base.loop.time() - self._began,
            connections=len(self._sessions),
            sends_answered=health.sends_answered,
            pushes=self._sessions.pushes,
            store=StoreState(
                is_failing=health.store_fails,
                slices_stored=health.slices_stored,
                slices_refused=health.slices_refused,
                slices_failed=health.slices_failed,
                slices_late=health.slices_late,
                reads_damaged=self._store.damage,
            ),
            lanes=[
                LaneState(name, len(lane.waiting), len(lane.batch), lane.number) for name, lane in self._lanes.items()
            ],
            restarts=dict(restarts),
            actors=[
                ActorClass(
                    name=name,
                    awake=one.awake,
                    messages=one.messages,
                    crashes=one.crashes,
                    sleeps=one.sleeps,
                    unhandled=one.unhandled,
                    mailbox_high_water=one.mailbox_high_water,
                    quarantined=quarantined_by_class[name],
                )
                for name, one in sorted(self._base.stats().items())
                if one.wakes or one.crashes
            ],
            quarantined=[
                InQuarantine(str(one.address), one.actor, one.crashes, one.remaining_s) for one in quarantines
            ],
        )
