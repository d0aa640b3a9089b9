"""The load generator: reads a job (a line of JSON), drives a node, prints results as lines of JSON.

It never counts into a figure, and says what share of a core it used itself, so that one sees whether it held
the node up. `python -m greenroom.tests.bench.load` is run by `measure.Load`.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import deque
from functools import partial
from typing import Any

import uvloop

from greenroom.tests.bench.excess import excess
from greenroom.tests.bench.lean_client import LeanClient, connect, messages_of, request_frame
from greenroom.tests.bench.many_conversations import spread
from greenroom.tests.bench.receipt_load import receipts
from greenroom.tests.bench.sync_load import sync
from greenroom.tests.bench.window import Window, say, settle
from greenroom.transport.envelope.codec import codec

_PING_STEP_S = 0.1
_TICK_S = 0.001


async def pairs(job: dict[str, Any]) -> None:
    """One-to-one messages, each acked and delivered: `window` in flight a pair, or `rate` a second, planned."""
    kind: dict[str, Any] = {"sdk_type": job["sdk_type"], "gzip": job["gzip"]}
    users = job["users"]
    clients = [await connect(job["port"], user, token, **kind) for user, token in users]
    senders, receivers = clients[::2], clients[1::2]
    makers = [
        messages_of(users[n][0], to=users[n + 1][0], **kind) for n in range(0, len(users), 2)
    ]
    make_of = dict(zip(senders, makers, strict=True))
    planned: dict[LeanClient, deque[float]] = {each: deque() for each in senders}
    waits: list[float] = []
    stopped = False

    def refill(client: LeanClient, answers: int) -> None:
        if answers and not stopped:
            make = make_of[client]
            client.sent += answers
            client.transport.write(b"".join([make() for _ in range(answers)]))

    def note(client: LeanClient, answers: int) -> None:
        now = time.perf_counter()
        times = planned[client]
        waits.extend(now - times.popleft() for _ in range(answers))

    if job["rate"] is None:
        for each in senders:
            each.on_data = refill
            refill(each, job["window"])
        await asyncio.sleep(job["warm_s"])
        window = Window(job["pid"], senders, receivers)
        await asyncio.sleep(job["seconds"])
    else:
        for each in senders:
            each.on_data = note
        dice = random.Random(1)
        step, due = 1 / job["rate"], time.perf_counter()
        warm_until = due + job["warm_s"]
        until = warm_until + job["seconds"]
        begun: Window | None = None
        while (now := time.perf_counter()) < until:
            if begun is None and now >= warm_until:
                begun = Window(job["pid"], senders, receivers)
                waits.clear()
            while due <= now:
                client = dice.choice(senders)
                planned[client].append(due)
                client.sent += 1
                client.transport.write(make_of[client]())
                due += step
            await asyncio.sleep(_TICK_S)
        assert begun is not None
        window = begun
    result = window.close()
    stopped = True
    sent = sum(each.sent for each in senders)
    await settle(senders, [(receivers, sent), (senders, sent)])
    for each in senders:
        assert each.first_answer is not None
        answer = codec(kind["sdk_type"], kind["gzip"]).decode_response(each.first_answer)
        assert (answer.req_identifier, answer.err_code) == (1003, 0), answer
    assert sum(each.answers for each in senders) == sum(each.pushes for each in receivers) == sent
    waits.sort()
    if waits:
        result["p50_ms"], result["p99_ms"] = (1e3 * waits[int(len(waits) * part)] for part in (0.5, 0.99))
    say(result)


async def logins(job: dict[str, Any]) -> None:
    """Connect everybody, `at_once` at a time, each with a first 1001; then stay until told to end. Each pings every
    `ping_every_s` from its login on (None: never)."""
    window = Window(job["pid"], [])
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(job["at_once"])
    due: deque[tuple[float, LeanClient]] = deque()
    every_s = job["ping_every_s"]

    async def one(user_id: str, token: str) -> None:
        async with gate:
            client = await connect(job["port"], user_id, token)
            answered = loop.create_future()
            client.on_data = lambda *_: None if answered.done() else answered.set_result(None)
            client.transport.write(request_frame(1001, user_id, b"\x0a" + bytes((len(user_id),)) + user_id.encode()))
            await answered
            client.on_data = None
            due.append((loop.time() + (every_s or 0.0), client))

    async def ping() -> None:
        while True:
            while due and due[0][0] <= loop.time():
                at, client = due.popleft()
                client.ping()
                due.append((at + every_s, client))
            await asyncio.sleep(_PING_STEP_S)

    pinging = asyncio.create_task(ping()) if every_s is not None else None
    await asyncio.gather(*[one(user_id, token) for user_id, token in job["users"]])
    say(window.close())
    ended = loop.run_in_executor(None, sys.stdin.read)
    while not ended.done():
        await asyncio.wait([ended], timeout=1.0)
        if any(each.failed for _, each in due):
            raise ConnectionError("a connection was lost")
    if pinging is not None:
        pinging.cancel()


async def fan(job: dict[str, Any]) -> None:
    """Messages of one member to a group whose members all are here: `rate` a second, or `window` in flight."""
    members = [await connect(job["port"], user, token) for user, token in job["users"]]
    sender = members[0]
    make = messages_of(job["users"][0][0], group=job["group"])
    delivered = [0]
    stopped = False
    before = dict.fromkeys(members, 0)

    def pump() -> None:
        """A message counts as in flight until all members have it and its sender has the ack."""
        if not stopped and job["rate"] is None:
            done = min(delivered[0] // len(members), sender.answers)
            free = job["window"] - (sender.sent - done)
            if free > 0:
                sender.sent += free
                sender.transport.write(b"".join([make() for _ in range(free)]))

    def count(client: LeanClient, answers: int) -> None:
        delivered[0] += client.pushes - before[client]
        before[client] = client.pushes
        pump()

    for each in members:
        each.on_data = count

    async def go(seconds: float) -> None:
        if job["rate"] is None:
            pump()
            await asyncio.sleep(seconds)
            return
        due = time.perf_counter()
        until = due + seconds
        while due < until:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sender.sent += 1
            sender.transport.write(make())
            due += 1 / job["rate"]

    await go(job["warm_s"])
    window = Window(job["pid"], [sender], members)
    await go(job["seconds"])
    result = window.close()
    stopped = True
    await settle([sender], [(members, sender.sent * len(members))])
    say(result)


async def sink(job: dict[str, Any]) -> None:
    """Accepts connections and reads all data, for the raw send loop."""

    class Sink(asyncio.Protocol):
        pass

    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, backlog=4096)
    say({"port": server.sockets[0].getsockname()[1]})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


class HttpCaller(asyncio.Protocol):
    """One keep-alive connection, one call at a time."""

    def __init__(self, requests: list[bytes]) -> None:
        self._requests = requests
        self._buffer = b""
        self.answers = self.pushes = 0
        self.stopped = False
        self.failed = ""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._transport.write(self._requests[0])

    def data_received(self, data: bytes) -> None:
        data = self._buffer = self._buffer + data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        place = data.lower().find(b"content-length:") + 15
        if len(data) < end + int(data[place : data.find(b"\r", place)]):
            return
        if not data.startswith(b"HTTP/1.1 200") or b'"errCode":0' not in data[end:]:
            self.failed = data.decode(errors="replace")
        self._buffer = b""
        self.answers += 1
        if not self.stopped:
            self._transport.write(self._requests[self.answers % len(self._requests)])


async def http(job: dict[str, Any]) -> None:
    """Calls over keep-alive connections, each connection one call at a time."""
    requests = []
    for body in job["bodies"]:
        text = json.dumps(body)
        requests.append(
            f"POST {job['path']} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\noperationID: bench-http\r\n"
            f"token: {job['token']}\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode()
        )
    loop = asyncio.get_running_loop()
    callers: list[Any] = []
    for number in range(job["connections"]):
        shift = number % len(requests)
        turned = requests[shift:] + requests[:shift]
        callers.append((await loop.create_connection(partial(HttpCaller, turned), "127.0.0.1", job["port"]))[1])
    await asyncio.sleep(job["warm_s"])
    window = Window(job["pid"], callers)
    await asyncio.sleep(job["seconds"])
    result = window.close()
    for each in callers:
        each.stopped = True
        assert not each.failed, each.failed
    say(result)


JOBS = {
    "pairs": pairs, "logins": logins, "fan": fan, "sink": sink, "http": http, "excess": excess,
    "receipts": receipts, "spread": spread, "sync": sync,
}  # fmt: skip


if __name__ == "__main__":
    given = json.loads(sys.stdin.readline())
    uvloop.run(JOBS[given.pop("job")](given))
