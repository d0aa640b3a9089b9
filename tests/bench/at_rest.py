"""A node that has little to do: its memory after the start, of an idle connection, and the CPU of thousands."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenroom.tests.bench.measure import Figure, Load, cpu_s, members_of, pss_bytes, rss_bytes, tokens
from greenroom.tests.kit.node_kit import NodeProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["figures"]

AT_ONCE = 50
PING_EVERY_S = 24.0
"""The ping interval of the native SDK."""
SETTLE_S = 5.0
"""The wait until the work after a start and the logins is done."""
_COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""From its second start on a node finds its modules compiled; a machine may forbid Python to keep them."""


async def figures(*, seconds: float, repeats: int) -> AsyncIterator[Figure]:
    count = 19_000 if seconds >= 3 else 500
    idle_s = 2 * PING_EVERY_S if seconds >= 3 else 2.0
    samples: dict[str, list[float]] = {name: [] for name in ("rss", "pss", "node", "each", "ping", "silent", "logins")}
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".bench-") as folder:
        process = NodeProcess(Path(folder))
        process.env = _COMPILED
        await process.start()
        try:
            users = await tokens(process, [f"idle{number:05d}" for number in range(count)])
            for _ in range(repeats):
                await process.terminate()
                process.env = _COMPILED
                await process.start()
                assert process.process is not None
                pid = process.process.pid
                await asyncio.sleep(SETTLE_S)
                samples["rss"].append(sum(map(rss_bytes, members_of(pid))) / 1e6)
                samples["pss"].append(sum(map(pss_bytes, members_of(pid))) / 1e6)
                samples["node"].append(rss_bytes(pid) / 1e6)
                before = rss_bytes(pid)
                shares, result = await _idle(process, users, PING_EVERY_S, idle_s)
                samples["ping"].append(shares)
                samples["each"].append((result["rss"] - before) / count / 1024)
                samples["logins"].append(count / result["cpu_s"])
                await process.terminate()
                process.env = {"GREENROOM_WEBSOCKET_READ_TIMEOUT_S": "3600"}
                await process.start()
                shares, result = await _idle(process, users, None, idle_s)
                samples["silent"].append(shares)
        finally:
            await process.terminate()
            process.close()
    yield Figure("at rest: resident memory, node and writer", samples["rss"], "MB", "after the start; bound: 100")
    yield Figure("  proportional (PSS)", samples["pss"], "MB", "pages that both use counted once")
    yield Figure("  resident, the node alone", samples["node"], "MB")
    yield Figure(f"{count:,} logged in: memory of each", samples["each"], "KiB", "resident, with its User")
    yield Figure("  logins", samples["logins"], note="the first wakes of a node just started")
    yield Figure("  CPU, each pings every 24 s", samples["ping"], "% of a core")
    yield Figure("  CPU, all silent", samples["silent"], "% of a core", "read timeout raised, nothing is closed")


async def _idle(
    process: NodeProcess, users: list[tuple[str, str]], ping_every_s: float | None, idle_s: float
) -> tuple[float, dict[str, Any]]:
    """Log all users in, and measure the share of a core that the idle node uses, in percent."""
    assert process.process is not None
    pid = process.process.pid
    job = {"job": "logins", "port": process.ws_port, "pid": pid, "at_once": AT_ONCE, "ping_every_s": ping_every_s}
    async with Load(**job, users=users) as load:
        result = await load.result()
        await asyncio.sleep(SETTLE_S)
        result["rss"] = rss_bytes(pid)
        before = sum(cpu_s(pid).values())
        await asyncio.sleep(idle_s)
        return 100 * (sum(cpu_s(pid).values()) - before) / idle_s, result
