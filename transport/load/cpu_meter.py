"""CPU of the harness's processes and of the server, as shares of a core over the intervals of a run."""

from __future__ import annotations

import time

__all__ = ["CpuMeter"]


class CpuMeter:
    """`begin` and `end` around what is to be summed up; `take` at each interval."""

    def __init__(self) -> None:
        self._last_at = time.monotonic()
        self._last: list[float] = []
        self._began_at = self._last_at
        self._at_begin: list[float] = []
        self._server_last = 0.0
        self._server_at_begin = 0.0
        self._running = False
        self.load_s = 0.0
        """Of all processes, between `begin` and `end`, summed over all such."""
        self.busiest_share = 0.0
        """Of one core: the busiest process, over the last such stretch."""
        self.server_load_s = 0.0

    def begin(self) -> None:
        self._running = True
        self._began_at = time.monotonic()
        self._at_begin = self._last
        self._server_at_begin = self._server_last

    def end(self) -> None:
        self.load_s += sum(now - then for now, then in zip(self._last, self._at_begin, strict=False))
        self.server_load_s += self._server_last - self._server_at_begin
        self._running = False

    def take(self, cpu_s: list[float]) -> tuple[float, float]:
        """Note what each process has used so far; returns how long the interval was, and all of it as a share."""
        now = time.monotonic()
        took_s = max(0.001, now - self._last_at)
        last = self._last or cpu_s
        share = sum(used - before for used, before in zip(cpu_s, last, strict=True)) / took_s
        self._last_at, self._last = now, cpu_s
        if self._running and self._at_begin and now - self._began_at > 0.5:
            spent = [used - before for used, before in zip(cpu_s, self._at_begin, strict=True)]
            self.busiest_share = max(spent) / (now - self._began_at)
        return took_s, share

    def server_share(self, cpu_s: float, took_s: float) -> float:
        share = (cpu_s - self._server_last) / took_s
        self._server_last = cpu_s
        return share
