"""Turns of the loop for connections that have sent more than they may have handled in one turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["ReadTurns", "Reader"]

_READERS_PER_TURN: Final = 4
"""Number of waiting connections that are read in one turn of the loop."""
_BYTES_PER_TURN: Final = 256 * 1024
"""The turn ends sooner if the data of these connections have this size when they are decompressed. Those of a single
connection may be larger: a frame of 1 KB may hold 1 MiB, and takes as long to read."""


class Reader(Protocol):
    """A connection with bytes that were received and not read yet."""

    def read_on(self) -> int:
        """Read as much as the connection may read in one turn. If bytes remain, it is added again. Returns the number
        of bytes that this counts as."""


class ReadTurns:
    """Reads the remaining bytes of connections, in later turns of the loop.

    Order: the connection that has waited longest is read first. After each turn the loop handles everything else that
    is due, so a connection that sends as fast as it can delays the others by its own turn only.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[Reader, None] = {}
        self._is_scheduled = False

    def add(self, reader: Reader) -> None:
        """Let `reader` read on in a later turn. If it is already waiting, it keeps its place."""
        self._waiting[reader] = None
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def discard(self, reader: Reader) -> None:
        """Remove `reader`, if it is waiting."""
        self._waiting.pop(reader, None)

    def _run(self) -> None:
        size = 0
        for _ in range(min(_READERS_PER_TURN, len(self._waiting))):
            reader = next(iter(self._waiting), None)
            if reader is None or size >= _BYTES_PER_TURN:
                break
            del self._waiting[reader]
            size += reader.read_on()
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            self._loop.call_soon(self._run)
