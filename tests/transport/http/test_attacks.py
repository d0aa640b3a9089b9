"""Clients that mean harm or have died: none of them takes the API from others, for long or by much memory."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.http_kit import ADMIN_ID, http_stage, until
from greenroom.transport.http import server
from greenroom.transport.http.access import ANYONE
from greenroom.transport.http.response import TEXT, HttpResponse
from greenroom.transport.http.routes import ROUTES
from greenroom.transport.http.table import plain

if TYPE_CHECKING:
    from greenroom.tests.kit.http_kit import HttpStage, Peer
    from greenroom.transport.http.call import Call
    from greenroom.transport.http.http_request import HttpRequest

PLAIN = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
WELL = b'{"status":"ok"}'
MIB = 2**20


@pytest.fixture(autouse=True)
def _quick_reviews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_REVIEW_S", 0.02)


def promise(http: HttpStage, size: int, user: str = "u1") -> bytes:
    lines = ["POST /user/get_users_info HTTP/1.1", "host: x", "operationID: o", f"token: {http.tokens[user]}"]
    return "\r\n".join([*lines, f"content-length: {size}", "", ""]).encode()


def held(http: HttpStage) -> int:
    assert http.server._connections is not None
    return len(http.server._connections.connections)


async def all_closed(http: HttpStage) -> None:
    """Returns when the server has let go of every connection."""
    connections = http.server._connections
    assert connections is not None
    while connections.connections:
        connections.all_closed.clear()
        await connections.all_closed.wait()


def leave(*peers: Peer) -> None:
    for peer in peers:
        peer.abort()


async def test_heads_that_never_end() -> None:
    """Whatever a head is made of, it holds little, and not for long. Unbounded, the fields alone took 1.9 MB each."""
    starts = [PLAIN[:-2] + b"a: b\r\n" * 10_000, PLAIN[:-2] + b"a: " + b"b" * 61_000, PLAIN[:-2] + b"a: b\r\n" * 90]
    async with http_stage(HTTP_HEAD_TIMEOUT_S="1") as http:
        await http.client.get("/healthz")  # What is made once.
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        peers = [await http.connect() for _ in range(150)]
        for number, peer in enumerate(peers):
            peer.writer.write(starts[number % 3])
        assert await peers[0].reader.readuntil(b"\r\n\r\n") != b""  # It was told that its head is too large.
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak - before < len(peers) * 100_000, f"{(peak - before) / len(peers):.0f} bytes each"
        for peer in peers[2::3]:
            assert await peer.reader.read() == b""
        leave(*peers)


async def test_silence_where_bodies_were_promised() -> None:
    """They hold no place of a call in flight, and are told when their time is over."""
    async with http_stage(HTTP_REQUESTS_IN_FLIGHT="4", HTTP_BODY_TIMEOUT_S="3", OVERLOAD_PATIENCE_S="0.1") as http:
        peers = [await http.connect() for _ in range(60)]
        for peer in peers:
            await peer.say(promise(http, 1000))
        assert (await http.data("/user/get_users_info", {"userIDs": ["u1"]}))["usersInfo"]
        for peer in peers:
            assert (await peer.answer())[0].startswith(b"HTTP/1.1 408 ")
        leave(*peers)


async def test_large_bodies_that_stall() -> None:
    """The room for bodies is full of bodies that are not whole. A smaller one gets its room from the largest."""
    async with http_stage(HTTP_MAX_BODY_BYTES=str(MIB), HTTP_BODIES_LIMIT_BYTES=str(8 * MIB)) as http:
        peers = [await http.connect() for _ in range(8)]
        for peer in peers:
            await peer.say(promise(http, MIB, ADMIN_ID), b" " * (MIB - 1))  # A user's would share a quarter.
        bodies = http.server._api._bodies
        await until(lambda: bodies.size_bytes >= 8 * MIB - 8)
        for size in (0, MIB // 2, MIB - 100):
            body = b'{"userIDs":["u1"]}' + b" " * size
            assert (await http.post("/user/get_users_info", body)).json()["errCode"] == 0
        refused = [peer for peer in peers if peer.reader._buffer]  # type: ignore[attr-defined]
        assert 1 <= len(refused) <= 3
        head, answer = await refused[0].answer()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b'"errCode":500' in answer
        assert len(bodies.arriving) == 8 - len(refused)
        leave(*peers)
        await all_closed_but_client(http)
        assert bodies.size_bytes == 0


async def all_closed_but_client(http: HttpStage) -> None:
    await http.client.aclose()
    await all_closed(http)


async def large(call: Call, request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"x" * 20 * MIB, content_type=TEXT)


@pytest.mark.parametrize("request_line", [b"GET /large HTTP/1.1", b"GET /large HTTP/1.0"])
async def test_answers_that_nobody_reads(request_line: bytes) -> None:
    routes = [*ROUTES, plain("GET", "/large", ANYONE, large)]
    async with http_stage(routes=routes, HTTP_WRITE_TIMEOUT_S="0.2") as http:
        peers = [await http.connect() for _ in range(5)]
        for peer in peers:
            peer.stop_reading()
            await peer.say(request_line + b"\r\nhost: x\r\n\r\n")
        await all_closed(http)
        leave(*peers)


async def test_unread_answers_have_a_bound_together() -> None:
    """The connection with the most unsent bytes is closed. Unbounded, 300 answers of 8 MB took a gigabyte and more."""
    routes = [*ROUTES, plain("GET", "/large", ANYONE, large)]
    async with http_stage(routes=routes, HTTP_ANSWERS_LIMIT_BYTES=str(50 * MIB)) as http:
        peers = [await http.connect() for _ in range(5)]
        for peer in peers:
            peer.stop_reading()
            await peer.say(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: held(http) == 2)
        assert http.server._connections is not None
        unsent = sum(one.transport.get_write_buffer_size() for one in http.server._connections.connections)
        assert 30 * MIB < unsent <= 50 * MIB
        assert (await http.client.get("/healthz")).content == WELL
        leave(*peers)


async def test_calls_of_one_user_at_once() -> None:
    """Further ones wait for the user's own ones, and take no place from others."""
    async with http_stage(HTTP_REQUESTS_IN_FLIGHT_PER_USER="2", HTTP_REQUESTS_IN_FLIGHT="3") as http:
        http.asks.go.clear()
        calls = [asyncio.ensure_future(http.post("/user/get_users_info", {"userIDs": ["u1"]})) for _ in range(10)]
        await until(lambda: http.asks.waiting == 2)
        other = asyncio.ensure_future(http.post("/user/get_users_info", {"userIDs": ["u1"]}, user="u2"))
        await until(lambda: http.asks.waiting == 3)
        http.asks.go.set()
        assert [(await one).json()["errCode"] for one in (*calls, other)] == [0] * 11
        assert not http.server._api._callers._calls


async def test_slow_reader_is_served() -> None:
    """Less than a time-out's worth a look, but something each time."""
    routes = [*ROUTES, plain("GET", "/large", ANYONE, large)]
    async with http_stage(routes=routes, HTTP_WRITE_TIMEOUT_S="0.5") as http:
        peer = await http.connect(limit=MIB)
        await peer.say(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        taken = 0
        while piece := await peer.reader.read(MIB):
            taken += len(piece)
            if taken < 5 * MIB:
                await asyncio.sleep(0.03)  # It takes longer than the time-out in all.
        assert taken > 20 * MIB
        leave(peer)


async def test_requests_without_end_from_a_client_that_reads_nothing() -> None:
    """What waits behind an answer is what one read brings. The rest stays in the sockets' buffers."""
    async with http_stage(HTTP_WRITE_TIMEOUT_S="0.2") as http:
        peer = await http.connect()
        peer.stop_reading()
        assert http.server._connections is not None
        sending = asyncio.ensure_future(peer.say(*[PLAIN * 1000] * 1000))
        most = 0
        while not sending.done():
            for connection in http.server._connections.connections:
                most = max(most, len(connection.pipeline))
            await asyncio.sleep(0)
        assert isinstance(sending.exception(), ConnectionError)
        assert 0 < most <= 2048 // len(PLAIN) + 1
        leave(peer)


async def test_chunks_of_one_byte() -> None:
    """They may take long; others are served meanwhile. Parsed as they came, 16 MiB held the loop for 1.4 s."""
    async with http_stage() as http:
        peer, other = await http.connect(), await http.connect()
        head = promise(http, 0).replace(b"content-length: 0", b"transfer-encoding: chunked")
        sending = asyncio.ensure_future(peer.say(head, *[b"1\r\n \r\n" * 50_000] * 10, b"0\r\n\r\n"))
        longest = 0.0
        while not sending.done():
            began = time.thread_time()  # The time of this thread alone: the machine may be busy.
            await other.say(PLAIN)
            assert (await other.answer())[1] == WELL
            longest = max(longest, time.thread_time() - began)
        assert longest < 0.1
        assert b'"errCode":1001' in (await peer.answer())[1]
        leave(peer, other)


async def test_upload_that_trickles_holds_nobody() -> None:
    """A body that comes a byte at a time, and is not done when its time is over."""
    async with http_stage(HTTP_REQUESTS_IN_FLIGHT="1", HTTP_BODY_TIMEOUT_S="0.3") as http:
        peer = await http.connect()
        await peer.say(promise(http, 1000))
        while not peer.reader._buffer:  # type: ignore[attr-defined]
            await peer.say(b" ")
            assert (await http.data("/user/get_users_info", {"userIDs": ["u1"]}))["usersInfo"]
        assert (await peer.answer())[0].startswith(b"HTTP/1.1 408 ")
        leave(peer)
