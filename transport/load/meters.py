"""The lag of the harness's event loop, and the CPU of its processes and of the server during a run."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CpuMeter", "LagMeter"]

LAG_INTERVAL_S = 0.01
SHORTEST_LOAD_S = 0.5
"""Over a shorter time, the share of a core says little."""


class LagMeter:
    """Sets one timer after another, and reports how late each one was, in nanoseconds. It runs until `close`."""

    def __init__(self, record_ns: Callable[[int], None]) -> None:
        self._record_ns = record_ns
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + LAG_INTERVAL_S
        self._timer = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        now = self._loop.time()
        self._record_ns(max(0, int((now - self._due) * 1e9)))
        self._due = now + LAG_INTERVAL_S
        self._timer = self._loop.call_at(self._due, self._ring)

    def close(self) -> None:
        self._timer.cancel()


class CpuMeter:
    """`take` notes the CPU that each process has used so far. `begin` and `end` are called around each load whose CPU
    is summed.
    """

    def __init__(self) -> None:
        self.load_s = 0.0
        """CPU of all processes of the harness, summed over the loads."""
        self.server_load_s = 0.0
        """CPU of the server, summed over the loads."""
        self.busiest_share = 0.0
        """Share of one core that the busiest process used during the last load."""
        self._last_at = time.monotonic()
        self._last: list[float] = []
        self._started_at = self._last_at
        self._at_begin: list[float] = []
        self._server_last = 0.0
        self._server_at_begin = 0.0
        self._running = False

    def begin(self) -> None:
        self._running = True
        self._started_at = time.monotonic()
        self._at_begin = self._last
        self._server_at_begin = self._server_last

    def end(self) -> None:
        self.load_s += sum(now - then for now, then in zip(self._last, self._at_begin, strict=False))
        self.server_load_s += self._server_last - self._server_at_begin
        self._running = False

    def take(self, cpu_s: list[float]) -> tuple[float, float]:
        """Returns the length of the interval since the last `take`, and the share of one core that all processes
        together used in this interval.
        """
        now = time.monotonic()
        took_s = max(0.001, now - self._last_at)
        last = self._last or cpu_s
        share = sum(used - before for used, before in zip(cpu_s, last, strict=True)) / took_s
        self._last_at, self._last = now, cpu_s
        load_s = now - self._started_at
        if self._running and self._at_begin and load_s > SHORTEST_LOAD_S:
            spent = [used - before for used, before in zip(cpu_s, self._at_begin, strict=True)]
            self.busiest_share = max(spent) / load_s
        return took_s, share

    def server_share(self, cpu_s: float, took_s: float) -> float:
        """The share of one core that the server used in the interval."""
        share = (cpu_s - self._server_last) / took_s
        self._server_last = cpu_s
        return share
