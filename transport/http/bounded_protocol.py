"""One HTTP/1.1 connection: uvicorn's protocol on httptools, with the bounds that uvicorn lacks.

uvicorn 0.54 limits neither the size nor the duration of a head, queues pipelined requests without a bound, and waits
without a limit for a client that does not read. It also drops the body that follows an upgrade offer, the answer to a
client that has closed its sending side, and keep-alive in HTTP/1.0.
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

from greenroom.actors.errors import TooManyRequests
from greenroom.transport.http.idle_connections import IdleConnections, Rank
from greenroom.transport.http.joined_writes import CommonHeaders, JoinedWrites
from greenroom.transport.http.unsent_answers import UnsentAnswers

if TYPE_CHECKING:
    from collections import deque

    from uvicorn._types import ASGI3Application
    from uvicorn.config import Config

    from greenroom.persistence.settings import HttpSettings
    from greenroom.transport.listening import Acceptor
    from greenroom.transport.rate_limits import Limits

__all__ = ["BoundedProtocol", "BoundedReads", "Connections"]

_HEAD_READ_BYTES: Final = 2048
"""Size of a read, except within a body of known length. It bounds the number of pipelined requests that wait for their
turn, and of chunks that are parsed at once: 340 chunks of one byte."""
_CHUNKS_PER_TURN: Final = 64
"""After a read with more chunks than this, other connections are read first. libuv would read 32 times in a row."""
_BODY_READ_BYTES: Final = 65536
"""Size of a read within a body of known length. It never reaches beyond the body."""
_MAX_HEAD_FIELDS: Final = 100
"""Maximum number of header fields. Each takes about 200 bytes of memory, however short it is. hyper and Apache have the
same limit."""
_BYTES_PER_S: Final = 8192
"""A body that arrives at this rate may take longer than the time-out, as a long list over a slow line does."""
_LINGER_S: Final = 10.0
"""How long a refused client may continue to send. If the connection closed earlier, TCP would discard the answer."""
_REFUSAL: Final = (
    b"HTTP/1.1 %d %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n"
)
_NEVER: Final = math.inf

_MUTE: Final = logging.Logger("greenroom.http.uvicorn", logging.CRITICAL + 1)
"""uvicorn's logger. It is muted, because its log lines may quote requests. `HttpApi` logs its own errors."""


class _Refused(ValueError):
    """A field of the request is refused. The parser raises its own error, whose context this is."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Connections(ServerState):
    """The state that the connections of one server share."""

    def __init__(self, config: Config, settings: HttpSettings, limits: Limits) -> None:
        super().__init__()
        self.connections: set[BoundedProtocol] = set()  # type: ignore[assignment]
        self.idle = IdleConnections(settings.max_connections)
        self.config = config
        self.settings = settings
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.acceptor: Acceptor | None = None
        self.headers = CommonHeaders()
        self.unsent = UnsentAnswers(settings.answers_limit_bytes)
        self.all_closed = asyncio.Event()
        """Set when the last connection ends."""
        # A read is parsed before the next one begins, so all connections share one buffer of each size.
        self.head_buffer = memoryview(bytearray(_HEAD_READ_BYTES))
        self.body_buffer = memoryview(bytearray(_BODY_READ_BYTES))

    def make_room(self) -> bool:
        """Close a connection for a new one, if there are too many. Returns False if all of them are at work."""
        if len(self.connections) < self.settings.max_connections:
            return True
        connection = self.idle.take()
        if connection is None:
            return False
        self.connections.discard(connection)  # Its socket is only closed after this turn of the loop.
        connection.transport.abort()
        return True


class _Flow(FlowControl):
    """Does not resume reading while a pipelined request waits for its turn."""

    def __init__(self, transport: asyncio.Transport, pipeline: deque[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """Answers requests one at a time, in their order. `review` closes the connection when its client is late, and must
    be called about once a second."""

    def __init__(self, shared: Connections) -> None:
        super().__init__(shared.config, shared, {}, shared.loop)
        self.logger = _MUTE
        self.access_log = False
        self._shared = shared
        self._writes: JoinedWrites
        self._settings = shared.settings
        self._buffer = shared.head_buffer
        self._head_bytes: int | None = None
        """Number of bytes that have arrived of the head that is being read. None between heads."""
        self._remaining_body_bytes = 0
        """Number of bytes of a body of known length that have not arrived yet."""
        self._chunk_count = 0
        """Number of body chunks in the read that is being parsed."""
        self._trailer_count = 0
        """Number of fields that came after the body."""
        self._framing_bytes = 0
        """Number of bytes since the last part of the body: of sizes of chunks, their extensions, and trailers."""
        self._active_cycle: RequestResponseCycle | None = None
        """The request whose answer is written next; `cycle` is the newest request."""
        self.idle_rank: Rank | None = None
        """Belongs to `IdleConnections`."""
        self._discards_input = False
        """Whether all further input is discarded."""
        self._deadline = _NEVER
        """When the connection is closed, unless its client makes progress before."""
        self._unsent_bytes = 0
        self._write_deadline = _NEVER

    # Called by the server.

    def review(self, now: float) -> None:
        """Close the connection if its client is late with a head, a body or the next request, or does not read."""
        if self.cycle is not None and self.cycle.more_body and not (self.pipeline or self._discards_input):
            self._shared.idle.add(self, Rank.SILENT if _is_written(self.cycle) else Rank.SENDING)
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent_bytes:  # The same number at each review means no progress.
            self._unsent_bytes, self._write_deadline = unsent, now + self._settings.write_timeout_s
        if now >= self._write_deadline:
            self.transport.abort()
        elif now < self._deadline:
            return
        elif self.flow.read_paused:
            self._deadline = now + self._settings.body_timeout_s  # The client is not late: the server is not reading.
        elif self._head_bytes is None and self.cycle is not None and self.cycle.more_body and not self._discards_input:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def postpone(self, seconds: float) -> None:
        """Give the client this much more time: the server was not reading."""
        self._deadline += seconds
        self._write_deadline += seconds

    def shutdown(self) -> None:
        """Answer the requests in flight, then close."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.disconnected or _is_written(cycle):
            self.transport.close()
        else:
            cycle.keep_alive = False

    # Called by asyncio.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        if self._shared.acceptor is not None:
            self._shared.acceptor.accepted(transport)
        if not self._shared.make_room():
            transport.abort()
            return
        self._writes = JoinedWrites(transport, self._shared.headers, self._shared.unsent)
        super().connection_made(self._writes)
        self.flow = _Flow(transport, self.pipeline)
        self._shared.idle.add(self, Rank.SILENT)
        self._deadline = self.loop.time() + self._settings.head_timeout_s

    def get_buffer(self) -> memoryview:
        shared = self._shared
        in_body = self._remaining_body_bytes > 0 and self._head_bytes is None
        self._buffer = shared.body_buffer[: self._remaining_body_bytes] if in_body else shared.head_buffer
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._discards_input:
            return
        self._chunk_count = 0
        try:
            self._parse(self._buffer[:nbytes])
        except httptools.HttpParserError as error:
            cause = error.__context__
            status = cause.status if isinstance(cause, _Refused) else HTTPStatus.BAD_REQUEST
            in_body = self._head_bytes is None and self.cycle is not None and self.cycle.more_body
            self._refuse(status) if in_body else self._refuse_head(status)
            return
        if self._head_bytes is not None:
            self._head_bytes += nbytes
            if self._head_bytes > self._settings.max_head_bytes:
                self._refuse_head(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        self._framing_bytes = 0 if self._chunk_count else self._framing_bytes + nbytes
        if self._framing_bytes > self._settings.max_head_bytes and self.cycle is not None and self.cycle.more_body:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._chunk_count > _CHUNKS_PER_TURN and not self.flow.read_paused:
            self.flow.pause_reading()
            self.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        """Resume reading, now that other connections have been read."""
        if len(self.cycle.body) <= HIGH_WATER_LIMIT and not self.transport.is_closing():
            self.flow.resume_reading()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client has closed its sending side. Its requests are still answered, except by a stream, which may have
        no end: there the client counts as disconnected."""
        last = self._drop_incomplete()
        is_done = last is None or last.response_started or last.response_complete or last.more_body
        if last is None or is_done or self.scheme == "https":
            self.transport.close()
            return False
        self._discards_input, self._deadline = True, _NEVER
        last.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._shared.idle.discard(self)
        self.pipeline.clear()
        if self._active_cycle is not None and not self._active_cycle.response_complete:
            self._active_cycle.disconnected = True
            self._active_cycle.message_event.set()
        if not self.connections:
            self._shared.all_closed.set()

    # Parsing.

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
        """Continue as if the client had not offered another protocol (Java's HttpClient offers HTTP/2 with its first
        request). The parser takes the bytes after the head for that protocol, so a new parser reads the head again,
        without the offer."""
        lines = [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"%b%b\r\n" % (line, b"".join(lines)))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = self._remaining_body_bytes = self._trailer_count = self._framing_bytes = 0
        self._deadline = self.loop.time() + self._settings.head_timeout_s

    def on_header(self, name: bytes, value: bytes) -> None:
        is_trailer = self._head_bytes is None
        if (self._trailer_count if is_trailer else len(self.headers)) >= _MAX_HEAD_FIELDS:
            raise _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if is_trailer:  # It must not count as a part of the head, which was already read (RFC 9110, 6.5.1).
            self._trailer_count += 1
            return
        name, value = name.lower(), value.rstrip(b" \t")
        self.headers.append((name, value))
        if name == b"content-length":
            self._remaining_body_bytes = int(value)
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        parser = self.parser
        if parser.should_upgrade():
            if parser.get_method() == b"CONNECT":
                raise ValueError("this is not a proxy")
            return  # `_decline` parses the head again.
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise _Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        host_count = sum(name == b"host" for name, _ in self.headers)
        if host_count > 1 or (host_count == 0 and version == "1.1"):
            raise _Refused(HTTPStatus.BAD_REQUEST)  # RFC 9112, 3.2.
        if self.url[:1] != b"/" and b"://" in self.url:  # The form for proxies, with the host.
            self.url = b"/" + self.url.partition(b"://")[2].partition(b"/")[2]
        self._head_bytes, self._deadline = None, _NEVER
        self._shared.idle.discard(self)
        super().on_headers_complete()
        if version == "1.0" and parser.should_keep_alive():
            self.cycle.keep_alive = True
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"keep-alive")]

    def on_body(self, body: bytes) -> None:
        self._chunk_count += 1
        self._remaining_body_bytes -= len(body)
        self._deadline += len(body) / _BYTES_PER_S
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            if self._trailer_count and not self.parser.should_keep_alive():
                self.cycle.keep_alive = False  # After such a trailer the parser ignores all that comes.
            self.cycle.more_body = False
            self.cycle.message_event.set()
            if self.cycle.response_complete:
                self._wait_for_next()
            else:
                self._shared.idle.discard(self)
                self._deadline = _NEVER

    # Answers.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._active_cycle = cycle
        cycle.scope["state"]["transport"] = self.transport
        self._writes.begin_answer()
        if cycle.more_body:
            self._deadline = self.loop.time() + self._settings.body_timeout_s
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._writes.flush()
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._wait_for_next()
        self.flow.resume_reading()

    def _wait_for_next(self) -> None:
        """Wait for the next request, whose head may already have begun."""
        self._shared.idle.add(self, Rank.BETWEEN)
        if self._head_bytes is None:
            self._deadline = self.loop.time() + self._settings.keep_alive_s

    def _refuse_head(self, status: HTTPStatus) -> None:
        """Refuse a head, and count it as a request without a valid token. It names no client, so it is counted for the
        other end of the socket."""
        limits, retry_after_s = self._shared.limits, 0.0
        try:
            limits.check_anonymous(limits.client(self.transport.get_extra_info("peername")))
        except TooManyRequests as error:
            status, retry_after_s = HTTPStatus.TOO_MANY_REQUESTS, error.retry_after_s
        self._refuse(status, retry_after_s)

    def _refuse(self, status: HTTPStatus, retry_after_s: float = 0.0) -> None:
        """Refuse input that is not HTTP, too large or too late. Earlier requests are still answered."""
        self._discards_input = True
        last = self._drop_incomplete()
        FlowControl.resume_reading(self.flow)
        if last is not None and not last.response_complete and not last.more_body:
            self._deadline = _NEVER
            last.keep_alive = False
            return
        if last is None or not last.more_body or not last.response_started:
            phrase = status.phrase.encode()
            self._writes.begin_answer()
            later = b"retry-after: %d\r\n" % math.ceil(retry_after_s) if retry_after_s else b""
            self.transport.write(_REFUSAL % (status, phrase, len(phrase), later))
            self.transport.write(phrase)
        if last is not None and last.more_body:
            last.disconnected = True
            last.message_event.set()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._shared.idle.add(self, Rank.SILENT)
        self._deadline = self.loop.time() + _LINGER_S

    def _drop_incomplete(self) -> RequestResponseCycle | None:
        """Drop the newest request if it is waiting and will never be complete. Returns the newest remaining one."""
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()
            assert self._active_cycle is not None
            self.cycle = self.pipeline[0][0] if self.pipeline else self._active_cycle
        return self.cycle


def _is_written(cycle: RequestResponseCycle) -> bool:
    """Whether the whole answer was written, and only the rest of the request's body is missing."""
    return cycle.chunked_encoding is False and not cycle.expected_content_length


class BoundedReads(asyncio.BufferedProtocol):
    """The socket's side of a connection: data is read into the buffer that the connection provides.

    It is a class of its own because uvloop ignores the buffer of a protocol that derives from `asyncio.Protocol`, as
    uvicorn's does.
    """

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
