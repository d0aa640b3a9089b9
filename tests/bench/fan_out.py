"""Stored messages of a group to 500 online members, against a bare loop of `socket.send` in the same run."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from typing import TYPE_CHECKING, Any

from greenroom.tests.bench.measure import Figure, Load, node, tokens
from greenroom.tests.kit.node_kit import SECRET
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["figures"]

MEMBERS = 500
RATE = 20
WINDOW = 8
FRAME_BYTES = 620
"""The size of a push of our text in JSON."""


async def figures(*, seconds: float, repeats: int) -> AsyncIterator[Figure]:
    paced: list[float] = []
    flat_out: list[float] = []
    paced_raw: list[float] = []
    flat_out_raw: list[float] = []
    note = ""
    async with node() as process:
        users = await tokens(process, [f"member{number:04d}" for number in range(MEMBERS)])
        async with Api(process.api_url) as api:
            admin = await api.admin_token(SECRET)
            group = await api.create_group(users[0][0], [user for user, _ in users[1:]], name="bench", token=admin)
        assert process.process is not None
        job: dict[str, Any] = {
            "job": "fan", "port": process.ws_port, "pid": process.process.pid, "users": users, "group": group,
            "window": WINDOW, "seconds": seconds, "warm_s": 1.0,
        }  # fmt: skip
        for _ in range(repeats):
            for rate, rates, raw in ((RATE, paced, paced_raw), (None, flat_out, flat_out_raw)):
                # The loop before and after: what a write costs changes from one moment to the next.
                before = await raw_sends(seconds, rate)
                result = await Load.run(**job, rate=rate)
                rates.append(result["pushes"][1] / result["cpu_s"])
                raw.append((before + await raw_sends(seconds, rate)) / 2)
                note = f"{result['answers'][0] / result['wall_s']:,.0f} messages/s; load {result['load_share']:.2f}"
    yield Figure(f"fan-out to {MEMBERS}, {RATE} messages/s", paced, note="deliveries")
    yield Figure(f"fan-out to {MEMBERS}, as fast as it goes", flat_out, note=note)
    yield Figure(f"  a bare loop of socket.send, {RATE} rounds/s", paced_raw, note="sends")
    yield Figure("  a bare loop of socket.send, as fast as it goes", flat_out_raw, note="sends")
    yield Figure(f"fan-out / bare loop, {RATE}/s", [a / b for a, b in zip(paced, paced_raw, strict=True)], "ratio")
    yield Figure(
        "fan-out / bare loop, as fast as it goes",
        [a / b for a, b in zip(flat_out, flat_out_raw, strict=True)], "ratio",
    )  # fmt: skip


async def raw_sends(seconds: float, rate: float | None) -> float:
    """Sends per CPU-second of this process: one write for each frame and socket."""
    async with Load(job="sink") as sink:
        port = (await sink.result())["port"]
        return await asyncio.to_thread(_send_loop, port, seconds, rate)


def _send_loop(port: int, seconds: float, rate: float | None) -> float:
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(MEMBERS)]
    for each in sockets:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        each.setblocking(False)
    frame = b"x" * FRAME_BYTES
    sent = 0
    began, spent = time.perf_counter(), time.thread_time()
    due = began
    while time.perf_counter() - began < seconds:
        for each in sockets:
            try:
                each.send(frame)
            except BlockingIOError:
                select.select([], [each], [])
                continue
            sent += 1
        if rate is not None:
            due += 1 / rate
            time.sleep(max(0.0, due - time.perf_counter()))
    spent = time.thread_time() - spent
    for each in sockets:
        each.close()
    return sent / spent
