"""websockets' Sans-I/O parser, for the frames that few clients send: fragments, long ones, violations of the rules."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EndOfFrames", "FrameParser", "ParsedMessage", "ParserEvent", "PongFrame"]

# At DEBUG websockets logs tokens (in URLs) and bodies, so its logger leads nowhere.
MUTED: Final = logging.Logger("greenroom.transport.muted", level=logging.CRITICAL + 1)
MUTED.disabled = True


class ParsedMessage(NamedTuple):
    """A message that has come whole."""

    data: bytes
    is_text: bool


class PongFrame(NamedTuple):
    """The answer to a ping, to be written in its turn."""

    frame: bytes


class EndOfFrames(NamedTuple):
    """The peer closes, or has broken a rule. No more is read, and `FrameParser.close_frame` is written last."""


ParserEvent = ParsedMessage | PongFrame | EndOfFrames


class FrameParser:
    """Reads all that one connection sends, from the first frame on that is not short and whole."""

    def __init__(self, max_bytes: int) -> None:
        self._protocol = Protocol(Side.SERVER, max_size=max_bytes, logger=MUTED)
        self._fragments: bytearray | None = None
        self._fragments_are_text = False
        self.close_frame = b""
        """Empty until the connection is to end."""

    def receive(self, data: bytes) -> list[Frame]:
        """The frames that have come whole with these bytes, for `events`."""
        self._protocol.receive_data(data)
        return [event for event in self._protocol.events_received() if isinstance(event, Frame)]

    def events(self, frames: list[Frame]) -> Iterator[ParserEvent]:
        """What the frames mean, one after the other, and then what the connection has come to."""
        writes = iter(self._protocol.data_to_send())
        for frame in frames:
            if frame.opcode is Opcode.PING:
                # The protocol has written one pong for each ping, in order.
                yield PongFrame(next(writes))
            elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) and (message := self._join(frame)):
                yield message
        yield from self._end(writes)

    def refuse_text(self) -> Iterator[ParserEvent]:
        """What follows from a text that is not UTF-8."""
        self._protocol.fail(CloseCode.INVALID_DATA)
        return self._end(iter(self._protocol.data_to_send()))

    def _end(self, writes: Iterator[bytes]) -> Iterator[ParserEvent]:
        """The protocol writes nothing but pongs until it closes; it says with empty bytes that no more will follow."""
        for data in writes:
            self.close_frame += data
            if not data:
                yield EndOfFrames()

    def _join(self, frame: Frame) -> ParsedMessage | None:
        """The message that ends with this frame."""
        if frame.opcode is Opcode.CONT:
            assert self._fragments is not None
            self._fragments += frame.data
        elif frame.fin:
            return ParsedMessage(bytes(frame.data), frame.opcode is Opcode.TEXT)
        else:
            self._fragments, self._fragments_are_text = bytearray(frame.data), frame.opcode is Opcode.TEXT
        if not frame.fin:
            return None
        data, self._fragments = bytes(self._fragments), None
        return ParsedMessage(data, self._fragments_are_text)
