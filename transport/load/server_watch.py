"""CPU and memory of a server's processes, including their child processes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

__all__ = ["ServerUse", "ServerWatch", "process_cpu_s", "process_exists"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ServerUse(msgspec.Struct, frozen=True):
    cpu_s: float
    """CPU that all processes have used since the start of the watch."""
    rss_bytes: int
    alive: bool


class ServerWatch:
    """Watches processes and their children. It is false if there are no process ids."""

    def __init__(self, pids: tuple[int, ...]) -> None:
        self._pids = pids
        self._cpu_at_start: dict[int, float] = {}
        self._cpu_last: dict[int, float] = {}
        for pid in self._family():
            self._cpu_at_start[pid] = process_cpu_s(pid)
        self.rss_at_start = sum(_rss_bytes(pid) for pid in self._cpu_at_start)

    def __bool__(self) -> bool:
        return bool(self._pids)

    def look(self) -> ServerUse:
        family = self._family()
        for pid in family:
            self._cpu_last[pid] = process_cpu_s(pid)
        return ServerUse(
            cpu_s=sum(used - self._cpu_at_start.get(pid, 0.0) for pid, used in self._cpu_last.items()),
            rss_bytes=sum(_rss_bytes(pid) for pid in family),
            alive=bool(family),
        )

    def _family(self) -> list[int]:
        found: list[int] = []
        waiting = list(self._pids)
        while waiting:
            pid = waiting.pop()
            if pid not in found and process_exists(pid):
                found.append(pid)
                waiting.extend(_children(pid))
        return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in _listed(f"/proc/{pid}/task"):
        found.extend(int(child) for child in _text(f"/proc/{pid}/task/{task}/children").split())
    return found


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def process_exists(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists()


def process_cpu_s(pid: int) -> float:
    """The CPU time of all threads of a process, including threads that have ended; 0 if there is no such process.

    It is read from the CPU clock of the process. The id of this clock is computed as in clock_getcpuclockid. /proc has
    only hundredths of a second, rounded down.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def _rss_bytes(pid: int) -> int:
    fields = _text(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0
