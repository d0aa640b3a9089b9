"""The frames between a node and its writer process: four bytes of length, then msgpack. No pickles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from greenroom.persistence.store import Refusal, Slice

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BATCH", "FRAME_BYTES_MAX", "HELLO", "OUTCOMES", "FrameReader", "encode_frame"]

FRAME_BYTES_MAX: Final = 256 << 20
"""A longer frame is refused by its sender, and ends the connection at its receiver."""

BATCH: Final = msgspec.msgpack.Decoder(list[Slice])
"""What the node sends: slices to commit."""
OUTCOMES: Final = msgspec.msgpack.Decoder(list[Refusal | None])
"""What the process answers to each batch, in order."""
HELLO: Final = msgspec.msgpack.Decoder(str)
"""What the process sends first: empty if it is ready, else why it is not."""

_ENCODER: Final = msgspec.msgpack.Encoder()


def encode_frame(value: Any) -> bytearray:
    """Raises ValueError if it is too long."""
    frame = bytearray(4)
    _ENCODER.encode_into(value, frame, 4)
    length = len(frame) - 4
    if length > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {length} bytes")
    frame[:4] = length.to_bytes(4, "big")
    return frame


class FrameReader:
    """Takes bytes as they come and gives the whole frames among them."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """Raises ValueError on a length out of bounds."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= 4:
                length = int.from_bytes(buffer[start : start + 4], "big")
                if length > FRAME_BYTES_MAX:
                    raise ValueError(f"a frame of {length} bytes")
                end = start + 4 + length
                if len(buffer) < end:
                    break
                frame = bytes(buffer[start + 4 : end])
                start = end
                yield frame
        finally:
            del buffer[:start]
