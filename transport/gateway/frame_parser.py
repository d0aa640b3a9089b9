"""websockets' Sans-I/O parser, for frames that few clients send: fragments, long frames, broken rules."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.frames import CloseCode

__all__ = ["ControlFrame", "EndOfFrames", "FrameParser", "ParsedMessage", "ParserEvent"]

_SMALL_BYTES: Final = 126
"""A fragment shorter than this counts as a control frame: it has a header as long as the data, or longer."""

# At DEBUG websockets logs tokens (in URLs) and bodies, so its logger is disabled.
MUTED: Final = logging.Logger("greenroom.transport.muted", level=logging.CRITICAL + 1)
MUTED.disabled = True


class ParsedMessage(NamedTuple):
    """A complete message."""

    data: bytes
    is_text: bool


class ControlFrame(NamedTuple):
    """A frame without a message of its own: a ping, a pong or a small fragment."""

    pong: bytes = b""
    """The answer to a ping, to be written in order."""


class EndOfFrames(NamedTuple):
    """The peer closes, or has broken a rule. No further frame is read; `FrameParser.close_frame` is written last."""


ParserEvent = ParsedMessage | ControlFrame | EndOfFrames


class FrameParser:
    """Reads the frames of one connection, from the first one that `WebSocketProtocol` does not read itself."""

    def __init__(self, max_bytes: int) -> None:
        self._protocol = Protocol(Side.SERVER, max_size=max_bytes, logger=MUTED)
        self._fragments: bytearray | None = None
        self._fragments_are_text = False
        self.close_frame = b""
        """The last bytes to write. Empty until the connection is to be closed."""

    def receive(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete. They must be given to `events`."""
        self._protocol.receive_data(data)
        return [event for event in self._protocol.events_received() if isinstance(event, Frame)]

    def events(self, frames: list[Frame]) -> Iterator[ParserEvent]:
        """The events of these frames in their order, and EndOfFrames if the connection is to be closed."""
        writes = iter(self._protocol.data_to_send())
        for frame in frames:
            if frame.opcode is Opcode.PING:
                # The protocol has written one pong for each ping, in order.
                yield ControlFrame(next(writes))
            elif frame.opcode is Opcode.PONG:
                yield ControlFrame()
            elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                is_whole = frame.fin and frame.opcode is not Opcode.CONT
                if not is_whole and len(frame.data) < _SMALL_BYTES:
                    yield ControlFrame()
                if message := self._join(frame):
                    yield message
        yield from self._end(writes)

    def refuse(self, code: CloseCode, reason: str) -> Iterator[ParserEvent]:
        """The events after a frame that breaks a rule which the protocol does not check. It closes with this code."""
        self._protocol.fail(code, reason)
        return self._end(iter(self._protocol.data_to_send()))

    def _end(self, writes: Iterator[bytes]) -> Iterator[ParserEvent]:
        """Until it closes, the protocol writes only pongs. Empty bytes mean that it writes nothing after them."""
        for data in writes:
            self.close_frame += data
            if not data:
                yield EndOfFrames()

    def _join(self, frame: Frame) -> ParsedMessage | None:
        """The message that this frame completes, if it does."""
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
