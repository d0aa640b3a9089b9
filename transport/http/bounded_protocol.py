"""One HTTP/1.1 connection: uvicorn's protocol on httptools, with the bounds that uvicorn lacks.

uvicorn 0.54 reads heads of any size for any time, queues pipelined requests without a bound, and waits without a limit
for a client that reads nothing. It also drops the body behind an upgrade offer, the answer to a client that has ended
its side, and keep-alive in HTTP/1.0.
"""

from __future__ import annotations

import asyncio
import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from greenroom.transport.http.joined_writes import CommonHeaders, JoinedWrites

if TYPE_CHECKING:
    from collections import deque

    from uvicorn._types import ASGI3Application
    from uvicorn.config import Config

    from greenroom.persistence.settings import HttpSettings

__all__ = ["BoundedProtocol", "BoundedReads", "Connections"]

_HEAD_READ_BYTES: Final = 2048
"""Size of a read, except within a body of known length. It bounds the requests that wait behind one that is being
answered, and the chunks that are parsed at once: 340 of one byte."""
_CHUNKS_A_TURN: Final = 64
"""A read with more chunks than this ends the connection's turn. libuv would read 32 times before the next one's."""
_BODY_READ_BYTES: Final = 65536
"""Size of a read within a body of known length. It never reaches beyond the body."""
_MAX_HEAD_FIELDS: Final = 100
"""Each costs some 200 bytes of memory, however short it is. hyper and Apache have the same limit."""
_BYTES_PER_S: Final = 8192
"""A body that arrives at this rate may take longer than the time-out: a long list over a slow line."""
_LINGER_S: Final = 10.0
"""How long a refused client may go on sending. If the connection closed earlier, TCP would discard the answer."""
_REFUSAL: Final = b"HTTP/1.1 %d %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
_NEVER: Final = math.inf

_MUTE: Final = logging.Logger("greenroom.http.uvicorn", logging.CRITICAL + 1)
"""For uvicorn, whose log lines may quote requests. `HttpApi` logs its own errors."""


class Connections(ServerState):
    """What the connections of one server share."""

    def __init__(self, config: Config, settings: HttpSettings) -> None:
        super().__init__()
        self.connections: set[BoundedProtocol] = set()  # type: ignore[assignment]
        self.config = config
        self.settings = settings
        self.loop = asyncio.get_running_loop()
        self.headers = CommonHeaders()
        self.none_left = asyncio.Event()
        """Set when the last connection ends."""
        # A read is parsed before the next one begins, so all connections share one buffer of each size.
        self.head_buffer = memoryview(bytearray(_HEAD_READ_BYTES))
        self.body_buffer = memoryview(bytearray(_BODY_READ_BYTES))


class _Flow(FlowControl):
    """Does not read on while a request waits behind another one."""

    def __init__(self, transport: asyncio.Transport, pipeline: deque[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """Answers requests one after the other, in their order. `review` closes the connection when it is late, and must be
    called about once a second."""

    def __init__(self, shared: Connections) -> None:
        super().__init__(shared.config, shared, {}, shared.loop)
        self.logger = _MUTE
        self.access_log = False
        self._shared = shared
        self._writes: JoinedWrites
        self._settings = shared.settings
        self._buffer = shared.head_buffer
        self._head_bytes: int | None = None
        """How much of the head that is being read has arrived. None between heads."""
        self._body_left = 0
        """Bytes of a body of known length that have not arrived yet."""
        self._chunks = 0
        """Pieces of a body in the read that is parsed now."""
        self._answering: RequestResponseCycle | None = None
        """The request whose answer is next; `cycle` is the newest request."""
        self._is_deaf = False
        """Everything that arrives is discarded."""
        self._due = _NEVER
        """When the connection is closed, unless something happens before."""
        self._unsent_bytes = 0
        self._stuck_at = _NEVER

    # What the server does.

    def review(self, now: float) -> None:
        """Close the connection if its client is late with a head, a body or the next request, or reads no answer."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent_bytes:  # The same number at each review means no progress.
            self._unsent_bytes, self._stuck_at = unsent, now + self._settings.write_timeout_s
        if now >= self._stuck_at:
            self.transport.abort()
        elif now < self._due:
            return
        elif self.flow.read_paused:
            self._due = now + self._settings.body_timeout_s  # The client is not late: we do not read.
        elif self._head_bytes is None and self.cycle is not None and self.cycle.more_body and not self._is_deaf:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """Answer the requests in flight, then close."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.disconnected or _is_out(cycle):
            self.transport.close()
        else:
            cycle.keep_alive = False

    # asyncio's side.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        if len(self.connections) >= self._settings.max_connections:
            transport.abort()
            return
        self._writes = JoinedWrites(transport, self._shared.headers)
        super().connection_made(self._writes)
        self.flow = _Flow(transport, self.pipeline)
        self._due = self.loop.time() + self._settings.keep_alive_s

    def get_buffer(self) -> memoryview:
        shared = self._shared
        in_body = self._body_left > 0 and self._head_bytes is None
        self._buffer = shared.body_buffer[: self._body_left] if in_body else shared.head_buffer
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_deaf:
            return
        self._chunks = 0
        try:
            self._parse(self._buffer[:nbytes])
        except httptools.HttpParserError:
            too_many = self._head_bytes is not None and len(self.headers) >= _MAX_HEAD_FIELDS
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if too_many else HTTPStatus.BAD_REQUEST)
            return
        if self._head_bytes is not None:
            self._head_bytes += nbytes
            if self._head_bytes > self._settings.max_head_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._chunks > _CHUNKS_A_TURN and not self.flow.read_paused:
            self.flow.pause_reading()
            self.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        """The other connections have had their turn."""
        if len(self.cycle.body) <= HIGH_WATER_LIMIT and not self.transport.is_closing():
            self.flow.resume_reading()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. Its requests are still answered, except by a stream, which may have no end: there
        the client is taken to have gone."""
        last = self._forget_unfinished()
        is_done = last is None or last.response_started or last.response_complete or last.more_body
        if last is None or is_done or self.scheme == "https":
            self.transport.close()
            return False
        self._is_deaf, self._due = True, _NEVER
        last.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        if not self.connections:
            self._shared.none_left.set()

    # The parser's side.

    def _parse(self, data: memoryview) -> None:
        """Raises HttpParserError."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
                self._decline()
            else:
                return

    def _decline(self) -> None:
        """Read on as if the client had not offered another protocol (Java's HttpClient offers HTTP/2 with its first
        request). The parser takes what follows the head for that protocol, so a new one gets the head, without the
        offer."""
        lines = [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"%b%b\r\n" % (line, b"".join(lines)))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = self._body_left = 0
        self._due = self.loop.time() + self._settings.head_timeout_s

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= _MAX_HEAD_FIELDS:
            raise ValueError("too many header fields")
        name, value = name.lower(), value.rstrip(b" \t")
        self.headers.append((name, value))
        if name == b"content-length":
            self._body_left = int(value)
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        parser = self.parser
        if parser.should_upgrade():
            if parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")
            return  # The head comes again, from `_decline`.
        if self.url[:1] != b"/" and b"://" in self.url:  # As proxies get it, with the host.
            self.url = b"/" + self.url.partition(b"://")[2].partition(b"/")[2]
        self._head_bytes, self._due = None, _NEVER
        super().on_headers_complete()
        if self.cycle.scope["http_version"] == "1.0" and parser.should_keep_alive():
            self.cycle.keep_alive = True
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"keep-alive")]

    def on_body(self, body: bytes) -> None:
        self._chunks += 1
        self._body_left -= len(body)
        self._due += len(body) / _BYTES_PER_S
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self.cycle.more_body = False
            self.cycle.message_event.set()
            self._due = self.loop.time() + self._settings.keep_alive_s if self.cycle.response_complete else _NEVER

    # Answers.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        self._writes.begin_answer()
        if cycle.more_body:
            self._due = self.loop.time() + self._settings.body_timeout_s
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._writes.flush()
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._head_bytes is None:
            self._due = self.loop.time() + self._settings.keep_alive_s
        self.flow.resume_reading()

    def _refuse(self, status: HTTPStatus) -> None:
        """What arrives is not HTTP, too large or too late. Requests before it are still answered."""
        self._is_deaf = True
        last = self._forget_unfinished()
        FlowControl.resume_reading(self.flow)
        if last is not None and not last.response_complete and not last.more_body:
            self._due = _NEVER
            last.keep_alive = False
            return
        if last is None or not last.more_body or not last.response_started:
            phrase = status.phrase.encode()
            self._writes.begin_answer()
            self.transport.write(_REFUSAL % (status, phrase, len(phrase)))
            self.transport.write(phrase)
        if last is not None and last.more_body:
            last.disconnected = True
            last.message_event.set()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._due = self.loop.time() + _LINGER_S

    def _forget_unfinished(self) -> RequestResponseCycle | None:
        """Drop the newest request if it waits and will never be whole. Returns the newest one that is left."""
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()
            assert self._answering is not None
            self.cycle = self.pipeline[0][0] if self.pipeline else self._answering
        return self.cycle


def _is_out(cycle: RequestResponseCycle) -> bool:
    """Whether the whole answer was written, and only the rest of the request's body is awaited."""
    return cycle.chunked_encoding is False and not cycle.expected_content_length


class BoundedReads(asyncio.BufferedProtocol):
    """The socket's side of a connection: reads go into the buffer that the connection gives.

    It is a class of its own because uvloop ignores the buffer of a protocol that derives from `asyncio.Protocol`, as
    uvicorn's does.
    """

    __slots__ = ("_connection",)

    def __init__(self, shared: Connections) -> None:
        self._connection = BoundedProtocol(shared)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.connection_made(cast("asyncio.Transport", transport))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._connection.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self._connection.buffer_updated(nbytes)

    def eof_received(self) -> bool:
        return self._connection.eof_received()

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)
