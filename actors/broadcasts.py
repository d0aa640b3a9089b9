"""Broadcasts: pushes to many connections. They are gathered for a moment, joined once, and written to each connection
in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from greenroom.actors.ports import FrameEncoder, Outgoing, Session

__all__ = ["Broadcasts", "Reach"]

_GATHERED_BYTES: Final = 1 << 16
"""When more bytes than this are gathered, they are written at once. A transport is full after about as many."""


class Reach:
    """The connections that get a broadcast, by their encoder."""

    def __init__(self, sessions: Iterable[Session], version: int) -> None:
        self.sessions: dict[FrameEncoder, list[Session]] = {}
        for each in sessions:
            self.sessions.setdefault(each.codec, []).append(each)
        self.version = version
        """The audience's version when its connections were looked up."""

    def __len__(self) -> int:
        return sum(map(len, self.sessions.values()))


class Broadcasts:
    """Gathers pushes to one reach. They are written at the end of the loop's tick. If writing the previous broadcast
    took a time t, they wait for another t. So a single message is written at once, a burst needs few writes, and half
    of the time remains for other work.

    Order: as added, and before everything that a connection gets after `hand_over`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        """`clock` gives seconds. Unlike the loop's own clock, it advances within a tick."""
        self._loop = loop
        self._clock = clock
        self._reach: Reach | None = None
        self._frames: dict[FrameEncoder, list[bytes]] = {}
        self._size = 0
        self._timer: asyncio.Handle
        self._free_at = 0.0
        """When the next broadcast may be written, on the loop's clock."""

    def add(self, reach: Reach, outgoing: Outgoing) -> None:
        """Push a message to the whole reach. It is encoded once for each encoder."""
        if self._reach is not reach:
            self.hand_over()
            self._reach = reach
            self._frames = {encoder: [] for encoder in reach.sessions}
            self._timer = self._loop.call_at(self._free_at, self._write)
        size = 0
        for encoder, frames in self._frames.items():
            frame = encoder.encode_frame(outgoing)
            frames.append(frame)
            size = max(size, len(frame))
        self._size += size
        if self._size > _GATHERED_BYTES:
            self.hand_over()

    def hand_over(self) -> None:
        """Put the gathered frames into the outboxes, so that later pushes do not overtake them."""
        if self._reach is not None:
            self._timer.cancel()
            for sessions, frames in self._take():
                for each in sessions:
                    for frame in frames:
                        each.push(frame)

    def _write(self) -> None:
        started_at = self._clock()
        for sessions, frames in self._take():
            data = b"".join(frames)
            for each in sessions:
                each.push_all(frames, data)
        duration = self._clock() - started_at
        self._free_at = self._loop.time() + 2 * duration  # Twice, because the loop's clock shows the start of the tick.

    def _take(self) -> list[tuple[list[Session], list[bytes]]]:
        assert self._reach is not None
        taken = [(sessions, self._frames[encoder]) for encoder, sessions in self._reach.sessions.items()]
        self._reach, self._size = None, 0
        return taken
