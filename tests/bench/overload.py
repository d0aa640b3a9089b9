"""Twice what a node answers in a closed loop, offered whatever it answers: the acks' time, the work that is left over
for them, memory. The closed loop and the double load run one after the other on one node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.tests.bench.measure import Figure, Load, node, tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["figures"]

CONNECTIONS = 500
WINDOW = 16
TIMES = 2


async def figures(*, seconds: float, repeats: int) -> AsyncIterator[Figure]:
    results: list[dict[str, Any]] = []
    for _ in range(repeats):
        async with node() as process:
            users = await tokens(process, [f"user{number:04d}" for number in range(CONNECTIONS)])
            assert process.process is not None
            results.append(
                await Load.run(
                    job="excess", port=process.ws_port, pid=process.process.pid, users=users, window=WINDOW,
                    times=TIMES, seconds=seconds, warm_s=1.0,
                )
            )  # fmt: skip
    last = results[-1]
    name = f"{TIMES} x overload, {CONNECTIONS} connections"
    yield Figure(
        f"{name}: acks a CPU-s / closed loop", [each["work"] / each["calm_work"] for each in results], "ratio",
        f"{last['rate']:,.0f}/s in the closed loop; acked {last['acked_a_second']:,.0f}/s, refused "
        f"{last['refused_a_second']:,.0f}/s; load {last['load_share']:.2f} of a core",
    )  # fmt: skip
    for part in ("p50", "p99"):
        yield Figure(
            f"  ack {part} / p50 of the closed loop",
            [each[f"ack_{part}_ms"] / each["calm_p50_ms"] for each in results], "ratio", "from the write",
        )  # fmt: skip
    yield Figure("  ack p99", [each["ack_p99_ms"] for each in results], "ms", "from the write")
    yield Figure("  ack p99", [each["ack_planned_p99_ms"] for each in results], "ms", "from the planned time")
    yield Figure("  error p99", [each["error_p99_ms"] for each in results], "ms", "from the write; 0: none")
    yield Figure(
        "  memory at the end / at the beginning",
        [each["memory_mib"][-1] / each["memory_mib"][0] for each in results], "ratio", "node and writer",
    )  # fmt: skip
