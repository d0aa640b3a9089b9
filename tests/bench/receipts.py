"""One-to-one messages that are read at once: 1003 over WebSocket, mark_msgs_as_read over HTTP by the receiver, and the
receipt at the sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.tests.bench.measure import Figure, Load, node, tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["figures"]

PAIRS = 20
WINDOW = 8


async def figures(*, seconds: float, repeats: int) -> AsyncIterator[Figure]:
    rates: list[float] = []
    note = ""
    for _ in range(repeats):
        async with node() as process:
            assert process.process is not None
            users = await tokens(process, [f"user{number:04d}" for number in range(2 * PAIRS)])
            result = await Load.run(
                job="receipts", port=process.ws_port, api_port=process.api_port, pid=process.process.pid, users=users,
                window=WINDOW, seconds=seconds, warm_s=1.0,
            )  # fmt: skip
        rates.append(min(result["receipts"], *result["answers"]) / result["cpu_s"])
        note = (
            f"{result['receipts'] / result['wall_s']:,.0f}/s; the node's share "
            f"{result['node_s'] / result['cpu_s']:.2f}; load {result['load_share']:.2f} of a core"
        )
    yield Figure(f"one-to-one, read by HTTP one by one, {WINDOW} in flight", rates, note=note)
