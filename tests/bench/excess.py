"""More load than a node can carry, from many connections: the answer to each send, and its latency."""

from __future__ import annotations

import asyncio
import binascii
import json
import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.tests.bench.lean_client import PLATFORM, connect, request_frame
from greenroom.tests.bench.measure import cpu_s, members_of, rss_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Crowd", "Told", "excess", "part_of"]

_TICK_S = 0.002
_MEMORY_EVERY_S = 0.5
_AT_ONCE = 64
_DRAIN_LIMIT_S = 30.0
_CLOSED = 1024
"""Number of sends in flight in the closed loop: one batch in the store, and one waiting."""
TEXT, TYPING = 101, 113


class _Answer(msgspec.Struct):
    errCode: int = 0
    msgIncr: str = ""
    data: str | None = None


@dataclass
class Told:
    """The outcomes of the sends."""

    acked: list[str] = field(default_factory=list)
    """Client message ids, in the order of the acks."""
    refused: dict[int, int] = field(default_factory=dict)
    """Error code -> number of sends."""
    written_ms: list[float] = field(default_factory=list)
    """Times from the write to the ack."""
    planned_ms: list[float] = field(default_factory=list)
    """Times from the planned time to the ack."""
    refused_ms: list[float] = field(default_factory=list)
    """Times from the write to the error."""
    planned: int = 0
    never_written: int = 0
    """Number of planned sends that still waited behind a full window at the end."""
    unanswered: int = 0
    memory: list[int] = field(default_factory=list)
    """Memory of the node and its writer in bytes, twice a second during the load."""
    cpu_s: float = 0.0
    """CPU time of the node and its writer during the load."""
    in_time: int = 0
    """Number of acks during the load."""
    seconds: float = 0.0

    def forget(self) -> None:
        """Start counting. The sends before were for warming up."""
        for each in (self.written_ms, self.planned_ms, self.refused_ms, self.acked):
            each.clear()
        self.refused.clear()
        self.planned = 0


class _Sender:
    """One connection: it writes its planned sends while fewer than `window` of them are pending."""

    def __init__(self, client: Any, user_id: str, peer: str, window: int, told: Told, content_type: int) -> None:
        self.client, self.user_id, self.peer = client, user_id, peer
        self.window, self.told, self.content_type = window, told, content_type
        self.under_way: dict[str, tuple[float, float]] = {}
        self.behind: deque[float] = deque()
        self.count = 0
        self.on_settled: Callable[[_Sender], None] | None = None
        client.on_answer = self._answered

    def plan(self, due: float) -> None:
        self.told.planned += 1
        if self.behind or len(self.under_way) >= self.window:
            self.behind.append(due)
        else:
            self._write(due)

    def _write(self, due: float) -> None:
        self.count += 1
        message = sdkws_pb2.MsgData(
            sendID=self.user_id, recvID=self.peer, senderPlatformID=PLATFORM, sessionType=1, msgFrom=100,
            contentType=self.content_type, clientMsgID=f"{self.user_id}_{self.count}",
            content=b'{"content":"%b"}' % (b"x" * 100),
        )  # fmt: skip
        self.under_way[f"{self.count:032x}"] = (due, time.perf_counter())
        self.client.transport.write(
            request_frame(1003, self.user_id, message.SerializeToString(), count=self.count)
        )

    def _answered(self, payload: bytes) -> None:
        answer = msgspec.json.decode(payload, type=_Answer)
        times = self.under_way.pop(answer.msgIncr, None)
        if times is None:
            return
        now, told = time.perf_counter(), self.told
        planned, written = times
        if answer.errCode:
            told.refused[answer.errCode] = told.refused.get(answer.errCode, 0) + 1
            told.refused_ms.append(1e3 * (now - written))
        else:
            told.acked.append(msg_pb2.SendMsgResp.FromString(binascii.a2b_base64(answer.data or "")).clientMsgID)
            told.written_ms.append(1e3 * (now - written))
            told.planned_ms.append(1e3 * (now - planned))
        if self.behind:
            self._write(self.behind.popleft())
        elif self.on_settled is not None:
            self.on_settled(self)


class Crowd:
    """Connections of users, each of whom writes to the next one."""

    def __init__(self, port: int, users: Sequence[tuple[str, str]], *, window: int, content_type: int = TEXT) -> None:
        self.port, self.users, self.window, self.content_type = port, users, window, content_type
        self.told = Told()
        self.senders: list[_Sender] = []

    async def open(self) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> _Sender:
            async with gate:
                user_id, token = self.users[number]
                peer = self.users[(number + 1) % len(self.users)][0]
                client = await connect(self.port, user_id, token)
                return _Sender(client, user_id, peer, self.window, self.told, self.content_type)

        self.senders = list(await asyncio.gather(*map(one, range(len(self.users)))))

    def close(self) -> None:
        for each in self.senders:
            each.client.transport.abort()

    @property
    def lost(self) -> int:
        """Number of connections that the node has closed."""
        return sum(each.client.failed for each in self.senders)

    @property
    def pushes(self) -> int:
        return sum(each.client.pushes for each in self.senders)

    async def closed_loop(self, seconds: float, *, pid: int, warm_s: float = 1.0) -> float:
        """Send as fast as the node answers, with _CLOSED sends in flight in all. Returns acks per second."""
        told = self.told

        def go_on(sender: _Sender) -> None:
            sender.plan(time.perf_counter())

        some = self.senders[:_CLOSED]
        for each in some:
            each.on_settled = go_on
        for number in range(_CLOSED):
            go_on(some[number % len(some)])
        await asyncio.sleep(warm_s)
        told.forget()
        began, spent = time.perf_counter(), sum(cpu_s(pid).values())
        await asyncio.sleep(seconds)
        told.cpu_s = sum(cpu_s(pid).values()) - spent
        told.in_time = len(told.acked)
        rate = told.in_time / (time.perf_counter() - began)
        for each in some:
            each.on_settled = None
        await self.drain()
        return rate

    async def open_loop(self, rate: float, seconds: float, *, pid: int, warm_s: float = 0.0, seed: int = 1) -> Told:
        """Send `rate` messages per second, whatever the answers are, each from a random connection."""
        told, dice = self.told, random.Random(seed)
        told.forget()
        told.memory = []
        spent = sum(cpu_s(pid).values())
        step, due = 1 / rate, time.perf_counter()
        counts_from, look_at = due + warm_s, due
        until = counts_from + seconds
        while (now := time.perf_counter()) < until:
            if counts_from and now >= counts_from:
                counts_from = 0.0
                told.forget()
                spent = sum(cpu_s(pid).values())
            if now >= look_at:
                told.memory.append(sum(map(rss_bytes, members_of(pid))))
                look_at += _MEMORY_EVERY_S
            while due <= now:
                dice.choice(self.senders).plan(due)
                due += step
            await asyncio.sleep(_TICK_S)
        told.in_time, told.seconds = len(told.acked), seconds
        told.cpu_s = sum(cpu_s(pid).values()) - spent
        for each in self.senders:
            told.never_written += len(each.behind)
            each.behind.clear()
        await self.drain()
        told.unanswered = sum(len(each.under_way) for each in self.senders if not each.client.failed)
        return told

    async def drain(self) -> None:
        """Wait until each send is answered; give up after a time."""
        deadline = time.perf_counter() + _DRAIN_LIMIT_S
        while any(each.under_way for each in self.senders if not each.client.failed):
            if time.perf_counter() > deadline:
                break
            await asyncio.sleep(0.02)


def part_of(values: Sequence[float], part: float) -> float:
    """A quantile; 0 of nothing."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else 0.0


async def excess(job: dict[str, Any]) -> None:
    """Measure the rate of the closed loop, then offer `times` this rate."""
    crowd = Crowd(job["port"], job["users"], window=job["window"])
    await crowd.open()
    rate = await crowd.closed_loop(job["seconds"], pid=job["pid"])
    calm, calm_work = part_of(crowd.told.written_ms, 0.5), crowd.told.in_time / crowd.told.cpu_s
    began = time.process_time()
    told = await crowd.open_loop(job["times"] * rate, job["seconds"], pid=job["pid"], warm_s=job["warm_s"])
    result = {
        "rate": rate,
        "calm_p50_ms": calm,
        "calm_work": calm_work,
        "work": told.in_time / told.cpu_s,
        "cpu": told.cpu_s / told.seconds,
        "acked_a_second": told.in_time / told.seconds,
        "refused_a_second": sum(told.refused.values()) / told.seconds,
        "refused": told.refused,
        "never_written": told.never_written,
        "planned": told.planned,
        "unanswered": told.unanswered,
        "lost": crowd.lost,
        "load_share": (time.process_time() - began) / (job["seconds"] + job["warm_s"]),
        "memory_mib": [round(each / 2**20, 1) for each in told.memory],
    }
    for name, values in (("ack", told.written_ms), ("ack_planned", told.planned_ms), ("error", told.refused_ms)):
        result |= {f"{name}_p50_ms": part_of(values, 0.5), f"{name}_p99_ms": part_of(values, 0.99),
                   f"{name}_max_ms": max(values, default=0.0)}  # fmt: skip
    print(json.dumps(result), flush=True)
    crowd.close()
