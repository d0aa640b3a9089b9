"""The shell of a WebSocket connection: websockets' Sans-I/O protocol between a socket and three hooks.

It knows HTTP's head, frames, deadlines and the outbox, and nothing of what the frames mean.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from typing import TYPE_CHECKING, cast

from greenroom.transport.envelope.websocket_frame import PING, pong_frame
from greenroom.transport.gateway.outbox import Flusher, Outbox
from greenroom.transport.gateway.upgrade import HeadMalformed, read_head
from greenroom.transport.gateway.wheel import Wheel

try:
    from websockets.speedups import apply_mask
except ImportError:  # A platform without its compiled part.
    from websockets.utils import apply_mask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom.persistence.settings import WebSocketSettings
    from greenroom.transport.gateway.odd_frames import OddFrames, Step
    from greenroom.transport.gateway.upgrade import Head

__all__ = ["FrameProtocol", "Phase", "Shell"]

log = logging.getLogger("greenroom.transport")

HEAD_LIMIT_BYTES = 16 * 1024
"""Of a handshake's request line and headers."""
WHOLE_TEXT, WHOLE_BINARY, WHOLE_PING, WHOLE_PONG = 0x81, 0x82, 0x89, 0x8A
"""First bytes of frames that stand alone: the last of their message, no reserved bit."""
SHORT = 126
"""Payloads below this have their length in the second byte; one that says this has it in the next two."""
LINGER_S = 2.0
"""How long a peer may take to close after us. To close both ways at once loses what it has not read yet."""


class Phase(enum.Enum):
    HEAD = "the request is being read"
    OPENING = "the request waits for an answer; frames pushed meanwhile are held"
    OPEN = "frames come and go"
    LEAVING = "no more is read, what is under way is still answered"
    CLOSING = "the outbox drains, nothing is added"
    LINGERING = "our side is closed"
    LOST = "the socket is gone"


class Shell:
    """What the connections of one gateway share."""

    __slots__ = ("flusher", "loop", "settings", "wheel")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: WebSocketSettings, *, tick_s: float = 1.0
    ) -> None:
        self.loop = loop
        self.settings = settings
        self.wheel = Wheel(loop, tick_s=tick_s)
        self.flusher = Flusher(loop)


class FrameProtocol(asyncio.Protocol):
    """One connection. No task and no timer of its own.

    A subclass answers `on_request` with `open` or `refuse`, now or later; from `open` on it gets whole
    messages. Order: messages as they came, frames as they were added. An exception in a hook ends this
    connection only. `on_lost` is called once for each connection that was made.
    """

    __slots__ = (
        "_head", "_marked_at", "_odd", "_ping_at", "_reading", "_rest", "_transport", "outbox", "phase", "shell",
        "slot",
    )  # fmt: skip

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.phase = Phase.HEAD
        self.slot = -1
        self.outbox: Outbox = cast("Outbox", None)
        self._transport: asyncio.Transport | None = None
        # None, until a frame comes that `_read_frames` leaves to it; from then on it reads them all.
        self._odd: OddFrames | None = None
        # The beginning of a frame.
        self._rest = b""
        self._head: bytearray | None = bytearray()
        self._reading = True
        # When the phase began; in OPEN, when the last frame was read.
        self._marked_at = 0.0
        self._ping_at: float | None = None

    # The hooks.

    def on_request(self, request: Head) -> None:
        """A request's head was read."""
        raise NotImplementedError

    def on_text(self, text: str) -> None:
        raise NotImplementedError

    def on_binary(self, data: bytes) -> None:
        raise NotImplementedError

    def on_lost(self) -> None:
        """The socket is gone."""

    def is_busy(self) -> bool:
        """Whether something is still under way that `leave` should wait for."""
        return False

    def wants_reading(self) -> bool:
        """Whether another message may be read now. Asked again by `review_reading`."""
        return True

    # What a subclass does.

    def open(self, head: bytes, *, ping: bool = False) -> None:
        """Write `head` (the 101, and frames right behind it), then what was held, and begin to read frames.
        With `ping`, the server pings this peer."""
        if self.phase is not Phase.OPENING:
            return
        now = self.shell.loop.time()
        settings = self.shell.settings
        self.phase = Phase.OPEN
        self._marked_at = now
        if ping:
            self._ping_at = now + settings.ping_interval_s
        early, self._head = self._head, None
        self.outbox.release(head)
        self._arm()
        self.review_reading()
        if early:
            self.data_received(bytes(early))

    def refuse(self, answer: bytes) -> None:
        """Answer the request with these bytes and close."""
        if self.phase is Phase.OPENING:
            self.outbox.release(answer)
            self.finish()

    def leave(self) -> None:
        """Read no more, answer what is under way, then close; within the write timeout."""
        if self.phase is Phase.OPEN:
            self.phase = Phase.LEAVING
            self._marked_at = self.shell.loop.time()
            self.review_reading()
            self._arm()
            self.try_leave()

    def try_leave(self) -> None:
        """Something that `leave` may wait for is done."""
        if self.phase is Phase.LEAVING and not self.is_busy():
            self.finish()

    def finish(self) -> None:
        """Let the outbox drain, then close our side."""
        if self.phase in (Phase.CLOSING, Phase.LINGERING, Phase.LOST):
            return
        self.phase = Phase.CLOSING
        if self._odd is not None and self._odd.farewell:
            self.outbox.add(self._odd.farewell)
        self._head = self._odd = None
        self._marked_at = self.shell.loop.time()
        self._arm()
        self._try_close()

    def abort(self) -> None:
        """Drop the connection with whatever waits in it."""
        if self._transport is not None:
            self._transport.abort()

    def renew(self) -> None:
        """Begin the read timeout anew: the silence is ours."""
        self._marked_at = self.shell.loop.time()

    def review_reading(self) -> None:
        """Read on, or stop reading: a full outbox and `wants_reading` decide."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self.phase is Phase.OPEN:
            reading = not self.outbox.is_blocked and self.wants_reading()
        else:
            reading = self.phase not in (Phase.OPENING, Phase.LEAVING)
        if reading != self._reading:
            self._reading = reading
            if reading:
                if self.phase is Phase.OPEN:
                    self.renew()
                transport.resume_reading()
            else:
                transport.pause_reading()

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.outbox = Outbox(self.shell.flusher, self._transport)
        self._marked_at = self.shell.loop.time()
        self._arm()

    def data_received(self, data: bytes) -> None:
        try:
            if self.phase is Phase.OPEN:
                self._read_frames(data)
            elif self.phase is Phase.HEAD:
                self._read_head(data)
            elif self.phase is Phase.OPENING and self._head is not None:
                # Too early: it waits for the 101, and so does what may come after it.
                self._head += data
                self.review_reading()
        except Exception as error:
            # No traceback and no text: either may quote what the peer sent.
            log.error("a connection failed with %s and was dropped", type(error).__name__)
            self.abort()

    def eof_received(self) -> bool:
        """The peer sends no more. What is under way is answered."""
        self.leave()
        return self.phase is Phase.LEAVING

    def pause_writing(self) -> None:
        now = self.shell.loop.time()
        self.outbox.block(now)
        self.review_reading()
        self._arm()

    def resume_writing(self) -> None:
        self.outbox.unblock()
        if self.phase is Phase.CLOSING:
            self._try_close()
        elif not self.outbox.is_blocked:
            self.review_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.phase = Phase.LOST
        self.shell.wheel.discard(self)
        self.outbox.drop()
        self._transport = self._odd = self._head = None
        self._rest = b""
        self.on_lost()

    # The wheel's side.

    def check(self, now: float) -> float | None:
        """See `wheel.Timed`."""
        phase = self.phase
        if phase is Phase.LOST:
            return None
        due = self._deadline()
        if now >= due:
            if phase is Phase.LEAVING or (phase is Phase.OPEN and not self.outbox.is_blocked):
                self.finish()
            else:
                self.abort()
                return None
            due = self._deadline()
        if self._ping_at is not None and self.phase is Phase.OPEN:
            if now >= self._ping_at:
                self.outbox.add(PING)
                self._ping_at = now + self.shell.settings.ping_interval_s
            due = min(due, self._ping_at)
        return due

    def _arm(self) -> None:
        due = self._deadline()
        self.shell.wheel.add(self, due if self._ping_at is None else min(due, self._ping_at))

    def _deadline(self) -> float:
        settings = self.shell.settings
        phase = self.phase
        if phase is Phase.HEAD or phase is Phase.OPENING:
            return self._marked_at + settings.handshake_timeout_s
        if phase is Phase.OPEN:
            if self.outbox.blocked_at is not None:
                return self.outbox.blocked_at + settings.write_timeout_s
            return self._marked_at + settings.read_timeout_s
        if phase is Phase.LINGERING and self._transport and not self._transport.get_write_buffer_size():
            return self._marked_at + min(LINGER_S, settings.write_timeout_s)
        return self._marked_at + settings.write_timeout_s

    # Reading.

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
            request = read_head(bytes(head[: end + 4]))
        except HeadMalformed:
            self.refuse(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return
        del head[: end + 4]
        self.on_request(request)

    def _read_frames(self, data: bytes) -> None:
        """Read the frames that nearly all clients send: masked, whole, of less than 64 KiB. The first one of
        another kind, or against the rules, goes to websockets' parser, and so does all that follows it."""
        if self._odd is not None:
            self._read_odd(self._odd, data)
            return
        if self._rest:
            data, self._rest = self._rest + data, b""
        limit = self.shell.settings.max_frame_bytes
        position, size = 0, len(data)
        while size - position >= 2:
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
                self._read_odd(self._begin_odd(), data[position:])
                return
            end = start + length
            if end > size:
                break
            position = end
            self._marked_at = self.shell.loop.time()
            payload = apply_mask(data[start:end], data[start - 4 : start])
            if first == WHOLE_BINARY:
                self.on_binary(payload)
            elif first == WHOLE_TEXT:
                self._read_text(payload)
            elif first == WHOLE_PING:
                self.outbox.add(pong_frame(payload))
            if self.phase is not Phase.OPEN:
                return
        self._rest = data[position:]

    def _begin_odd(self) -> OddFrames:
        from greenroom.transport.gateway.odd_frames import OddFrames

        self._odd = OddFrames(self.shell.settings.max_frame_bytes)
        return self._odd

    def _read_odd(self, odd: OddFrames, data: bytes) -> None:
        frames = odd.take(data)
        if frames:
            self._marked_at = self.shell.loop.time()
        self._follow(odd.steps(frames))

    def _follow(self, steps: Iterable[Step]) -> None:
        for data, is_text, is_answer in steps:
            if is_answer and data:
                self.outbox.add(data)
            elif is_answer:
                self.leave()
            elif is_text:
                self._read_text(data)
            else:
                self.on_binary(data)
            if self.phase is not Phase.OPEN:
                return

    def _read_text(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._follow((self._odd or self._begin_odd()).refuse_text())
        else:
            self.on_text(text)

    def _try_close(self) -> None:
        self.outbox.flush()
        transport = self._transport
        if transport is None or not self.outbox.is_empty:
            return
        self.phase = Phase.LINGERING
        self.review_reading()
        self._arm()
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()
