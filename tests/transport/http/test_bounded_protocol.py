"""Requests however they come, and connections that go: bounds, pipelines, bodies in parts, the drain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.http_kit import http_stage, until
from greenroom.transport.http import bounded_protocol, server
from greenroom.transport.http.access import ANYONE
from greenroom.transport.http.request_body import chunks
from greenroom.transport.http.response import HttpResponse
from greenroom.transport.http.table import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from greenroom.tests.kit.http_kit import HttpStage, Peer
    from greenroom.transport.http.bounded_protocol import Connections
    from greenroom.transport.http.call import Call
    from greenroom.transport.http.http_request import HttpRequest

TIME = "/msg/get_server_time"
PLAIN = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
WELL = b'{"status":"ok"}'


@pytest.fixture
async def peer(http: HttpStage) -> AsyncIterator[Peer]:
    peer = await http.connect()
    yield peer
    peer.writer.close()


def shared(http: HttpStage) -> Connections:
    assert http.server._connections is not None
    return http.server._connections


def post(http: HttpStage, body: bytes = b"{}", *headers: str, path: str = TIME) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", "operationID: o", f"token: {http.tokens['u1']}"]
    length = [] if headers else [f"content-length: {len(body)}"]
    return "\r\n".join([*lines, *headers, *length, "", ""]).encode() + body


async def test_request_byte_by_byte(http: HttpStage, peer: Peer) -> None:
    await peer.say(*(bytes([each]) for each in post(http)))
    assert b'"errCode":0' in (await peer.answer())[1]


async def test_chunked_body(http: HttpStage, peer: Peer) -> None:
    await peer.say(post(http, b"1\r\n{\r\n", "transfer-encoding: chunked"), b"1\r\n}\r\n0\r\n\r\n", PLAIN)
    assert b'"errCode":0' in (await peer.answer())[1]
    assert (await peer.answer())[1] == WELL


async def test_escaped_path(http: HttpStage, peer: Peer) -> None:
    await peer.say(post(http, path="/msg/%67et_server_time?a=b"))
    assert b'"errCode":0' in (await peer.answer())[1]


async def test_requests_behind_a_slow_one(http: HttpStage, peer: Peer) -> None:
    http.asks.go.clear()
    await peer.say(post(http), PLAIN, post(http), PLAIN)
    await http.asks.begun.wait()
    assert http.asks.count == 1
    http.asks.go.set()
    assert [(await peer.answer())[1] == WELL for _ in range(4)] == [False, True, False, True]


async def test_answer_before_the_body_has_come(http: HttpStage, peer: Peer) -> None:
    await peer.say(post(http, b"x" * 500, "content-length: 1000", path="/nowhere"))
    assert (await peer.answer())[0].startswith(b"HTTP/1.1 404 ")
    await peer.say(b"x" * 500 + PLAIN)
    assert (await peer.answer())[1] == WELL


async def test_refused_client_that_waits_for_a_go_ahead(http: HttpStage, peer: Peer) -> None:
    await peer.say(post(http, b"", "content-length: 2", "expect: 100-continue", path="/nowhere"))
    head, _ = await peer.answer()
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"connection: close" in head
    assert await peer.reader.read() == b""


H2C = "connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEAAEAA"


async def test_upgrade_is_not_taken_up(http: HttpStage, peer: Peer) -> None:
    """The request is answered as if it had not been offered, and the connection goes on."""
    chunked = post(http, b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", "transfer-encoding: chunked", *H2C)
    plain = post(http, b"{}", "content-length: 2", *H2C)
    bodiless = PLAIN[:-2] + "\r\n".join([*H2C, "", ""]).encode()
    whole = plain + bodiless + chunked + PLAIN + plain
    for parts in ([whole], [bytes([each]) for each in whole]):
        await peer.say(*parts)
        for is_well in (False, True, False, True, False):
            head, body = await peer.answer()
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" not in head
            assert body == WELL if is_well else b'"errCode":0' in body


async def test_answer_to_a_body_that_is_still_sent(http: HttpStage, peer: Peer) -> None:
    """The connection closes after it; a client that reads only when it has sent all hears it, too."""
    await peer.say(post(http, b"", "content-length: 3000000", "connection: close", path="/nowhere"))
    head = await peer.reader.readuntil(b"\r\n\r\n")
    assert b"connection: close" in head
    await peer.say(*[b"x" * 100_000] * 30)
    assert await peer.reader.read() == b"404 page not found"
    peer.writer.close()
    await until(lambda: not shared(http).connections)


async def test_drain_while_a_client_still_sends(http: HttpStage, peer: Peer) -> None:
    """It has its answer, so nobody waits for it."""
    await peer.say(post(http, b"", "content-length: 3000000", "connection: close", path="/nowhere"))
    assert (await peer.answer())[1] == b"404 page not found"
    assert shared(http).connections
    await http.server.drain(60)
    assert not shared(http).connections


@pytest.mark.parametrize("broken_off", ["", "head", "body"])
async def test_client_that_says_no_more(http: HttpStage, peer: Peer, broken_off: str) -> None:
    """`nc -N` ends its side with the request."""
    http.asks.go.clear()
    rest = {"": b"", "head": PLAIN[:-2], "body": post(http, b"{", "content-length: 2")}[broken_off]
    await peer.say(post(http), PLAIN, post(http), rest)
    peer.writer.write_eof()
    await http.asks.begun.wait()
    http.asks.go.set()
    assert [(await peer.answer())[1] == WELL for _ in range(3)] == [False, True, False]
    assert await peer.reader.read() == b""
    await until(lambda: not shared(http).connections)


@pytest.mark.parametrize("rest", [b"x\r\n", PLAIN[:-2] + b"content-length: x\r\n\r\n"])
async def test_no_request_behind_a_request(http: HttpStage, peer: Peer, rest: bytes) -> None:
    http.asks.go.clear()
    await peer.say(post(http) + post(http) + rest)
    await http.asks.begun.wait()
    http.asks.go.set()
    answers = [(await peer.answer()) for _ in range(2)]
    assert [b'"errCode":0' in body for _, body in answers] == [True, True]
    assert b"connection: close" in answers[1][0]
    assert await peer.reader.read() == b""


async def test_malformed_body_that_nobody_receives() -> None:
    """Reading had stopped; it goes on, or what is left unread would lose the client the answer."""

    async def hold(call: Call, request: HttpRequest) -> HttpResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with http_stage(routes=[plain("PUT", "/held", ANYONE, hold)]) as http:
        peer = await http.connect()
        head = b"PUT /held HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        await peer.say(head, b"%x\r\n%b\r\n" % (66_000, b"x" * 66_000) + b"z\r\n")
        assert (await peer.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        await peer.say(*[b"x" * 1_000_000] * 30)
        assert await peer.reader.read() == b"Bad Request"
        peer.writer.close()


async def test_malformed_body(http: HttpStage, peer: Peer) -> None:
    chunked = post(http, b"1\r\n{\r\nz\r\n", "transfer-encoding: chunked")
    await peer.say(chunked)
    assert (await peer.reader.read()).startswith(b"HTTP/1.1 400 ")
    other = await http.connect()
    await other.say(PLAIN + chunked)
    assert (await other.answer())[1] == WELL
    assert await other.reader.read() == b""
    other.writer.close()


@pytest.mark.parametrize("keeps_coming", [True, False])
async def test_slow_body(monkeypatch: pytest.MonkeyPatch, keeps_coming: bool) -> None:
    """Time runs out for the one that does not come, not for the one that comes at a fair rate."""
    monkeypatch.setattr(bounded_protocol, "_BYTES_PER_S", 0.1)
    monkeypatch.setattr(server, "_REVIEW_S", 0.01)
    async with http_stage(HTTP_BODY_TIMEOUT_S="0.05") as http:
        peer = await http.connect()
        await peer.say(post(http, b"{" if keeps_coming else b"", "content-length: 2"))
        if keeps_coming:
            over = asyncio.get_running_loop().time() + 0.1
            await until(lambda: asyncio.get_running_loop().time() > over)
            await peer.say(b"}")
        head, answer = await peer.answer()
        assert head.startswith(b"HTTP/1.1 200 " if keeps_coming else b"HTTP/1.1 408 ")
        assert (b"connection: close" in head) == (not keeps_coming)
        assert (b'"errCode":0' in answer) == keeps_coming
        peer.writer.close()


async def test_body_that_nobody_takes_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_REVIEW_S", 0.01)
    go = asyncio.Event()

    async def later(call: Call, request: HttpRequest) -> HttpResponse:
        await go.wait()
        return HttpResponse(b"%d" % sum([len(piece) async for piece in chunks(request)]))

    async with http_stage(routes=[plain("PUT", "/later", ANYONE, later)], HTTP_BODY_TIMEOUT_S="0.05") as http:
        peer = await http.connect()
        await peer.say(b"PUT /later HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n")
        sending = asyncio.create_task(peer.say(b" " * 2_000_000))
        over = asyncio.get_running_loop().time() + 0.3
        await until(lambda: asyncio.get_running_loop().time() > over)
        go.set()
        await sending
        assert (await peer.answer())[1] == b"2000000"
        peer.writer.close()


async def test_white_space_behind_a_value(http: HttpStage, peer: Peer) -> None:
    await peer.say(post(http).replace(b"\r\noperationID", b" \t\r\noperationID").replace(b"\r\n\r\n", b" \r\n\r\n"))
    assert b'"errCode":0' in (await peer.answer())[1]


@pytest.mark.parametrize("target", ["http://open_im:10002/healthz", "http://x/healthz?a=b#c", "/healthz#c"])
async def test_target_as_a_proxy_gives_it(peer: Peer, target: str) -> None:
    await peer.say(PLAIN.replace(b"/healthz", target.encode()))
    assert (await peer.answer())[1] == WELL


async def test_old_http(peer: Peer) -> None:
    """`ab -k` speaks 1.0, and asks for the connection to be kept."""
    old = PLAIN.replace(b"1.1", b"1.0")
    for _ in range(2):
        await peer.say(old[:-2] + b"connection: keep-alive\r\n\r\n")
        head, body = await peer.answer()
        assert b"connection: keep-alive\r\n" in head
        assert body == WELL
    await peer.say(old)
    assert b"connection: close\r\n" in (await peer.answer())[0]
    assert await peer.reader.read() == b""


async def test_it_is_no_proxy(peer: Peer) -> None:
    await peer.say(b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await peer.reader.read()).startswith(b"HTTP/1.1 400 ")


async def test_offers_without_end(peer: Peer) -> None:
    """Each makes a parser, and none stays."""
    offer = PLAIN[:-2] + "\r\n".join([*H2C, "", ""]).encode()
    await peer.say(offer * 3_000)
    for _ in range(3_000):
        assert (await peer.answer())[1] == WELL


@pytest.mark.parametrize("line", [b"\x16\x03\x01\x02", b"GET\r\n\r\n", b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n"])
async def test_what_is_no_request(line: bytes, peer: Peer) -> None:
    await peer.say(line)
    assert (await peer.reader.read()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("field", [b"a: b\r\n", b"a: %b\r\n" % (b"b" * 20_000), b"a" * 20_000])
async def test_head_past_the_limit(peer: Peer, field: bytes) -> None:
    """In fields, or in bytes. What comes behind it is thrown away, so that the answer is heard."""
    await peer.say(PLAIN[:-2] + field * 101)
    await peer.say(*[field * 100] * 10)
    head, _ = await peer.answer()
    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"connection: close" in head
    assert await peer.reader.read() == b""


async def test_connection_past_the_limit() -> None:
    """It is closed, if all others have a request in progress."""
    async with http_stage(HTTP_MAX_CONNECTIONS="1") as http:
        http.asks.go.clear()
        peer = await http.connect()
        await peer.say(post(http))
        await http.asks.begun.wait()
        other = await http.connect()
        await asyncio.gather(other.say(PLAIN), return_exceptions=True)
        (answer,) = await asyncio.gather(other.reader.read(), return_exceptions=True)
        assert answer == b"" or isinstance(answer, ConnectionError)
        assert len(shared(http).connections) == 1
        other.writer.close()
        http.asks.go.set()
        assert b'"errCode":0' in (await peer.answer())[1]
        last = await http.connect()
        await last.say(PLAIN)
        assert (await last.answer())[1] == WELL
        assert await peer.reader.read() == b""
        for each in (peer, last):
            each.writer.close()


@pytest.mark.parametrize("begun", [b"", PLAIN[:20], b"\r\n"])
async def test_request_that_does_not_come(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(server, "_REVIEW_S", 0.01)
    async with http_stage(HTTP_KEEP_ALIVE_S="0.5", HTTP_HEAD_TIMEOUT_S="0.5") as http:
        new = await http.connect()
        await new.say(begun)
        used = await http.connect()
        await used.say(PLAIN)
        assert (await used.answer())[1] == WELL
        await used.say(begun)
        for peer in (new, used):
            assert await peer.reader.read() == b""
            peer.writer.close()


async def test_large_body_that_nobody_receives_is_not_read() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def later(call: Call, request: HttpRequest) -> HttpResponse:
        begun.set()
        await go.wait()
        return HttpResponse(b"%d" % sum([len(piece) async for piece in chunks(request)]))

    async with http_stage(routes=[plain("PUT", "/later", ANYONE, later)]) as http:
        peer = await http.connect()
        await peer.say(b"PUT /later HTTP/1.1\r\nhost: x\r\ncontent-length: 16000000\r\n\r\n")
        await begun.wait()
        sending = asyncio.create_task(peer.say(b" " * 16_000_000))
        (served,) = shared(http).connections
        await until(lambda: served.flow.read_paused)
        assert len(served.cycle.body) < 2**18
        assert not sending.done()
        go.set()
        await sending
        assert (await peer.answer())[1] == b"16000000"
        peer.writer.close()


async def test_client_that_goes_amid_its_body(http: HttpStage, peer: Peer) -> None:
    await peer.say(post(http, b"{", "content-length: 2"))
    await until(lambda: bool(shared(http).tasks))
    peer.writer.close()
    await asyncio.wait(shared(http).tasks)
    assert not shared(http).connections


async def test_drain_answers_what_is_under_way(http: HttpStage, peer: Peer) -> None:
    http.asks.go.clear()
    idle = await http.connect()
    await peer.say(post(http), PLAIN)
    await http.asks.begun.wait()
    draining = asyncio.create_task(http.server.drain(10))
    assert await idle.reader.read() == b""
    assert not draining.done()
    http.asks.go.set()
    first, _ = await peer.answer()
    second, body = await peer.answer()
    assert (b"connection: close" in first, b"connection: close" in second, body) == (False, True, WELL)
    await draining
    idle.writer.close()


async def test_drain_ends_in_time(http: HttpStage, peer: Peer) -> None:
    http.asks.go.clear()
    await peer.say(post(http))
    await http.asks.begun.wait()
    await http.server.drain(0.05)
    with pytest.raises(asyncio.IncompleteReadError):
        await peer.answer()
    assert not shared(http).tasks
