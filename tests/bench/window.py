"""Shared by the jobs of the load generator: the work between two moments, its end, and the output of results."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from greenroom.tests.bench.measure import cpu_s

if TYPE_CHECKING:
    from greenroom.tests.bench.lean_client import LeanClient

__all__ = ["Window", "say", "settle"]

_DRAIN_LIMIT_S = 20.0


class Window:
    """The work between two moments, and the CPU that the node used for it."""

    def __init__(self, pid: int, *clients: list[LeanClient]) -> None:
        self._pid = pid
        self._clients = clients
        self._begin = self._look()

    def _look(self) -> tuple[float, float, dict[int, float], list[int], list[int]]:
        return (
            time.perf_counter(), time.process_time(), cpu_s(self._pid),
            [sum(each.answers for each in some) for some in self._clients],
            [sum(each.pushes for each in some) for some in self._clients],
        )  # fmt: skip

    def close(self) -> dict[str, Any]:
        began, own, cpu, answers, pushes = self._begin
        now, own_now, cpu_now, answers_now, pushes_now = self._look()
        spent = {pid: after - cpu.get(pid, 0.0) for pid, after in cpu_now.items()}
        return {
            "wall_s": now - began,
            "cpu_s": sum(spent.values()),
            "node_s": spent.get(self._pid, 0.0),
            "load_share": (own_now - own) / (now - began),
            "answers": [after - before for before, after in zip(answers, answers_now, strict=True)],
            "pushes": [after - before for before, after in zip(pushes, pushes_now, strict=True)],
        }


async def settle(senders: list[LeanClient], pushed: list[tuple[list[LeanClient], int]]) -> None:
    """Wait until each send is answered, and each group of clients has its number of pushes. Raises TimeoutError."""
    async with asyncio.timeout(_DRAIN_LIMIT_S):
        while any(each.answers < each.sent for each in senders) or any(
            sum(each.pushes for each in some) < wanted for some, wanted in pushed
        ):
            if any(each.failed for some, _ in pushed for each in some):
                raise ConnectionError("a connection was lost")
            await asyncio.sleep(0.01)


def say(result: dict[str, Any]) -> None:
    print(json.dumps(result), flush=True)
