"""Very many conversations awake: the memory of one of two users, and the rate of messages to any of them over the rate
of the same senders to ten of them, with as many messages in flight.

With one in flight a sender, only the number of conversations differs. With WINDOW of them, messages to one of ten
conversations share its slice, which those to any of very many cannot: that is compared with ten, and with as many
conversations as there are messages in flight, which share no slices either.
"""

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
    ratios: dict[str, list[float]] = {name: [] for name in ("one", "shared", "apart", "beside")}
    memory: list[float] = []
    notes: dict[str, str] = {}
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
                "job": "spread", "port": process.ws_port, "pid": pid, "users": users, "peers": peers,
                "fill": False, "seconds": seconds, "warm_s": 1.0,
            }  # fmt: skip

            async def rate(few: int, window: int, job: dict[str, Any] = job) -> float:
                result = await Load.run(**{**job, "few": few, "window": window})
                return float(result["answers"][0] / result["cpu_s"])

            one, shared, apart = await rate(1, 1), await rate(1, WINDOW), await rate(WINDOW, WINDOW)
            before = rss_bytes(pid)
            await Load.run(**{**job, "few": 0, "window": WINDOW, "fill": True})
            memory.append((rss_bytes(pid) - before) / count / 1024)
            all_one, all_many = await rate(0, 1), await rate(0, WINDOW)
            one_of_many, shared_of_many = await rate(1, 1), await rate(1, WINDOW)
        ratios["one"].append(2 * all_one / (one + one_of_many))
        ratios["shared"].append(2 * all_many / (shared + shared_of_many))
        ratios["apart"].append(all_many / apart)
        ratios["beside"].append(shared_of_many / shared)
        notes["one"] = f"{all_one:,.0f} over {one:,.0f} before and {one_of_many:,.0f} after, per CPU-s"
        notes["shared"] = f"{all_many:,.0f} over {shared:,.0f} before and {shared_of_many:,.0f} after, per CPU-s"
    name = f"{count:,} awake"
    many = SENDERS * WINDOW
    yield Figure(f"{name}: rate to all / to {SENDERS}, {SENDERS} in flight", ratios["one"], "ratio", notes["one"])
    yield Figure(f"{name}: the same, {many} in flight", ratios["shared"], "ratio", notes["shared"])
    yield Figure(f"{name}: rate to all / to {many}, {many} in flight", ratios["apart"], "ratio", "one in each of them")
    yield Figure(f"{name}: rate to {SENDERS} / before they woke", ratios["beside"], "ratio", f"{many} in flight")
    yield Figure(f"{name}: memory of one", memory, "KiB", "resident memory of the node, its store's cache in it")
