"""The outbox of a connection: frames wait here for the end of the loop's tick, and leave in one write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

__all__ = ["Flusher", "Outbox"]

_TRANSPORT_BYTES: Final = 1 << 16
"""What a transport takes before it says that it is full (asyncio's high-water mark)."""


class Flusher:
    """One callback a loop tick for all outboxes that got frames in it."""

    __slots__ = ("_dirty", "_loop")

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
    """Frames on their way to one socket.

    Order: as added. Loss: `offer` refuses a frame past the bound, `add` never does; whoever adds bounds what
    it adds by reading no further while `is_blocked`. While the transport is full, frames stay here: the
    transport holds at most its high-water mark and one write. While held (before the 101), nothing leaves.
    """

    __slots__ = ("_dirty", "_flusher", "_frames", "_held", "_size", "_transport", "blocked_at")

    def __init__(self, flusher: Flusher, transport: asyncio.WriteTransport) -> None:
        self._flusher = flusher
        self._transport: asyncio.WriteTransport | None = transport
        self._frames: list[bytes] = []
        self._size = 0
        self._dirty = False
        self._held = False
        self.blocked_at: float | None = None
        """Since when (loop time) the transport has taken nothing; None while it takes."""

    @property
    def is_blocked(self) -> bool:
        """Whether the transport is full."""
        return self.blocked_at is not None

    @property
    def is_empty(self) -> bool:
        """Whether everything added was handed to the transport."""
        return not self._frames

    def add(self, frame: bytes) -> None:
        """Take a frame, whatever the bound says."""
        self._frames.append(frame)
        self._size += len(frame)
        if not self._dirty:
            self._dirty = True
            self._flusher.mark(self)

    def offer(self, frame: bytes, limit_frames: int, limit_bytes: int) -> bool:
        """Take a frame, unless that passes the bound. What the transport holds counts, too."""
        size = len(frame)
        if not self._has_room(size, limit_frames, limit_bytes):
            # What merely waits for the end of this tick is no sign of a slow peer.
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
        # Until it is full, a transport holds so little that it matters near the bound only.
        if transport is not None and (self.blocked_at is not None or size > limit_bytes - _TRANSPORT_BYTES):
            size += transport.get_write_buffer_size()
        return len(self._frames) < limit_frames and size <= limit_bytes

    def pass_on(self, data: bytes) -> bool:
        """Hand frames that have waited elsewhere to the transport, unless it is full or others wait before them."""
        transport = self._transport
        if self._frames or self._held or self.blocked_at is not None or transport is None:
            return False
        transport.write(data)
        return True

    def hold(self) -> None:
        """Let nothing leave until `release`."""
        self._held = True

    def release(self, head: bytes) -> None:
        """Let frames leave again, `head` before all that was added meanwhile."""
        self._held = False
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
        """Hand what waits to the transport in one write, if it takes any."""
        self._dirty = False
        frames = self._frames
        if not frames or self._held or self.blocked_at is not None or self._transport is None:
            return
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        self._size = 0
        self._transport.write(data)

    def drop(self) -> None:
        """The socket is gone: forget everything."""
        self._frames.clear()
        self._size = 0
        self._transport = None
