"""The start of a node whose store holds millions of messages, to its first ack, over that of one with one message."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from greenroom.tests.bench.bulk_store import hub_name, peer_name, write_store
from greenroom.tests.bench.lean_client import LeanClient, connect, messages_of
from greenroom.tests.bench.measure import Figure
from greenroom.tests.kit.node_kit import SECRET, NodeProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["figures"]

PEERS = 1_000
STARTS = 4
"""Number of starts in each repeat. The stores take turns."""
_TRY_EVERY_S = 0.002


async def figures(*, seconds: float, repeats: int) -> AsyncIterator[Figure]:
    hubs, each = (100, 100) if seconds >= 3 else (10, 10)
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".bench-") as folder:
        nodes: list[tuple[NodeProcess, str, list[float], list[float]]] = []
        for name, messages in (("full", each), ("small", 1)):
            process = NodeProcess(Path(folder, name))
            process.folder.mkdir()
            users = (1, 1) if messages == 1 else (hubs, PEERS)
            database = process.data_dir / "greenroom.db"
            write_store(database, hubs=users[0], peers=users[1], messages=messages, text_bytes=10)
            await process.start()
            token = (await process.tokens(hub_name(0), platform_id=2))[hub_name(0)]
            await process.terminate()
            nodes.append((process, token, [], []))
        for _ in range(repeats * STARTS):
            for process, token, walls, cpus in nodes:
                wall, cpu = await _first_ack(process, token)
                walls.append(wall)
                cpus.append(cpu)
        (full, _, full_s, full_cpu), (_, _, small_s, small_cpu) = nodes
        size = (full.data_dir / "greenroom.db").stat().st_size / 1e9
    note = f"{hubs * PEERS:,} conversations, {size:.1f} GB"
    name = f"start with {hubs * PEERS * each:,} messages"
    yield Figure(f"{name} / with one", [a / b for a, b in zip(full_s, small_s, strict=True)], "ratio", note)
    yield Figure("  CPU of its life / with one", [a / b for a, b in zip(full_cpu, small_cpu, strict=True)], "ratio")
    yield Figure("  process start to the first ack", full_s, "s", "wall clock")
    yield Figure("  the same with one", small_s, "s", "wall clock")


async def _first_ack(process: NodeProcess, token: str) -> tuple[float, float]:
    """Seconds from the start of the process to the first ack, and the process's CPU time up to its end."""
    command = [
        sys.executable, "-m", "greenroom", "serve", "--data-dir", str(process.data_dir),
        "--ws-port", str(process.ws_port), "--api-port", str(process.api_port),
    ]  # fmt: skip
    make = messages_of(hub_name(0), to=peer_name(0))
    spent_before = os.times()
    with (process.folder / "node.log").open("ab") as log:
        began = time.perf_counter()
        process.process = subprocess.Popen(  # noqa: ASYNC220 (a moment, in a benchmark)
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "GREENROOM_SECRET": SECRET}
        )
    try:
        client: LeanClient | None = None
        while client is None:
            with contextlib.suppress(ConnectionError, OSError):
                client = await connect(process.ws_port, hub_name(0), token)
            await asyncio.sleep(_TRY_EVERY_S)
            if process.process.poll() is not None:
                raise RuntimeError(process.log)
        answered = asyncio.get_running_loop().create_future()
        client.on_answer = answered.set_result
        client.transport.write(make())
        answer = await answered
        wall = time.perf_counter() - began
        assert b'"errCode":0' in answer, answer
        client.transport.close()
    finally:
        await process.terminate()
        process.close()
    spent = os.times()
    return wall, sum(spent[2:4]) - sum(spent_before[2:4])
