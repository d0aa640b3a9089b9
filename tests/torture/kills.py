"""The ways to kill a node under load, and the killer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from greenroom.tests.bench.measure import members_of

if TYPE_CHECKING:
    import random

    from greenroom.tests.kit.node_kit import NodeProcess

__all__ = ["KINDS", "Killer"]

MOMENT: Final = "at a random moment"
WRITING: Final = "while the log was written"
UNACKED: Final = "between commit and ack"
WRITER: Final = "the writer process alone"
KINDS: Final = {MOMENT: 0.25, WRITING: 0.3, UNACKED: 0.3, WRITER: 0.15}
"""Kind of kill -> its share of the kills."""
UP_S: Final = (0.5, 1.1)
"""The time under load before the next kill."""
WAIT_S: Final = 10.0
"""The limit for waiting for the moment of a kill."""


class Killer:
    """Kills a node and starts it again. `load` has the times when it was up, in nanoseconds of the monotonic clock."""

    def __init__(self, node: NodeProcess, rng: random.Random) -> None:
        self._node = node
        self._rng = rng
        self.kills: Counter[str] = Counter()
        self.load: list[tuple[int, int]] = []

    async def kill(self) -> None:
        """Let the node work for a while, kill it in one of the ways, and start it again."""
        (kind,) = self._rng.choices(list(KINDS), list(KINDS.values()))
        since = time.monotonic_ns()
        await asyncio.sleep(self._rng.uniform(*UP_S))
        if kind == WRITING:
            kind = await self._log_written()
        self.load.append((since, time.monotonic_ns()))
        self.kills[kind] += 1
        writers = members_of(self._pid)[1:]
        if kind == WRITER:
            _kill(writers)
            return
        if kind == UNACKED:
            os.kill(self._pid, signal.SIGUSR1)
            await self._ended()
        elif self._rng.random() < 0.5:
            _kill(writers)  # Otherwise it still finishes its work.
        self._node.kill()
        await self._node.start()

    @property
    def _pid(self) -> int:
        assert self._node.process is not None
        return self._node.process.pid

    async def _log_written(self) -> str:
        """Return when the write-ahead log has just grown or changed: a commit is in progress."""
        log = self._node.data_dir / "greenroom.db-wal"
        deadline = time.monotonic() + WAIT_S
        with contextlib.suppress(FileNotFoundError):
            before = log.stat().st_mtime_ns
            while time.monotonic() < deadline:
                if log.stat().st_mtime_ns != before:
                    return WRITING
                await asyncio.sleep(0)
        return MOMENT

    async def _ended(self) -> None:
        """Wait until the node has killed itself. Raises RuntimeError if there was no commit."""
        assert self._node.process is not None
        deadline = time.monotonic() + WAIT_S
        while self._node.process.poll() is None:
            if time.monotonic() > deadline:
                raise RuntimeError("no commit came to be killed after")
            await asyncio.sleep(0.001)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
