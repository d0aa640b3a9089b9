"""One timer for all connections of an event loop: heartbeats and time limits need no timer for each connection."""

from __future__ import annotations

import asyncio
import weakref
from typing import ClassVar, Protocol

__all__ = ["Ticker", "Ticking"]


class Ticking(Protocol):
    def tick(self, now: float) -> None:
        """Called about once per interval, with the loop's time. It must not block."""


class Ticker:
    """Calls `tick` of each member once per interval. It runs only while it has members.

    On a busy loop a tick may be late; it is never early. Members are called in no particular order.
    """

    _shared: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Ticker]] = (
        weakref.WeakKeyDictionary()
    )

    def __init__(self, *, interval_s: float = 1.0) -> None:
        self._interval_s = interval_s
        self._members: set[Ticking] = set()
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def shared(cls) -> Ticker:
        """The running loop's own ticker."""
        loop = asyncio.get_running_loop()
        ticker = cls._shared.get(loop)
        if ticker is None:
            ticker = cls._shared[loop] = cls()
        return ticker

    def add(self, member: Ticking) -> None:
        self._members.add(member)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._tick)

    def discard(self, member: Ticking) -> None:
        self._members.discard(member)
        if not self._members and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._interval_s, self._tick)
        now = loop.time()
        for member in tuple(self._members):
            member.tick(now)
