"""Frames that few clients send: fragments, long ones, what breaks the rules. websockets' Sans-I/O parser reads them.

Loaded for the first connection that sends one: most nodes never need the parser, which is 0.3 MB.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["OddFrames", "Step"]

# websockets logs tokens (in URLs) and bodies at DEBUG: it gets a logger that leads nowhere.
MUTED: Final = logging.Logger("greenroom.transport.muted", level=logging.CRITICAL + 1)
MUTED.disabled = True


class Step(NamedTuple):
    """A message that came whole, or bytes to write; without bytes, the end: the farewell is to be written last."""

    data: bytes
    is_text: bool = False
    is_answer: bool = False


class OddFrames:
    """Reads all that a connection sends from its first such frame on."""

    def __init__(self, max_bytes: int) -> None:
        self._protocol = Protocol(Side.SERVER, max_size=max_bytes, logger=MUTED)
        self._fragments: bytearray | None = None
        self._fragments_are_text = False
        self.farewell = b""
        """What the connection ends with."""

    def take(self, data: bytes) -> list[Frame]:
        """What has come whole with these bytes, for `steps`."""
        self._protocol.receive_data(data)
        return [event for event in self._protocol.events_received() if isinstance(event, Frame)]

    def steps(self, frames: list[Frame]) -> Iterator[Step]:
        """What to do about frames, one after the other, and then about the connection."""
        writes = iter(self._protocol.data_to_send())
        for frame in frames:
            if frame.opcode is Opcode.PING:
                # The protocol has written one pong for each ping, in order.
                yield Step(next(writes), is_answer=True)
            elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) and (whole := self._join(frame)):
                yield whole
        yield from self._end(writes)

    def refuse_text(self) -> Iterator[Step]:
        """A text is no UTF-8."""
        self._protocol.fail(CloseCode.INVALID_DATA)
        return self._end(iter(self._protocol.data_to_send()))

    def _end(self, writes: Iterator[bytes]) -> Iterator[Step]:
        """By what the protocol writes beside pongs: it closes."""
        for data in writes:
            self.farewell += data
            if not data:
                yield Step(b"", is_answer=True)

    def _join(self, frame: Frame) -> Step | None:
        """The message that ends with this frame."""
        if frame.opcode is Opcode.CONT:
            assert self._fragments is not None
            self._fragments += frame.data
        elif frame.fin:
            return Step(bytes(frame.data), frame.opcode is Opcode.TEXT)
        else:
            self._fragments, self._fragments_are_text = bytearray(frame.data), frame.opcode is Opcode.TEXT
        if not frame.fin:
            return None
        data, self._fragments = bytes(self._fragments), None
        return Step(data, self._fragments_are_text)
