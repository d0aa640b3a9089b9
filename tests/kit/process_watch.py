"""Which processes the tests have started and which of them still run, orphans included."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["ProcessWatch"]

MARK = "TEST_RUN_OF_GREENROOM"
"""An environment variable, which a process inherits from the one that starts it. It does not look like a setting."""


class ProcessWatch:
    """Marks all processes that this process starts afterwards. Only one per process. Without /proc it finds nothing."""

    def __init__(self) -> None:
        self.count = 0
        """Number of processes that this one has started."""
        self._mark = f"{MARK}={os.getpid()}-{time.time_ns()}"
        name, _, value = self._mark.partition("=")
        os.environ[name] = value
        sys.addaudithook(self._on_event)

    def running(self) -> dict[int, str]:
        """Process id -> command line, for the marked processes that still run."""
        mark = self._mark.encode()
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # It has ended, or is another user's.
                if int(place.name) != os.getpid() and mark in (place / "environ").read_bytes().split(b"\0"):
                    line = (place / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(place.name)] = line.decode(errors="replace")
        return found

    def left(self, known: set[int], *, within_s: float) -> dict[int, str]:
        """The marked processes that still run after this time, except known ones. They are killed."""
        deadline = time.monotonic() + within_s
        while left := {pid: command for pid, command in self.running().items() if pid not in known}:
            if time.monotonic() > deadline:
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.02)
        return left

    def _on_event(self, event: str, _: tuple[Any, ...]) -> None:
        if event in ("subprocess.Popen", "os.posix_spawn", "os.fork"):
            self.count += 1
