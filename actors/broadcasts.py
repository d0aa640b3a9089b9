"""What many connections are told: gathered for a moment, joined once, written to each connection in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from greenroom.actors.ports import FrameEncoder, Outgoing, Session

__all__ = ["Broadcasts", "Reach"]

_GATHERED_BYTES: Final = 1 << 16
"""Bytes gathered before they are written at once: about what a transport takes before it says that it is full."""


class Reach:
    """The connections that hear a broadcast, by their encoder."""

    __slots__ = ("sessions", "version")

    def __init__(self, sessions: Iterable[Session], version: int) -> None:
        self.sessions: dict[FrameEncoder, list[Session]] = {}
        for each in sessions:
            self.sessions.setdefault(each.codec, []).append(each)
        self.version = version
        """Version of the audience that these are the connections of."""

    def __len__(self) -> int:
        return sum(map(len, self.sessions.values()))


class Broadcasts:
    """Gathers what is said to one reach. That leaves when the loop's tick ends, or as long after the broadcast before
    it as that took to write: a message by itself goes at once, a burst in few writes, and half of the time is left
    to everything else.

    Order: as added, and before whatever a connection gets after `hand_over`.
    """

    __slots__ = ("_clock", "_frames", "_free_at", "_loop", "_reach", "_size", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        """`clock`, in seconds, goes on within a tick."""
        self._loop = loop
        self._clock = clock
        self._reach: Reach | None = None
        self._frames: dict[FrameEncoder, list[bytes]] = {}
        self._size = 0
        self._timer: asyncio.Handle
        self._free_at = 0.0
        """On the loop's clock: when the next one may be written."""

    def add(self, reach: Reach, outgoing: Outgoing) -> None:
        """Say this to all of them; it is encoded once for each encoder."""
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
        """Put what was gathered into the outboxes: what comes next must not overtake it."""
        if self._reach is not None:
            self._timer.cancel()
            for sessions, frames in self._take():
                for each in sessions:
                    for frame in frames:
                        each.push(frame)

    def _write(self) -> None:
        began = self._clock()
        for sessions, frames in self._take():
            data = b"".join(frames)
            for each in sessions:
                each.push_all(frames, data)
        took = self._clock() - began
        self._free_at = self._loop.time() + 2 * took  # The loop's time is of the tick's beginning.

    def _take(self) -> list[tuple[list[Session], list[bytes]]]:
        assert self._reach is not None
        taken = [(sessions, self._frames[encoder]) for encoder, sessions in self._reach.sessions.items()]
        self._reach, self._size = None, 0
        return taken
