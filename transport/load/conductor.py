"""The conductor of one process: it has the plan of the load, and sends each cue to its virtual user when it is due.

A cue that is sent late keeps its planned time. All latencies are measured from the planned time.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from greenroom.actors.runtime.entity import Entity
from greenroom.transport.load.plan import Plan, Talk
from greenroom.transport.load.virtual_user import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thespian.actors import WakeupMessage

    from greenroom.actors.runtime.address import Address
    from greenroom.transport.load.plan import Cue, End
    from greenroom.transport.load.share import LoadShare

__all__ = ["Begin", "Conductor"]

SHORTEST_WAIT_S = 0.001
"""Cues that are closer together than this are sent together, because the timers of the loop are no finer."""
CUES_PER_TURN = 256
"""Maximum number of cues sent in one turn. Then other actors get their turns, and answers are read from the sockets."""


class Begin(msgspec.Struct, frozen=True):
    """Begin a load at this rate, at this time of the monotonic clock. An earlier load ends."""

    rate_per_s: float
    hold_s: float
    start_ns: int


class Conductor(Entity):
    """`Begin` starts a load. `End` ends it early, and is passed on to the virtual users."""

    def __init__(self, share: LoadShare) -> None:
        super().__init__()
        self._share = share
        self._cues: Iterator[Cue] = iter(())
        self._next: Cue | None = None
        self._load = 0
        """The number of the current load. A timer of an earlier load has no effect."""

    def receiveMsg_Begin(self, message: Begin, sender: Address) -> None:
        share = self._share
        plan = Plan(
            share.population,
            share.places,
            rate_per_s=message.rate_per_s,
            hold_s=message.hold_s,
            start_ns=message.start_ns,
        )
        share.measured_from_ns = plan.measured_from_ns
        if share.scenario.pace.mode == "closed":
            for place in share.places:
                self.send(address_of(place), Talk(plan.end_ns))
        self._load += 1
        self._cues = plan.cues()
        self._next = next(self._cues, None)
        self._wait()

    def receiveMsg_End(self, message: End, sender: Address) -> None:
        self._load += 1
        self._cues, self._next = iter(()), None
        for place in self._share.places:
            self.send(address_of(place), message)

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        if message.payload == self._load:
            self._send_due()

    def _send_due(self) -> None:
        now_ns, remaining = time.monotonic_ns(), CUES_PER_TURN
        while self._next is not None and self._next.at_ns <= now_ns and remaining:
            remaining -= 1
            self.send(address_of(self._next.place), self._next.act)
            self._next = next(self._cues, None)
        self._wait()

    def _wait(self) -> None:
        if self._next is not None:
            wait_s = (self._next.at_ns - time.monotonic_ns()) / 1e9
            self.wakeupAfter(timedelta(seconds=max(SHORTEST_WAIT_S, wait_s)), self._load)
