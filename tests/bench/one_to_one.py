"""One-to-one messages, acked and delivered, per CPU-second of the node and its writer; and what durability costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from greenroom.tests.bench.measure import Figure, Load, node, tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["drive", "figures", "job_of"]

PAIRS = 20
_OPEN_LOOP_PART = 0.8


@dataclass
class _Kind:
    name: str
    job: dict[str, Any]
    in_memory: bool = False
    rates: list[float] = field(default_factory=list)
    a_second: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)


def job_of(window: int, sdk_type: str = "js", *, gzip: bool = False) -> dict[str, Any]:
    return {"job": "pairs", "window": window, "sdk_type": sdk_type, "gzip": gzip, "rate": None}


async def drive(process: Any, job: dict[str, Any], *, seconds: float, warm_s: float = 1.0) -> dict[str, Any]:
    """Run a job of pairs against a started node."""
    users = await tokens(process, [f"user{number:04d}" for number in range(2 * PAIRS)])
    return await Load.run(
        **job, port=process.ws_port, pid=process.process.pid, users=users, seconds=seconds, warm_s=warm_s
    )


def _rate(result: dict[str, Any]) -> float:
    """The lower of two counts, which may differ at the edges of a window."""
    done: int = min(result["answers"][0], result["pushes"][1])
    return done / float(result["cpu_s"])


async def figures(*, seconds: float, repeats: int) -> AsyncIterator[Figure]:
    durable = _Kind("one-to-one, JSON, 8 in flight", job_of(8))
    memory = _Kind("one-to-one, JSON, 8 in flight, store in memory", job_of(8), in_memory=True)
    kinds = [
        durable, _Kind("one-to-one, gob+gzip, 8 in flight", job_of(8, "go", gzip=True)),
        _Kind("one-to-one, JSON, 1 in flight", job_of(1)), memory,
    ]  # fmt: skip
    # Kinds take turns, so that changes of the machine's speed affect all of them.
    for _ in range(repeats):
        for kind in kinds:
            env = {"BENCH_STORE": "memory"} if kind.in_memory else {}
            module = "greenroom.tests.bench.node" if kind.in_memory else "greenroom"
            async with node(module=module, env=env) as process:
                result = await drive(process, kind.job, seconds=seconds)
                kind.rates.append(_rate(result))
                a_second = result["answers"][0] / result["wall_s"]
                kind.a_second.append(a_second)
                kind.notes.append(
                    f"{a_second:,.0f}/s; the node's share {result['node_s'] / result['cpu_s']:.2f}; "
                    f"load {result['load_share']:.2f} of a core"
                )
                if kind is durable:
                    planned = {**kind.job, "rate": _OPEN_LOOP_PART * a_second}
                    latency = await drive(process, planned, seconds=seconds)
                    kind.p50.append(latency["p50_ms"])
                    kind.p99.append(latency["p99_ms"])
    for kind in kinds:
        yield Figure(kind.name, kind.rates, note=kind.notes[-1])
        if kind.p50:
            part = f"{_OPEN_LOOP_PART:.0%}"
            yield Figure(f"  its ack at {part} of its rate, p50", kind.p50, "ms", "from the planned time")
            yield Figure(f"  its ack at {part} of its rate, p99", kind.p99, "ms", "from the planned time")
    yield Figure("durable / in memory", [a / b for a, b in zip(durable.rates, memory.rates, strict=True)], "ratio")
    yield Figure(
        "durable / in memory, by wall clock",
        [a / b for a, b in zip(durable.a_second, memory.a_second, strict=True)], "ratio", "one after the other",
    )  # fmt: skip
