"""One HTTP/1.1 connection: uvicorn's protocol on httptools, with the bounds and the manners that uvicorn lacks.

uvicorn reads a head of any size for any time, takes pipelined requests without end, waits for ever for a client that
reads nothing, answers HTTP/1.0 without keep-alive, loses the body behind an upgrade offer, and drops the answer to a
client that has ended its side.
"""

from __future__ import annotations

import asyncio
import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
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
"""What one read brings, except amid a body of known length. So this is what a connection may have parsed behind a
request that is being answered, and what a chunked body can cost at a time: 340 chunks of one byte."""
_BODY_READ_BYTES: Final = 65536
"""What one read brings of a body of known length; it ends with the body at the latest."""
_MAX_HEAD_FIELDS: Final = 100
"""Each costs some 200 bytes of memory, however short it is. As many as hyper and Apache take."""
_BYTES_PER_S: Final = 8192
"""A body that comes at this rate may take longer: a long list by a slow line."""
_LINGER_S: Final = 10.0
"""How long a client that was refused may go on sending. Closed earlier, TCP would take the answer from it."""
_REFUSAL: Final = b"HTTP/1.1 %d %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
_NEVER: Final = math.inf

_MUTE: Final = logging.Logger("greenroom.http.uvicorn", logging.CRITICAL + 1)
"""Not in the registry. What uvicorn logs may quote requests; `HttpApi` logs its own errors."""


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
        # A read is parsed before the next one begins, so one buffer of each size serves all.
        self.head_buffer = memoryview(bytearray(_HEAD_READ_BYTES))
        self.body_buffer = memoryview(bytearray(_BODY_READ_BYTES))


class _Flow(FlowControl):
    """Reads no more while a request waits behind another one."""

    def __init__(self, transport: asyncio.Transport, pipeline: deque[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """Requests are answered one after the other, in their order. `review` closes what is late, and must be called
    every second or so."""

    def __init__(self, shared: Connections) -> None:
        super().__init__(shared.config, shared, {}, shared.loop)
        self.logger = _MUTE
        self.access_log = False
        self._shared = shared
        self._writes: JoinedWrites
        self._settings = shared.settings
        self._buffer = shared.head_buffer
        self._head_bytes: int | None = None
        """Size of what has come of the head that is being read. None between heads."""
        self._body_left = 0
        """Bytes of a body of known length that are still to come."""
        self._answering: RequestResponseCycle | None = None
        """The request whose answer is next; `cycle` is the newest one."""
        self._is_deaf = False
        """Whatever comes is thrown away."""
        self._due = _NEVER
        """When the connection is closed unless something happens before."""
        self._unsent_bytes = 0
        self._stuck_at = _NEVER

    # What the server does.

    def review(self, now: float) -> None:
        """Close the connection when it is late: with a head, a body, the next request, or with reading its answer."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent_bytes:  # The same number each time is no progress.
            self._unsent_bytes, self._stuck_at = unsent, now + self._settings.write_timeout_s
        if now >= self._stuck_at:
            self.transport.abort()
        elif now < self._due:
            return
        elif self.flow.read_paused:
            self._due = now + self._settings.body_timeout_s  # It could not come: nobody reads.
        elif self._head_bytes is None and self.cycle is not None and self.cycle.more_body and not self._is_deaf:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """Answer what is in flight, then close."""
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
        amid_body = self._body_left > 0 and self._head_bytes is None
        self._buffer = shared.body_buffer[: self._body_left] if amid_body else shared.head_buffer
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_deaf:
            return
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

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. What it has asked for is answered; amid a stream, whose end may never come, it is
        taken to have gone."""
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
        """A client may offer another protocol with any request (Java's offers HTTP/2 with its first one). It is not
        taken up, and the request is as any other; but its parser takes what follows the head for that protocol.
        Another parser gets the head without the offer."""
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
            return  # It comes once more: see `_decline`.
        if self.url[:1] != b"/" and b"://" in self.url:  # What a proxy is sent: the host is in no path.
            self.url = b"/" + self.url.partition(b"://")[2].partition(b"/")[2]
        self._head_bytes, self._due = None, _NEVER
        super().on_headers_complete()
        if self.cycle.scope["http_version"] == "1.0" and parser.should_keep_alive():
            self.cycle.keep_alive = True
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"keep-alive")]

    def on_body(self, body: bytes) -> None:
        self._body_left -= len(body)
        self._due += len(body) / _BYTES_PER_S
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self._due = _NEVER
            self.cycle.more_body = False
            self.cycle.message_event.set()

    # Answers.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
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
        """What comes is no HTTP, or too much. What was asked before it is answered."""
        self._is_deaf = True
        last = self._forget_unfinished()
        FlowControl.resume_reading(self.flow)
        if last is not None and not last.response_complete and not last.more_body:
            self._due = _NEVER
            last.keep_alive = False
            return
        if last is None or not last.more_body or not last.response_started:
            phrase = status.phrase.encode()
            self.transport.write(_REFUSAL % (status, phrase, len(phrase)))
            self.transport.write(phrase)
        if last is not None and last.more_body:
            last.disconnected = True
            last.message_event.set()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._due = self.loop.time() + _LINGER_S

    def _forget_unfinished(self) -> RequestResponseCycle | None:
        """Drop the newest request if it waits and will never be whole; the one that is then the newest."""
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()
            assert self._answering is not None
            self.cycle = self.pipeline[0][0] if self.pipeline else self._answering
        return self.cycle


def _is_out(cycle: RequestResponseCycle) -> bool:
    """Whether the answer was written whole, and only the end of the request's body is awaited."""
    return cycle.chunked_encoding is False and not cycle.expected_content_length


class BoundedReads(asyncio.BufferedProtocol):
    """The socket's side of a connection: reads are as large as the connection wants them. A class of its own because
    uvloop reads into a buffer for no descendant of `asyncio.Protocol`, which uvicorn's is."""

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
