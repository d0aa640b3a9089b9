"""Very many conversations awake: the memory of one of two users, and the rate of messages to any of them, over the rate
of the same senders to ten of them (many messages of one conversation then share a slice) and to as many conversations
as there are messages in flight (then they do not)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.tests.bench.measure import Figure, Load, node, rss_bytes, tokens
from greenroom.tests.kit.node_kit import SECRET
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["figures"]

SENDERS = 10
WINDOW = 16
REGISTERED_AT_ONCE = 500


async def figures(*, seconds: float, repeats: int) -> AsyncIterator[Figure]:
    peers = [f"peer{number:05d}" for number in range(10_000 if seconds >= 3 else 300)]
    count = SENDERS * len(peers)
    ratios: list[float] = []
    ratios_apart: list[float] = []
    beside: list[float] = []
    memory: list[float] = []
    note = ""
    for _ in range(repeats):
        async with node(env={"GREENROOM_MESSAGE_IDLE_TIMEOUT_S": "3600"}) as process:
            assert process.process is not None
            pid = process.process.pid
            users = await tokens(process, [f"user{number:02d}" for number in range(SENDERS)])
            async with Api(process.api_url) as api:
                admin = await api.admin_token(SECRET)
                for start in range(0, len(peers), REGISTERED_AT_ONCE):
                    await api.register(*peers[start : start + REGISTERED_AT_ONCE], admin_token=admin)
            job: dict[str, Any] = {
                "job": "spread", "port": process.ws_port, "pid": pid, "users": users, "window": WINDOW, "peers": peers,
                "fill": False, "few": 1, "seconds": seconds, "warm_s": 1.0,
            }  # fmt: skip
            few = _rate(await Load.run(**job))
            apart = _rate(await Load.run(**{**job, "few": WINDOW}))
            before = rss_bytes(pid)
            await Load.run(**{**job, "few": 0, "fill": True})
            memory.append((rss_bytes(pid) - before) / count / 1024)
            many = _rate(await Load.run(**{**job, "few": 0}))
            few_of_many = _rate(await Load.run(**job))
        ratios_apart.append(many / apart)
        ratios.append(many / (few + few_of_many) * 2)
        beside.append(few_of_many / few)
        note = f"{many:,.0f} over {few:,.0f} before and {few_of_many:,.0f} after, per CPU-s"
    name = f"{count:,} conversations awake"
    yield Figure(f"{name}: rate to all / to {SENDERS}", ratios, "ratio", note)
    yield Figure(f"{name}: rate to all / to {SENDERS * WINDOW}", ratios_apart, "ratio", "a message each in flight")
    yield Figure(f"{name}: rate to {SENDERS} / before", beside, "ratio", f"to the same {SENDERS}")
    yield Figure(f"{name}: memory of one", memory, "KiB", "resident memory of the node, its store's cache in it")


def _rate(result: dict[str, Any]) -> float:
    return float(result["answers"][0] / result["cpu_s"])
