"""One WebSocket connection: a thin shell around websockets' Sans-I/O client. It has no chat rules and never retries.

A link is an asyncio Protocol without a task of its own, because a process may hold thousands of links. The shared
ticker drives heartbeats and time limits.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import urlencode

from google.protobuf.message import DecodeError, Message
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response as HttpResponse
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from greenroom.transport.client.errors import (
    CannotConnect,
    ConnectionLost,
    Garbled,
    Refused,
    TooLarge,
    refusal_of_handshake,
    without,
)
from greenroom.transport.envelope.codec import Codec, EnvelopeError, Request, Response, SdkType, codec

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from greenroom.transport.client.ticker import Ticker

__all__ = ["Link", "Login", "parse_answer"]

_Answer = TypeVar("_Answer", bound=Message)

_MUTED = logging.Logger("greenroom.client.muted", level=logging.CRITICAL + 1)
"""websockets' own log lines would contain the token and the messages, so they are discarded."""

PING_INTERVAL_S = 24.0
SILENCE_LIMIT_S = 54.0
"""After this long without any data, for two unanswered heartbeats, the connection counts as dead."""


class Login:
    """The gateway that a device connects to, and the user it logs in as. All connections of the device share one."""

    def __init__(
        self,
        *,
        ws_url: str,
        user_id: str,
        token: str,
        platform_id: int,
        encoding: SdkType,
        compression: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Raises ValueError if `ws_url` is not the URL of a gateway.

        tls: for a `wss` URL, instead of the system's certificates.
        """
        if not _is_gateway(ws_url):
            # Its text may hold a password, so it is not repeated.
            raise ValueError("ws_url is not a URL such as ws://HOST:PORT or wss://HOST:PORT")
        self.tls = tls
        self.token = token
        self.user_id = user_id
        self.codec: Codec = codec(encoding, compression)
        query = {
            "sendID": user_id,
            "token": token,
            "platformID": platform_id,
            "isBackground": "false",
            "sdkType": encoding,
            "compression": "gzip" if compression else "",
        }
        self._url = f"{ws_url}{'&' if '?' in ws_url else '?'}{urlencode(query)}"

    def url(self, operation_id: str) -> str:
        """The URL of one connection. It contains the token: never log it."""
        return f"{self._url}&operationID={operation_id}"

    def __repr__(self) -> str:
        return f"Login(user_id={self.user_id!r})"


def _is_gateway(ws_url: str) -> bool:
    try:
        parse_uri(ws_url)
    except (InvalidURI, ValueError):
        return False
    return True


class Link(asyncio.Protocol):
    """A connection from the handshake to its end; used once.

    The server may answer requests in any order. Frames that answer no request are passed to `on_push`, in the order in
    which they arrived. `on_lost` is called once, when an opened connection has ended.
    """

    def __init__(
        self,
        login: Login,
        *,
        on_push: Callable[[Response], None],
        on_lost: Callable[[Link], None],
        ticker: Ticker,
        request_timeout_s: float,
        max_frame_bytes: int,
        send_limit_bytes: int,
    ) -> None:
        self._login = login
        self._send_limit_bytes = send_limit_bytes
        self._codec = login.codec
        self._on_push = on_push
        self._on_lost = on_lost
        self._ticker = ticker
        self._request_timeout_s = request_timeout_s
        self._max_frame_bytes = max_frame_bytes
        self._loop = asyncio.get_running_loop()
        self._prefix = f"{random.getrandbits(48):012x}"
        self._uri = parse_uri(login.url(self._prefix))
        self._sans = ClientProtocol(self._uri, max_size=max_frame_bytes, logger=_MUTED)
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._pending: dict[str, tuple[asyncio.Future[bytes], float, int]] = {}
        """The pending requests by msgIncr, each with its answer, its deadline and the size of its frame."""
        self._parts: list[bytes] = []
        self._count = 0
        self._ping_at = 0.0
        self._heard_at = 0.0
        self._paused = False
        self._closing = False

    @property
    def waiting(self) -> int:
        """Number of pending requests."""
        return len(self._pending)

    async def open(self, *, timeout_s: float) -> None:
        """Connect and complete the handshake. Raises TokenRejected, HandshakeRefused or ConnectionLost."""
        try:
            async with asyncio.timeout(timeout_s):
                tls = (self._login.tls or True) if self._uri.secure else None
                await self._loop.create_connection(lambda: self, self._uri.host, self._uri.port, ssl=tls)
                await self._opened
        except TimeoutError:
            self.abort()
            raise CannotConnect("the handshake took too long") from None
        except OSError as problem:
            raise CannotConnect(f"cannot connect: {problem.strerror or type(problem).__name__}") from None
        except BaseException:
            self.abort()
            raise
        self._ticker.add(self)

    async def request(self, identifier: int, data: bytes) -> bytes:
        """Send a request and return the answer's data. Raises Refused, TooLarge, ConnectionLost, or TimeoutError."""
        while self._drained is not None:
            await asyncio.shield(self._drained)
        return await self.post(identifier, data)

    def post(self, identifier: int, data: bytes) -> asyncio.Future[bytes]:
        """As `request`, without a coroutine, for callers that send on a schedule. It does not wait while the write
        buffer is full, so the caller must bound the requests in flight. It raises ConnectionLost or TooLarge at once.
        """
        if self._transport is None or self._closing:
            raise ConnectionLost("not connected")
        self._count += 1
        incr = str(self._count)
        request = Request(
            req_identifier=identifier,
            send_id=self._login.user_id,
            operation_id=f"{self._prefix}-{incr}",
            msg_incr=incr,
            data=data,
        )
        frame = self._codec.encode_request(request)
        if len(frame) > self._send_limit_bytes:
            raise TooLarge(len(frame), self._send_limit_bytes)
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._pending[incr] = (answer, self._loop.time() + self._request_timeout_s, len(frame))
        answer.add_done_callback(lambda _: self._pending.pop(incr, None))
        self._sans.send_binary(frame)
        self._flush()
        return answer

    def pause(self) -> None:
        """Stop reading from the socket, so that TCP slows the server down."""
        if not self._paused and self._transport is not None and not self._closing:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and self._transport is not None and not self._closing:
            self._paused = False
            self._heard_at = self._loop.time()
            self._transport.resume_reading()

    def fail_requests(self, error: Exception) -> None:
        """Fail every pending request. If the server closed the connection because of a frame's size, the largest
        request was the reason: it fails with TooLarge, so that it is not sent again."""
        close = self._sans.close_rcvd
        if close is not None and close.code == CloseCode.MESSAGE_TOO_BIG and self._pending:
            answer, _, size = max(self._pending.values(), key=lambda pending: pending[2])
            if not answer.done():
                answer.set_exception(TooLarge(size, 0))
        for answer, _, _ in self._pending.values():
            if not answer.done():
                answer.set_exception(error)

    def close(self, error: Exception) -> None:
        """Close the connection in good order. Pending requests fail with the error."""
        self.fail_requests(error)
        if self._closing:
            return
        if self._transport is not None and self._sans.state is OPEN:
            self._sans.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once, without a close frame."""
        self._closing = True
        if self._transport is not None and not self._loop.is_closed():
            self._transport.abort()

    async def wait_closed(self, *, timeout_s: float) -> None:
        """After `close`: wait until the socket is closed. After the time limit the connection is aborted."""
        if self._transport is not None:
            ended = self._ended = self._ended or self._loop.create_future()
            await asyncio.wait((ended,), timeout=timeout_s)
            if not ended.done():
                self.abort()
                await asyncio.wait((ended,))

    def tick(self, now: float) -> None:
        """Called by the ticker: send a heartbeat, abort a silent connection, fail requests past their time limit."""
        if now >= self._ping_at and self._sans.state is OPEN:
            self._ping_at = now + PING_INTERVAL_S
            self._sans.send_ping(b"")
            self._flush()
        if not self._paused and now - self._heard_at > SILENCE_LIMIT_S:
            self.abort()
        for answer, deadline, _ in self._pending.values():
            if deadline > now:
                break
            if not answer.done():
                answer.set_exception(TimeoutError("no answer"))

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._heard_at = self._loop.time()
        self._ping_at = self._heard_at + PING_INTERVAL_S * random.uniform(0.5, 1.0)
        if self._closing:
            self._transport.abort()
            return
        self._sans.send_request(self._sans.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        self._sans.receive_data(data)
        self._handle_events()

    def eof_received(self) -> None:
        self._sans.receive_eof()
        self._handle_events()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ticker.discard(self)
        self._transport = None
        self._closing = True
        if self._ended is not None:
            self._ended.set_result(None)
        self.resume_writing()
        self.fail_requests(ConnectionLost("the connection ended before the answer"))
        if not self._opened.done():
            self._opened.set_exception(ConnectionLost("the connection ended during the handshake"))
            self._opened.exception()
        elif not self._opened.cancelled() and self._opened.exception() is None:
            self._on_lost(self)

    def pause_writing(self) -> None:
        if self._drained is None:
            self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            self._sans.data_to_send()
            return
        for chunk in self._sans.data_to_send():
            if chunk:
                transport.write(chunk)
            else:
                self._closing = True
                transport.close()

    def _handle_events(self) -> None:
        for event in self._sans.events_received():
            if isinstance(event, Frame):
                self._take_frame(event)
            elif isinstance(event, HttpResponse):
                self._take_response(event)
        self._flush()

    def _take_response(self, response: HttpResponse) -> None:
        if self._opened.done():
            return
        if self._sans.handshake_exc is None:
            self._opened.set_result(None)
            return
        problem = _handshake_error(response, self._sans.handshake_exc, self._login.token)
        self._opened.set_exception(problem)
        self._opened.exception()

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY or frame.opcode is Opcode.CONT:
            if not frame.fin:
                self._parts.append(bytes(frame.data))
                return
            data = bytes(frame.data)
            if self._parts:
                data = b"".join((*self._parts, data))
                self._parts.clear()
            try:
                self._take_envelope(self._codec.decode_response(data, decompressed_limit_bytes=self._max_frame_bytes))
            except (EnvelopeError, DecodeError):
                self.abort()

    def _take_envelope(self, envelope: Response) -> None:
        pending = self._pending.get(envelope.msg_incr) if envelope.msg_incr else None
        if pending is None:
            if not envelope.msg_incr:
                self._on_push(envelope)
            return
        answer = pending[0]
        if answer.done():
            return
        if envelope.err_code:
            answer.set_exception(Refused(envelope.err_code, without(envelope.err_msg, self._login.token)))
        else:
            answer.set_result(envelope.data or b"")


def _handshake_error(response: HttpResponse, problem: Exception, token: str) -> Exception:
    if not isinstance(problem, InvalidStatus):
        return ConnectionLost(f"not a WebSocket server: {type(problem).__name__}")
    try:
        envelope = json.loads(response.body or b"")
    except ValueError:
        envelope = None
    if isinstance(envelope, dict) and envelope.get("errCode"):
        return refusal_of_handshake(envelope, token=token)
    return ConnectionLost(f"the gateway answered HTTP {response.status_code}")


def parse_answer(kind: type[_Answer], data: bytes) -> _Answer:
    """The message in the data of an answer. Raises Garbled."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise Garbled(f"the server's answer is not a {kind.__name__}") from None
