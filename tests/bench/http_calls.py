"""HTTP calls per CPU-second of the node and its writer: a read, and a durable send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.tests.bench.measure import Figure, Load, node, tokens
from greenroom.tests.kit.node_kit import SECRET
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["figures"]

CONNECTIONS = 32
PAIRS = 20


async def figures(*, seconds: float, repeats: int) -> AsyncIterator[Figure]:
    rates: dict[str, list[float]] = {"user/get_users_info": [], "msg/send_msg": []}
    async with node() as process:
        users = [user for user, _ in await tokens(process, [f"user{number:04d}" for number in range(2 * PAIRS)])]
        async with Api(process.api_url) as api:
            admin = await api.admin_token(SECRET)
        bodies: dict[str, list[dict[str, Any]]] = {
            "user/get_users_info": [{"userIDs": [user]} for user in users],
            "msg/send_msg": [
                {
                    "sendID": users[n], "recvID": users[n + 1], "senderPlatformID": 2, "sessionType": 1,
                    "contentType": 101, "content": {"content": "x" * 100},
                }
                for n in range(0, 2 * PAIRS, 2)
            ],
        }  # fmt: skip
        assert process.process is not None
        for _ in range(repeats):
            for path, rate in rates.items():
                result = await Load.run(
                    job="http", port=process.api_port, pid=process.process.pid, path=f"/{path}", token=admin,
                    bodies=bodies[path], connections=CONNECTIONS, seconds=seconds, warm_s=1.0,
                )  # fmt: skip
                rate.append(result["answers"][0] / result["cpu_s"])
    for path, rate in rates.items():
        yield Figure(f"HTTP {path}", rate, note=f"{CONNECTIONS} connections")
