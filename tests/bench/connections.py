"""Idle connections: the memory of one, and logins (the upgrade to the answer of the first 1001) per CPU-second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from greenroom.tests.bench.measure import Figure, Load, node, rss_bytes, tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["figures"]

WARM_UP = 200
AT_ONCE = 50
PING_EVERY_S = 15.0
IDLE_S = 2
"""Users without traffic go to sleep after this time here, instead of after a minute."""


async def figures(*, seconds: float, repeats: int) -> AsyncIterator[Figure]:
    count = 5_000 if seconds >= 3 else 1_000
    awake: list[float] = []
    asleep: list[float] = []
    rates: list[float] = []
    for _ in range(repeats):
        env = {"GREENROOM_MESSAGE_IDLE_TIMEOUT_S": str(IDLE_S)}
        async with node(env=env) as process:
            assert process.process is not None
            pid = process.process.pid
            users = await tokens(process, [f"idle{number:05d}" for number in range(count + WARM_UP)])
            job = {
                "job": "logins", "port": process.ws_port, "pid": pid, "at_once": AT_ONCE, "ping_every_s": PING_EVERY_S
            }  # fmt: skip
            async with Load(**job, users=users[count:]) as load:
                await load.result()
            await asyncio.sleep(2 * IDLE_S)
            before = rss_bytes(pid)
            async with Load(**job, users=users[:count]) as load:
                result = await load.result()
                rates.append(count / result["cpu_s"])
                awake.append((rss_bytes(pid) - before) / count / 1024)
                await asyncio.sleep(2 * IDLE_S + 2)
                asleep.append((rss_bytes(pid) - before) / count / 1024)
    yield Figure("logins", rates, note=f"{AT_ONCE} at once")
    yield Figure("idle connection, its user awake", awake, "KiB", f"{count:,} connections, resident memory of the node")
    yield Figure("idle connection, its user asleep", asleep, "KiB", f"{IDLE_S} s idle timeout")
