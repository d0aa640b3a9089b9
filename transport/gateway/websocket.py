"""One WebSocket connection of a server: it reads messages from a socket, and writes frames through the outbox.

It handles the HTTP head, frames, deadlines and the outbox. It does not interpret the messages.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from typing import TYPE_CHECKING, Protocol, cast

from websockets.frames import CloseCode

from greenroom.transport.envelope.websocket_frame import PING, pong_frame
from greenroom.transport.gateway.frame_parser import ControlFrame, EndOfFrames, FrameParser, ParsedMessage
from greenroom.transport.gateway.outbox import Outbox
from greenroom.transport.gateway.upgrade import HeadMalformed, read_upgrade

try:
    from websockets.speedups import apply_mask
except ImportError:  # A platform without its compiled part.
    from websockets.utils import apply_mask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom.persistence.settings import WebSocketSettings
    from greenroom.transport.gateway.frame_parser import ParserEvent
    from greenroom.transport.gateway.outbox import Flusher
    from greenroom.transport.gateway.read_turns import ReadTurns
    from greenroom.transport.gateway.timer_wheel import TimerWheel
    from greenroom.transport.gateway.upgrade import UpgradeRequest

__all__ = ["Phase", "WebSocketProtocol", "WebSocketServer"]

log = logging.getLogger("greenroom.transport")

MALFORMED = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
HEAD_LIMIT_BYTES = 16 * 1024
"""The longest request line with headers."""
WHOLE_TEXT, WHOLE_BINARY, WHOLE_PING, WHOLE_PONG = 0x81, 0x82, 0x89, 0x8A
"""First bytes of frames that are a whole message, with no reserved bit set."""
SHORT = 126
"""A payload shorter than this has its length in the second byte. If the second byte has this value, the next two bytes
hold the length."""
TURN_BYTES = 64 * 1024
FRAME_BYTES = 2 * 1024
PARSED_FRAME_BYTES = 4 * 1024
"""One turn of the loop reads `TURN_BYTES` of a connection. Each frame counts as its bytes and `FRAME_BYTES`, so that
a turn reads at most 32 frames; a frame that websockets' parser reads costs more."""
PARSED_PIECE_BYTES = 512
"""The parser reads all frames that it is given at once, so it is given no more than this."""
CONTROLS_BURST_S = 10.0
"""Time whose control frames a connection may send at once."""
LINGER_S = 2.0
"""How long a peer may take to close its side after we closed ours. If we closed both sides together, the peer would
lose the data that it has not read yet."""


class Phase(enum.Enum):
    HEAD = "the request's head is being read"
    OPENING = "the request is not answered yet; pushed frames are held until then"
    OPEN = "frames are read and written"
    DRAINING = "no further frame is read, requests in flight are still answered"
    CLOSING = "the outbox is written out, nothing is added to it"
    LINGERING = "our side is closed, the peer's side is still open"
    LOST = "the socket is closed"


class WebSocketServer(Protocol):
    """The state that the connections of one server share."""

    loop: asyncio.AbstractEventLoop
    settings: WebSocketSettings
    wheel: TimerWheel
    flusher: Flusher
    turns: ReadTurns


class WebSocketProtocol(asyncio.Protocol):
    """One connection. It has no task and no timer of its own.

    A subclass answers `on_request` with `open` or `refuse`, immediately or later; after `open` its hooks receive whole
    messages. Order: messages as they were received, frames as they were added. An exception in a hook ends this
    connection only. `on_lost` is called once for each connection that was made.

    Bound: a turn of the loop reads a part of what a connection has sent (`TURN_BYTES`); nothing more is received before
    the rest was read, in later turns. A peer that floods it with control frames is closed with 1008.
    """

    # Slots here and in what belongs to each connection: an idle one takes 2.7 KiB instead of 4.2 (bench: connections).
    __slots__ = (
        "_allowance", "_controls_until", "_has_unread", "_head", "_parser", "_partial", "_ping_at", "_reading",
        "_timeout_from", "_transport", "outbox", "phase", "server", "slot",
    )  # fmt: skip

    def __init__(self, server: WebSocketServer) -> None:
        self.server = server
        self.phase = Phase.HEAD
        self.slot = -1
        self.outbox: Outbox = cast("Outbox", None)
        self._transport: asyncio.Transport | None = None
        # None until `_read_frames` finds a frame that it leaves to the parser. After that the parser reads all frames.
        self._parser: FrameParser | None = None
        # Received bytes that were not read yet: the beginning of a frame or, if `_has_unread`, maybe also whole frames.
        self._partial = b""
        self._has_unread = False
        # Number of bytes that may still be read in this turn of the loop.
        self._allowance = 0
        # The time up to which the control frames received so far use up what is allowed.
        self._controls_until = 0.0
        self._head: bytearray | None = bytearray()
        self._reading = True
        # The start of the current time-out: when the phase began; in OPEN when the last frame was read.
        self._timeout_from = 0.0
        self._ping_at: float | None = None

    # The hooks.

    def on_request(self, request: UpgradeRequest) -> None:
        """The request's head was read."""
        raise NotImplementedError

    def on_malformed(self) -> None:
        """The request's head is too long, or none. It must be refused."""
        self.refuse(MALFORMED)

    def on_text(self, text: str) -> None:
        raise NotImplementedError

    def on_binary(self, data: bytes) -> None:
        raise NotImplementedError

    def on_lost(self) -> None:
        """The socket is closed."""

    def is_busy(self) -> bool:
        """Whether work is in flight that `drain` should wait for."""
        return False

    def wants_reading(self) -> bool:
        """Whether another message may be read now. `update_reading` must be called when this changes."""
        return True

    # For subclasses.

    def open(self, head: bytes, *, ping: bool = False) -> None:
        """Write `head` (the 101, and frames that directly follow it), then the frames that were held, and begin to
        read frames. With `ping` the server pings this peer."""
        if self.phase is not Phase.OPENING:
            return
        now = self.server.loop.time()
        settings = self.server.settings
        self.phase = Phase.OPEN
        self._timeout_from = now
        if ping:
            self._ping_at = now + settings.ping_interval_s
        early, self._head = self._head, None
        self.outbox.release(head)
        self._arm()
        self.update_reading()
        if early:
            self.data_received(bytes(early))

    def refuse(self, answer: bytes) -> None:
        """Answer the request with these bytes and close."""
        if self.phase is Phase.OPENING:
            self.outbox.release(answer)
            self.close()

    def drain(self) -> None:
        """Stop reading, let the work in flight finish, then close. The write timeout bounds this."""
        if self.phase is Phase.OPEN:
            self.phase = Phase.DRAINING
            self._timeout_from = self.server.loop.time()
            self.update_reading()
            self._arm()
            self.close_if_drained()

    def close_if_drained(self) -> None:
        """Close, if `drain` was called and no work is in flight any more."""
        if self.phase is Phase.DRAINING and not self.is_busy():
            self.close()

    def close(self) -> None:
        """Write out the outbox, then close our side."""
        if self.phase in (Phase.CLOSING, Phase.LINGERING, Phase.LOST):
            return
        self.phase = Phase.CLOSING
        if self._parser is not None and self._parser.close_frame:
            self.outbox.add(self._parser.close_frame)
        self._head = self._parser = None
        self._timeout_from = self.server.loop.time()
        self._arm()
        self._try_close()

    def abort(self) -> None:
        """Drop the connection and all its pending data."""
        if self._transport is not None:
            self._transport.abort()

    def end_turn(self) -> None:
        """Read no further message in this turn of the loop."""
        self._allowance = 0

    def charge_turn(self, count: int) -> None:
        """Count this many bytes of work, such as decompressed data, as read in this turn of the loop."""
        self._allowance -= count

    def restart_read_timeout(self) -> None:
        """Restart the read timeout: until now the server itself was not reading."""
        self._timeout_from = self.server.loop.time()

    def update_reading(self) -> None:
        """Pause or resume reading, as the outbox, `wants_reading` and the phase allow."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self.phase is Phase.OPEN:
            reading = not self.outbox.is_blocked and self.wants_reading()
            if reading and self._has_unread:
                self.server.turns.add(self)
                reading = False
        else:
            reading = self.phase not in (Phase.OPENING, Phase.DRAINING)
        if reading != self._reading:
            self._reading = reading
            if reading:
                if self.phase is Phase.OPEN:
                    self.restart_read_timeout()
                transport.resume_reading()
            else:
                transport.pause_reading()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.outbox = Outbox(self.server.flusher, self._transport)
        self._timeout_from = self.server.loop.time()
        self._arm()

    def data_received(self, data: bytes) -> None:
        try:
            if self.phase is Phase.OPEN:
                if self._reading:
                    self._read_frames(data)
                else:
                    self._partial += data
                    self._has_unread = True
            elif self.phase is Phase.HEAD:
                self._read_head(data)
            elif self.phase is Phase.OPENING and self._head is not None:
                # Frames before the 101: they wait until the connection is open, and no further data is read.
                self._head += data
                self.update_reading()
        except Exception as error:
            self._fail(error)

    def eof_received(self) -> bool:
        """The peer has closed its sending side. Requests in flight are still answered."""
        self.drain()
        return self.phase is Phase.DRAINING

    def pause_writing(self) -> None:
        now = self.server.loop.time()
        self.outbox.block(now)
        self.update_reading()
        self._arm()

    def resume_writing(self) -> None:
        self.outbox.unblock()
        if self.phase is Phase.CLOSING:
            self._try_close()
        elif not self.outbox.is_blocked:
            self.update_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.phase = Phase.LOST
        self.server.wheel.discard(self)
        self.server.turns.discard(self)
        self.outbox.drop()
        self._transport = self._parser = self._head = None
        self._partial = b""
        self.on_lost()

    # Called by the turns of the loop.

    def read_on(self) -> int:
        """See `read_turns.Reader`."""
        if self.phase is not Phase.OPEN:
            return 0
        self._has_unread = False
        self.update_reading()
        if not self._reading:
            self._has_unread = True
            return 0
        try:
            self._read_frames(b"")
        except Exception as error:
            self._fail(error)
        return TURN_BYTES - self._allowance

    def _fail(self, error: Exception) -> None:
        # No traceback and no text: either may quote what the peer sent.
        log.error("a connection failed with %s and was dropped", type(error).__name__)
        self.abort()

    # Called by the timer wheel.

    def on_deadline(self, now: float) -> float | None:
        """See `timer_wheel.Timed`."""
        phase = self.phase
        if phase is Phase.LOST:
            return None
        due = self._deadline()
        if now >= due:
            if phase is Phase.DRAINING or (phase is Phase.OPEN and not self.outbox.is_blocked):
                self.close()
            else:
                self.abort()
                return None
            due = self._deadline()
        if self._ping_at is not None and self.phase is Phase.OPEN:
            if now >= self._ping_at:
                self.outbox.add(PING)
                self._ping_at = now + self.server.settings.ping_interval_s
            due = min(due, self._ping_at)
        return due

    def _arm(self) -> None:
        due = self._deadline()
        self.server.wheel.add(self, due if self._ping_at is None else min(due, self._ping_at))

    def _deadline(self) -> float:
        settings = self.server.settings
        phase = self.phase
        if phase is Phase.HEAD or phase is Phase.OPENING:
            return self._timeout_from + settings.handshake_timeout_s
        if phase is Phase.OPEN:
            if self.outbox.blocked_at is not None:
                return self.outbox.blocked_at + settings.write_timeout_s
            return self._timeout_from + settings.read_timeout_s
        if phase is Phase.LINGERING and self._transport and not self._transport.get_write_buffer_size():
            return self._timeout_from + min(LINGER_S, settings.write_timeout_s)
        return self._timeout_from + settings.write_timeout_s

    # Reads the head and the frames.

    def _read_head(self, data: bytes) -> None:
        head = self._head
        assert head is not None
        searched = max(0, len(head) - 3)
        head += data
        end = head.find(b"\r\n\r\n", searched, HEAD_LIMIT_BYTES)
        if end < 0 and len(head) < HEAD_LIMIT_BYTES:
            return
        self.phase = Phase.OPENING
        self.outbox.hold()
        try:
            if end < 0:
                raise HeadMalformed
            request = read_upgrade(bytes(head[: end + 4]))
        except HeadMalformed:
            self.on_malformed()
            return
        del head[: end + 4]
        self.on_request(request)

    def _read_frames(self, data: bytes) -> None:
        """Read the frames that almost all clients send: masked, not fragmented, shorter than 64 KiB. The first frame of
        another kind, or one that breaks a rule, goes to websockets' parser, and so do all frames after it."""
        if self._partial:
            data, self._partial = self._partial + data, b""
        self._allowance = TURN_BYTES
        if self._parser is not None:
            self._parse(self._parser, data)
            return
        limit = self.server.settings.max_frame_bytes
        position, size = 0, len(data)
        while size - position >= 2:
            if self._allowance <= 0 or not self._reading:
                self._keep_unread(data[position:])
                return
            first = data[position]
            length = data[position + 1] ^ 0x80
            start = position + 6
            if length == SHORT and first in (WHOLE_BINARY, WHOLE_TEXT):
                if size - position < 4:
                    break
                length = data[position + 2] << 8 | data[position + 3]
                start = position + 8
            elif length >= SHORT or first not in (WHOLE_BINARY, WHOLE_TEXT, WHOLE_PING, WHOLE_PONG):
                length = limit + 1
            if length > limit:
                self._parse(self._make_parser(), data[position:])
                return
            end = start + length
            if end > size:
                break
            position = end
            self._allowance -= FRAME_BYTES + length
            self._timeout_from = self.server.loop.time()
            payload = apply_mask(data[start:end], data[start - 4 : start])
            if first == WHOLE_BINARY:
                self.on_binary(payload)
            elif first == WHOLE_TEXT:
                self._read_text(payload)
            elif self.allows_control() and first == WHOLE_PING:
                self.outbox.add(pong_frame(payload))
            if self.phase is not Phase.OPEN:
                return
        self._partial = data[position:]

    def _keep_unread(self, data: bytes) -> None:
        """Keep the bytes for a later turn."""
        self._partial = data
        self._has_unread = True
        self.update_reading()

    def allows_control(self) -> bool:
        """Count one control frame. Past the allowed number the connection is closed with 1008; returns False then."""
        now = self.server.loop.time()
        until = max(self._controls_until, now) + 1 / self.server.settings.control_frames_per_s
        self._controls_until = until
        if until <= now + CONTROLS_BURST_S:
            return True
        log.debug("a connection sent too many control frames and is closed")
        self._close_with(CloseCode.POLICY_VIOLATION, "too many control frames")
        return False

    def _close_with(self, code: CloseCode, reason: str = "") -> None:
        """Read no further frame, and close with this code."""
        self._handle((self._parser or self._make_parser()).refuse(code, reason))

    def _make_parser(self) -> FrameParser:
        self._parser = FrameParser(self.server.settings.max_frame_bytes)
        return self._parser

    def _parse(self, parser: FrameParser, data: bytes) -> None:
        for position in range(0, len(data), PARSED_PIECE_BYTES):
            if self._allowance <= 0 or not self._reading:
                self._keep_unread(data[position:])
                return
            piece = data[position : position + PARSED_PIECE_BYTES]
            frames = parser.receive(piece)
            if frames:
                self._timeout_from = self.server.loop.time()
            self._allowance -= len(piece) + len(frames) * PARSED_FRAME_BYTES
            self._handle(parser.events(frames))
            if self.phase is not Phase.OPEN:
                return

    def _handle(self, events: Iterable[ParserEvent]) -> None:
        for event in events:
            match event:
                case ParsedMessage(data, is_text=True):
                    self._read_text(data)
                case ParsedMessage(data):
                    self.on_binary(data)
                case ControlFrame(pong):
                    if self.allows_control() and pong:
                        self.outbox.add(pong)
                case EndOfFrames():
                    self.drain()
            if self.phase is not Phase.OPEN:
                return

    def _read_text(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._close_with(CloseCode.INVALID_DATA)
        else:
            self.on_text(text)

    def _try_close(self) -> None:
        self.outbox.flush()
        transport = self._transport
        if transport is None or not self.outbox.is_empty:
            return
        self.phase = Phase.LINGERING
        self.update_reading()
        self._arm()
        if not transport.can_write_eof():
            transport.close()
            return
        try:
            transport.write_eof()
        except OSError:  # On asyncio's own loop: the other side has already ended the connection.
            transport.abort()
