"""Rows that are no calls of the protocol's: pages, redirects, and bodies that stream either way."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from greenroom.actors.errors import ArgsError
from greenroom.actors.wire import user_pb2
from greenroom.tests.kit.http_kit import ADMIN_ID, HttpStage, http_stage
from greenroom.transport.http.access import ADMIN, ANYONE, TOKEN, owner
from greenroom.transport.http.request_body import chunks
from greenroom.transport.http.response import TEXT, HttpResponse, redirect
from greenroom.transport.http.table import Table, plain, post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from greenroom.transport.http.call import Call
    from greenroom.transport.http.http_request import HttpRequest

PIECE = b"x" * 65536
SECRET_NAME = "a secret name"


async def hello(call: Call, request: HttpRequest) -> HttpResponse:
    name = request.query().get("name", "nobody")
    return HttpResponse(f"{call.caller.user_id or '-'}: {name} from {request.path}".encode(), content_type=TEXT)


async def moved(call: Call, request: HttpRequest) -> HttpResponse:
    return redirect("https://elsewhere.example/a%20b?c=d")


async def form(call: Call, request: HttpRequest) -> HttpResponse:
    size = sum([len(piece) async for piece in chunks(request)])
    kind = request.header(b"content-type").encode()
    return HttpResponse(b"%d of %b" % (size, kind), 201, TEXT, headers=((b"x-of-its-own", b"1"),))


async def refused(call: Call, request: HttpRequest) -> HttpResponse:
    raise ArgsError("no")


async def anything(call: Call, request: user_pb2.getDesignateUsersReq) -> HttpResponse:
    return HttpResponse(b"\x89PNG", content_type=b"image/png")


class Source:
    """A body that is made while it is sent, and tells how far that is."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.made = 0
        self.closed = asyncio.Event()
        self.fails_at = -1

    async def body(self) -> AsyncIterator[bytes]:
        try:
            for number in range(self.pieces):
                if number == self.fails_at:
                    raise ValueError(SECRET_NAME)
                self.made += 1
                yield PIECE
        finally:
            self.closed.set()

    async def respond(self, call: Call, request: HttpRequest) -> HttpResponse:
        return HttpResponse(self.body(), content_type=b"application/octet-stream")


class Events:
    """Server-sent events, when a test says so."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def body(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: %b\n\n" % await self.queue.get()
        finally:
            self.closed.set()

    async def respond(self, call: Call, request: HttpRequest) -> HttpResponse:
        return HttpResponse(self.body(), content_type=b"text/event-stream", headers=((b"cache-control", b"no-store"),))


@asynccontextmanager
async def stage(source: Source | None = None) -> AsyncIterator[HttpStage]:
    routes = [
        plain("GET", "/hello", ANYONE, hello),
        plain("GET", "/hello/", ANYONE, hello),
        plain("GET", "/hello/deep/", TOKEN, hello),
        plain("GET", "/admins", ADMIN, hello),
        plain("GET", "/moved", ANYONE, moved),
        plain("PUT", "/form", TOKEN, form),
        plain("GET", "/refused", ANYONE, refused),
        post("/picture", user_pb2.getDesignateUsersReq, user_pb2.getDesignateUsersResp, TOKEN, anything),
    ]
    if source is not None:
        routes.append(plain("GET", "/file", ANYONE, source.respond))
    async with http_stage(routes=routes) as http:
        yield http


async def test_query_and_path() -> None:
    async with stage() as http:
        for path, said in (
            ("/hello?name=a%20b+c&name=d&e", "-: d from /hello"),
            ("/hello/x%2Fy/z", "-: nobody from /hello/x/y/z"),
        ):
            answer = await http.client.get(path)
            assert (answer.status_code, answer.text) == (200, said)
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert (await http.client.get("/hellos")).status_code == 404
        assert (await http.client.put("/hello")).status_code == 404


async def test_who_may_call() -> None:
    async with stage() as http:
        tokens = {name: {"token": http.tokens[name]} for name in ("u1", ADMIN_ID)}
        assert (await http.client.get("/hello/deep/x")).json()["errCode"] == 1001
        assert (await http.client.get("/hello/deep/x", headers={"token": "no"})).json()["errCode"] == 1503
        assert (await http.client.get("/hello/deep/x", headers=tokens["u1"])).text.startswith("u1: ")
        assert (await http.client.get("/admins", headers=tokens["u1"])).json()["errCode"] == 1002
        assert (await http.client.get("/admins", headers=tokens[ADMIN_ID])).text.startswith(f"{ADMIN_ID}: ")
        assert (await http.client.get("/refused")).json()["errMsg"] == "ArgsError"


async def test_redirect() -> None:
    async with stage() as http:
        answer = await http.client.get("/moved", follow_redirects=False)
        assert (answer.status_code, answer.content) == (302, b"")
        assert answer.headers["location"] == "https://elsewhere.example/a%20b?c=d"
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_response_of_its_own_from_a_call() -> None:
    async with stage() as http:
        answer = await http.post("/picture", {})
        assert (answer.content, answer.headers["content-type"]) == (b"\x89PNG", "image/png")
        assert (await http.post("/picture", b"{")).json()["errCode"] == 1001


async def test_upload_that_streams() -> None:
    """64 MiB, of which the node never holds more than some pieces."""
    async with stage() as http:
        peer = await http.connect()
        size = 64 * 2**20
        request = f"PUT /form HTTP/1.1\r\nhost: x\r\ntoken: {http.tokens['u1']}\r\ncontent-type: a/b\r\n"
        await peer.say(f"{request}content-length: {size}\r\n\r\n".encode())
        assert http.server._connections is not None
        (served,) = http.server._connections.connections
        most = 0
        for _ in range(size // len(PIECE)):
            await peer.say(PIECE)
            most = max(most, len(served.cycle.body))
        head, body = await peer.answer()
        assert (head[:12], body) == (b"HTTP/1.1 201", b"%d of a/b" % size)
        assert b"x-of-its-own: 1" in head
        assert most <= 2 * len(PIECE)
        peer.writer.close()


async def test_download_that_streams() -> None:
    """A GiB that nobody reads is not made; when it is read, it is, piece by piece."""
    source = Source(16_384)
    async with stage(source) as http:
        peer = await http.connect()
        peer.stop_reading()
        await peer.say(b"GET /file HTTP/1.1\r\nhost: x\r\n\r\n")
        made = -1
        while source.made != made:  # Until it stands still.
            made = source.made
            for _ in range(100):
                await asyncio.sleep(0)
        assert 0 < made * len(PIECE) < 32 * 2**20  # What the sockets of both sides hold.
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        taken = 0
        while taken < 64 * 2**20:
            taken += len(await peer.reader.read(2**20))
            assert source.made * len(PIECE) < taken + 64 * 2**20
        peer.abort()
        await source.closed.wait()
        assert source.made < source.pieces


async def test_whole_download() -> None:
    source = Source(20)
    async with stage(source) as http:
        async with http.client.stream("GET", "/file") as answer:
            assert answer.headers["transfer-encoding"] == "chunked"
            assert [piece async for piece in answer.aiter_bytes(len(PIECE))] == [PIECE] * 20
        head = await http.client.head("/file")
        assert (head.status_code, head.content, source.made) == (200, b"", 20)
        assert (await http.client.get("/hello")).status_code == 200


async def test_download_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The client can tell that it has not got all, and the log says where it broke but not why."""
    source = Source(20)
    source.fails_at = 3
    async with stage(source) as http:
        peer = await http.connect()
        with caplog.at_level(logging.DEBUG):
            await peer.say(b"GET /file HTTP/1.1\r\nhost: x\r\n\r\n")
            assert not (await peer.reader.read()).endswith(b"0\r\n\r\n")
        assert "ValueError in /file" in caplog.text
        assert SECRET_NAME not in caplog.text
        peer.writer.close()


async def test_events_until_the_client_goes() -> None:
    events = Events()
    async with http_stage(routes=[plain("GET", "/events", ANYONE, events.respond)]) as http:
        peer = await http.connect()
        await peer.say(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n")
        head = await peer.reader.readuntil(b"\r\n\r\n")  # It comes before the first event.
        assert b"content-type: text/event-stream" in head
        for said in (b"one", b"two"):
            events.queue.put_nowait(said)
            assert b"data: %b\n\n" % said in await peer.reader.readuntil(b"\n\n\r\n")
        peer.abort()
        await events.closed.wait()


async def test_stop_ends_streams() -> None:
    events = Events()
    async with http_stage(routes=[plain("GET", "/events", ANYONE, events.respond)]) as http:
        peer = await http.connect()
        await peer.say(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n")
        await peer.reader.readuntil(b"\r\n\r\n")
        await http.server.stop()
        assert events.closed.is_set()
        peer.writer.close()


def test_rows_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="two rows for GET /a"):
        Table([plain("GET", "/a", ANYONE, hello), plain("GET", "/a", TOKEN, hello)])
    with pytest.raises(ValueError, match="names an owner"):
        plain("GET", "/a", owner("userID"), hello)


def test_nearest_row_above() -> None:
    rows = [plain("GET", path, ANYONE, hello) for path in ("/a/", "/a/b/", "/a/b/c")]
    table = Table([*rows, plain("PUT", "/a/b/c/", ANYONE, hello)])
    wanted = {"/a/": "/a/", "/a/x": "/a/", "/a/b/x/y": "/a/b/", "/a/b/c": "/a/b/c", "/a/b/c/": "/a/b/"}
    for path, row in wanted.items():
        found = table.find("HEAD", path)
        assert found is not None
        assert found.path == row
    assert table.find("GET", "/a") is None
    assert table.find("POST", "/a/b") is None
