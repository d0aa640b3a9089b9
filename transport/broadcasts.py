"""What many connections are told: gathered for a moment, joined once, one write for each connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from greenroom.transport.gateway.ready_frame import binary_frame

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from greenroom.transport.envelope.codec import Codec, Response

__all__ = ["Broadcasts", "Listener", "Reach"]

_GATHERED_BYTES: Final = 1 << 16
"""In one envelope, and a frame: about what a transport takes before it says that it is full."""


class Listener(Protocol):
    """What a broadcast needs of a connection."""

    codec: Codec

    def push(self, frame: bytes) -> None:
        """Write a ready frame, or lose it and close."""

    def push_all(self, frames: list[bytes], data: bytes) -> None:
        """The same with several in a row; `data` is all of them."""


class Reach:
    """The connections that hear a broadcast, by their envelope."""

    __slots__ = ("listeners", "version")

    def __init__(self, listeners: Iterable[Listener], version: int) -> None:
        self.listeners: dict[Codec, list[Listener]] = {}
        for each in listeners:
            self.listeners.setdefault(each.codec, []).append(each)
        self.version = version
        """Of the audience."""

    def __len__(self) -> int:
        return sum(map(len, self.listeners.values()))


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
        self._frames: dict[Codec, list[bytes]] = {}
        self._size = 0
        self._timer: asyncio.Handle
        self._free_at = 0.0
        """On the loop's clock: when the next one may be written."""

    def add(self, reach: Reach, response: Response) -> None:
        """Say this to all of them; it is encoded once for each envelope."""
        if self._reach is not reach:
            self.hand_over()
            self._reach = reach
            self._frames = {codec: [] for codec in reach.listeners}
            self._timer = self._loop.call_at(self._free_at, self._write)
        size = 0
        for codec, frames in self._frames.items():
            frame = binary_frame(codec.encode_response(response))
            frames.append(frame)
            size = max(size, len(frame))
        self._size += size
        if self._size > _GATHERED_BYTES:
            self.hand_over()

    def hand_over(self) -> None:
        """Put what was gathered into the outboxes: what comes next must not overtake it."""
        if self._reach is not None:
            self._timer.cancel()
            for listeners, frames in self._take():
                for each in listeners:
                    for frame in frames:
                        each.push(frame)

    def _write(self) -> None:
        began = self._clock()
        for listeners, frames in self._take():
            data = b"".join(frames)
            for each in listeners:
                each.push_all(frames, data)
        took = self._clock() - began
        self._free_at = self._loop.time() + 2 * took  # The loop's time is of the tick's beginning.

    def _take(self) -> list[tuple[list[Listener], list[bytes]]]:
        assert self._reach is not None
        taken = [(listeners, self._frames[codec]) for codec, listeners in self._reach.listeners.items()]
        self._reach, self._size = None, 0
        return taken
