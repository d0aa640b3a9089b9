"""How late the harness's own loop is: the measure of whether it can be believed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LagMeter"]

INTERVAL_S = 0.01


class LagMeter:
    """Sets a timer, again and again, and tells by how many nanoseconds it was late. Runs until `close`."""

    def __init__(self, record_ns: Callable[[int], None]) -> None:
        self._record_ns = record_ns
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + INTERVAL_S
        self._timer = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        now = self._loop.time()
        self._record_ns(max(0, int((now - self._due) * 1e9)))
        self._due = now + INTERVAL_S
        self._timer = self._loop.call_at(self._due, self._ring)

    def close(self) -> None:
        self._timer.cancel()
