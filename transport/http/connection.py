"""One HTTP/1.1 connection: httptools reads its requests, `HttpApi` answers them, one after the other, in their order.

An answer's head and body leave in one write: for two, a client wakes twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from email.utils import formatdate
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote

import httptools

from greenroom.transport.http.answer import TEXT
from greenroom.transport.http.body import ClientGone

if TYPE_CHECKING:
    from greenroom.transport.http.answer import Ready
    from greenroom.transport.http.app import HttpApi

__all__ = ["HttpConnection", "Request", "Shared"]

_IDLE_S: Final = 75.0
"""For a request's head to come, after the one before was answered. Longer than the pauses of a client that syncs;
shorter than a day's forgotten sockets."""
_LINGER_S: Final = 10.0
"""For a client to close after us, when it may still be sending: as long as a body has."""
_HEAD_LIMIT_BYTES: Final = 65536
"""Of a request's line and headers; what one read brings beyond it is looked at, too."""
_BODY_AHEAD_BYTES: Final = 65536
"""Of a body that nobody has received; past it, no more is read."""
_GO_AHEAD: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_MALFORMED: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: %b\r\ncontent-length: 11\r\nconnection: close\r\n\r\nBad Request" % TEXT
)


class Shared:
    """What the connections of one server share."""

    def __init__(self, api: HttpApi, max_connections: int) -> None:
        self.api = api
        self.max_connections = max_connections
        self.loop = asyncio.get_running_loop()
        self.connections: set[HttpConnection] = set()
        self.answering: set[asyncio.Task[None]] = set()
        self.none_left = asyncio.Event()
        """Set when the last connection ends."""
        self._second = 0
        self._date = b""

    def date(self) -> bytes:
        """The header that says when an answer was made, and the end of its line."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._date = b"date: %b\r\n" % formatdate(now, usegmt=True).encode()
        return self._date


class Request:
    """A request whose head was read; its body may be on its way."""

    __slots__ = (
        "_came", "_connection", "body", "headers", "is_answered", "is_gone", "is_old", "keeps_alive", "method",
        "more_body", "path", "waits_for_go_ahead",
    )  # fmt: skip

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self._came: asyncio.Future[None] | None = None
        self.method = self.path = ""
        self.headers: list[tuple[bytes, bytes]] = []
        """Names in lower case."""
        self.body = bytearray()
        """What has come and was not received yet."""
        self.more_body = True
        """Whether that is not all."""
        self.waits_for_go_ahead = False
        """Whether the client sends its body when it is told to."""
        self.keeps_alive = True
        self.is_old = False
        """HTTP/1.0, where to keep the connection is the exception, and said."""
        self.is_answered = False
        self.is_gone = False
        """The connection has ended, or the body is malformed."""

    async def receive(self) -> bytes:
        """What has come of the body since the last call; waits for some. Raises ClientGone."""
        if self.waits_for_go_ahead:
            self.waits_for_go_ahead = False
            self._connection.write(_GO_AHEAD)
        while self.more_body and not self.body and not self.is_gone:
            self._came = asyncio.get_running_loop().create_future()
            await self._came
        if self.is_gone:
            raise ClientGone
        chunk, self.body = bytes(self.body), bytearray()
        self._connection.review_reading()
        return chunk

    def wake(self) -> None:
        """Some of the body has come, or all, or none will."""
        if self._came is not None and not self._came.done():
            self._came.set_result(None)


class HttpConnection(asyncio.Protocol):
    """Bounded: a request's head in size, the silence before it in time, requests behind one that is being answered
    by reading no more. An answer is written when the client has taken the one before."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._transport: asyncio.Transport
        self._parser = self._new_parser()
        self._head_bytes: int | None = 0
        """Of the head that is being read; None amid a body."""
        self._url = b""
        self._coming = Request(self)
        """The one that is being read, or was read last."""
        self._waiting: deque[Request] = deque()
        """Behind the one that is being answered."""
        self._under_way: Request | None = None
        self._is_reading = True
        self._is_leaving = False
        self._is_deaf = False
        """What comes is passed over."""
        self._writable = asyncio.Event()
        self._writable.set()
        self._idle: asyncio.TimerHandle | None = None

    # What the server does.

    def leave(self) -> None:
        """Answer what is under way, then close."""
        self._is_leaving = True
        if self._under_way is None:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        connections = self._shared.connections
        if len(connections) >= self._shared.max_connections:
            self.abort()
            return
        connections.add(self)
        self._close_in(_IDLE_S)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._break_off()
        if self._head_bytes is not None and self._head_bytes > _HEAD_LIMIT_BYTES:
            self.abort()

    def eof_received(self) -> bool:
        """The client sends no more. What it has asked for is answered."""
        if self._under_way is None or self._under_way.more_body:
            return False
        self._forget_coming()
        self._is_leaving = True
        self._is_deaf = self._coming.more_body = False  # Nothing is on its way any more.
        return True

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        shared = self._shared
        shared.connections.discard(self)
        if not shared.connections:
            shared.none_left.set()
        if self._idle is not None:
            self._idle.cancel()
        for request in (self._under_way, *self._waiting):
            if request is not None:
                request.is_gone = True
                request.wake()
        self._waiting.clear()
        self._writable.set()
        del self._parser  # It holds us.

    # The parser's side.

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # What comes after a request that says `connection: close` is passed over, and is no error.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _parse(self, data: bytes | memoryview) -> None:
        """Raises HttpParserError."""
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = memoryview(data)[offer.args[0] :]
                self._decline()
            else:
                return

    def _decline(self) -> None:
        """A client may offer another protocol with any request (Java's offers HTTP/2 with its first one). It is not
        taken up, and the request is as any other; but its parser takes what follows the head for that protocol.
        Another one gets the head without the offer."""
        request = self._coming
        lines = [b"%b: %b\r\n" % header for header in request.headers if header[0] != b"upgrade"]
        version = self._parser.get_http_version().encode()
        line = b"%b %b HTTP/%b\r\n" % (self._parser.get_method(), self._url, version)
        self._parser = self._new_parser()
        self._parser.feed_data(line + b"".join(lines) + b"\r\n")

    def on_message_begin(self) -> None:
        self._url = b""
        self._coming = Request(self)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name, value = name.lower(), value.rstrip(b" \t")
        if name == b"expect" and value.lower() == b"100-continue":
            self._coming.waits_for_go_ahead = True
        self._coming.headers.append((name, value))

    def on_headers_complete(self) -> None:
        request, parser = self._coming, self._parser
        request.method = parser.get_method().decode("ascii")
        if parser.should_upgrade():
            if request.method == "CONNECT":
                raise ValueError("this is no proxy")
            return  # It comes once more: see `_decline`.
        self._head_bytes = None
        request.path = _path_of(self._url).decode("ascii")
        if "%" in request.path:
            request.path = unquote(request.path)
        request.keeps_alive = parser.should_keep_alive()
        request.is_old = parser.get_http_version() == "1.0"
        if self._under_way is None:
            self._begin(request)
        else:
            self._waiting.append(request)
            self.review_reading()

    def on_body(self, body: bytes) -> None:
        request = self._coming
        if not request.is_answered:
            request.body += body
            request.wake()
            self.review_reading()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        self._coming.more_body = False
        self._coming.wake()

    # Answers.

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def review_reading(self) -> None:
        """Read on, or stop reading: requests that wait and a body that nobody receives decide."""
        reading = self._is_deaf or (not self._waiting and len(self._coming.body) <= _BODY_AHEAD_BYTES)
        if reading != self._is_reading and not self._transport.is_closing():
            self._is_reading = reading
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _close_in(self, seconds: float) -> None:
        """Unless a request begins before."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._shared.loop.call_later(seconds, self._transport.close)

    def _begin(self, request: Request) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._under_way = request
        answering = self._shared.answering
        task = self._shared.loop.create_task(self._answer(request))
        answering.add(task)
        task.add_done_callback(answering.discard)

    async def _answer(self, request: Request) -> None:
        try:
            ready = await self._shared.api.answer(request.method, request.path, request.headers, request)
            await self._writable.wait()
            if ready is not None and not request.is_gone and not self._transport.is_closing():
                self._write(request, ready)
        finally:
            if not request.is_answered:
                self._transport.close()

    def _write(self, request: Request, ready: Ready) -> None:
        # A client that waits for a go-ahead may send its body all the same, or not: nobody knows what comes next.
        closes = ready.closes or request.waits_for_go_ahead or not request.keeps_alive
        closes = closes or (self._is_leaving and not self._waiting)
        end = b"connection: close\r\n" if closes else b"connection: keep-alive\r\n" if request.is_old else b""
        body = b"" if request.method == "HEAD" else ready.body
        self._transport.write(b"%b%b%b\r\n%b" % (ready.head, self._shared.date(), end, body))
        request.is_answered = True
        request.body = bytearray()
        self._under_way = None
        if closes:
            self._close()
        elif self._waiting:
            self._begin(self._waiting.popleft())
        else:
            self._close_in(_IDLE_S)
        self.review_reading()

    def _close(self) -> None:
        """After what was written. Our side first, if the client still sends: to close both ways at once would lose it
        the answer."""
        self._waiting.clear()
        if (self._is_deaf or self._coming.more_body) and not self._transport.is_closing():
            self._is_deaf = True
            self._transport.write_eof()
            self._close_in(_LINGER_S)
            self.review_reading()
        else:
            self._transport.close()

    def _break_off(self) -> None:
        """What comes is no HTTP. What was asked before it is answered."""
        coming = self._coming
        self._is_deaf = self._is_leaving = True
        if self._under_way is not None and not (self._under_way is coming and coming.more_body):
            self._forget_coming()
            return
        if not (coming.is_answered and coming.more_body):
            self.write(_MALFORMED)
        self._under_way = None
        coming.is_answered = coming.more_body = coming.is_gone = True
        coming.wake()
        self._close()

    def _forget_coming(self) -> None:
        """The request that is being read will not come to its end."""
        if self._coming.more_body and self._coming in self._waiting:
            self._waiting.remove(self._coming)


def _path_of(target: bytes) -> bytes:
    """Of a request's target, which may name the host before it (what a proxy is sent)."""
    if target[:1] != b"/" and b"://" in target:
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    return target.partition(b"?")[0].partition(b"#")[0]
