"""Shared by all benchmarks: CPU time and memory of a node, a started node, repeats, and the line of a figure."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenroom.tests.kit.node_kit import SECRET, NodeProcess
from greenroom.transport.client.api import Api
from greenroom.transport.load.server_watch import process_cpu_s

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["Figure", "Load", "cpu_s", "members_of", "node", "pss_bytes", "rss_bytes", "tokens"]

_TICKS = os.sysconf("SC_CLK_TCK")
_PLATFORM = 2
_REGISTERED_AT_ONCE = 500
_TOKENS_AT_ONCE = 32


@dataclass(frozen=True)
class Figure:
    """One line of the table. `samples` come from repeats; a ratio or work per CPU-second, never a bare time."""

    name: str
    samples: Sequence[float]
    unit: str = "per CPU-s"
    note: str = ""

    def __str__(self) -> str:
        low, middle, high = min(self.samples), statistics.median(self.samples), max(self.samples)
        shown = " / ".join(f"{value:,.0f}" if value >= 100 else f"{value:,.2f}" for value in (low, middle, high))
        return f"{self.name:<52} {shown:>26} {self.unit:<12} {self.note}".rstrip()


def members_of(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for process in found:
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
    return found


def cpu_s(pid: int) -> dict[int, float]:
    """User and system time of a process and its descendants; ended children count with their parent."""
    spent = {}
    for process in members_of(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            spent[process] = process_cpu_s(process) + sum(map(int, fields[13:15])) / _TICKS
    return spent


def rss_bytes(pid: int) -> int:
    """Resident memory of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def pss_bytes(pid: int) -> int:
    """The process's share of the memory in use: a page that several processes use is divided among them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no Pss in smaps_rollup")


@contextlib.asynccontextmanager
async def node(
    *, module: str = "greenroom", env: dict[str, str] | None = None, folder: Path | None = None
) -> AsyncIterator[NodeProcess]:
    """A started node, its data on the disk of the current directory."""
    with tempfile.TemporaryDirectory(dir=folder or os.getcwd(), prefix=".bench-") as name:
        process = NodeProcess(Path(name), module=module, env=env)
        await process.start()
        try:
            yield process
        finally:
            await process.terminate()
            process.close()


async def tokens(process: NodeProcess, user_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Register users who are new; (user id, token) of each."""
    async with Api(process.api_url) as api:
        admin = await api.admin_token(SECRET)
        for start in range(0, len(user_ids), _REGISTERED_AT_ONCE):
            some = user_ids[start : start + _REGISTERED_AT_ONCE]
            await api.register(*some, admin_token=admin, missing_only=True)
        gate = asyncio.Semaphore(_TOKENS_AT_ONCE)

        async def one(user_id: str) -> tuple[str, str]:
            async with gate:
                return user_id, await api.user_token(user_id, platform_id=_PLATFORM, admin_token=admin)

        return list(await asyncio.gather(*map(one, user_ids)))


class Load:
    """A load generator in a process of its own, whose CPU does not count: one job in, results out, one per line."""

    def __init__(self, **job: Any) -> None:
        self._job = job
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Load:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "greenroom.tests.bench.load",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._job).encode() + b"\n")
        return self

    async def result(self) -> dict[str, Any]:
        """The next line of its output."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator failed")
        result: dict[str, Any] = json.loads(line)
        return result

    async def __aexit__(self, *_: object) -> None:
        """The generator ends when its standard input ends."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    @classmethod
    async def run(cls, **job: Any) -> dict[str, Any]:
        async with cls(**job) as load:
            return await load.result()
