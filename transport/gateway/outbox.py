"""The outbox of a connection: frames wait here until the end of the loop's tick, and are written together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

__all__ = ["Flusher", "Outbox"]

_TRANSPORT_BYTES: Final = 1 << 16
"""Number of bytes that a transport buffers before it is full (asyncio's high-water mark)."""


class Flusher:
    """Flushes all outboxes that received frames during a tick of the loop, in one callback."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dirty: list[Outbox] = []

    def mark(self, outbox: Outbox) -> None:
        """Flush `outbox` at the end of this tick."""
        if not self._dirty:
            self._loop.call_soon(self._flush)
        self._dirty.append(outbox)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for outbox in dirty:
            outbox.flush()


class Outbox:
    """Frames that wait to be written to one socket.

    Order: as added. Bound: `offer` refuses a frame beyond its limits. `add` refuses none, so its caller must not read
    further requests while `is_blocked`. While the transport is full, frames stay here; so the transport holds at most
    its high-water mark and one write. Between `hold` and `release` (before the 101) nothing is written.
    """

    __slots__ = ("_dirty", "_flusher", "_frames", "_is_held", "_size", "_transport", "blocked_at")

    def __init__(self, flusher: Flusher, transport: asyncio.WriteTransport) -> None:
        self._flusher = flusher
        self._transport: asyncio.WriteTransport | None = transport
        self._frames: list[bytes] = []
        self._size = 0
        self._dirty = False
        self._is_held = False
        self.blocked_at: float | None = None
        """When the transport became full, in the loop's time; None while it is not."""

    @property
    def is_blocked(self) -> bool:
        """Whether the transport is full."""
        return self.blocked_at is not None

    @property
    def is_empty(self) -> bool:
        """Whether the transport has been given every frame that was added."""
        return not self._frames

    def add(self, frame: bytes) -> None:
        """Add a frame, even beyond the limits."""
        self._frames.append(frame)
        self._size += len(frame)
        if not self._dirty:
            self._dirty = True
            self._flusher.mark(self)

    def offer(self, frame: bytes, limit_frames: int, limit_bytes: int) -> bool:
        """Add a frame, unless that exceeds a limit. The bytes in the transport's buffer count as well."""
        size = len(frame)
        if not self._has_room(size, limit_frames, limit_bytes):
            # Frames that are only waiting for the end of this tick do not mean that the peer is slow.
            self.flush()
            if not self._has_room(size, limit_frames, limit_bytes):
                return False
        self._frames.append(frame)
        self._size += size
        if not self._dirty:
            self._dirty = True
            self._flusher.mark(self)
        return True

    def _has_room(self, size: int, limit_frames: int, limit_bytes: int) -> bool:
        size += self._size
        transport = self._transport
        # A transport that is not full holds so little that it matters only near the limit.
        if transport is not None and (self.blocked_at is not None or size > limit_bytes - _TRANSPORT_BYTES):
            size += transport.get_write_buffer_size()
        return len(self._frames) < limit_frames and size <= limit_bytes

    def write_through(self, data: bytes) -> bool:
        """Write whole frames immediately. Returns False, and writes none, if the transport is full or frames wait."""
        transport = self._transport
        if self._frames or self._is_held or self.blocked_at is not None or transport is None:
            return False
        transport.write(data)
        return True

    def hold(self) -> None:
        """Keep all frames until `release`."""
        self._is_held = True

    def release(self, head: bytes) -> None:
        """Write `head`, then the frames that were held, and hold no further frames."""
        self._is_held = False
        self._frames.insert(0, head)
        self._size += len(head)
        self.flush()

    def block(self, now: float) -> None:
        """The transport is full (pause_writing)."""
        self.blocked_at = now

    def unblock(self) -> None:
        """The transport has drained (resume_writing)."""
        self.blocked_at = None
        self.flush()

    def flush(self) -> None:
        """Give all frames to the transport in one write, unless it is full."""
        self._dirty = False
        frames = self._frames
        if not frames or self._is_held or self.blocked_at is not None or self._transport is None:
            return
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        self._size = 0
        self._transport.write(data)

    def drop(self) -> None:
        """Discard all frames: the socket is closed."""
        self._frames.clear()
        self._size = 0
        self._transport = None
