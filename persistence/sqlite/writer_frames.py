"""The frames between a node and its writer process: four bytes of length, then plain values as `marshal` writes them,
which both have without loading anything. Both are of one release of Python, and nobody else holds the socket."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FRAME_BYTES_MAX", "FrameReader", "decode", "encode_frame"]

FRAME_BYTES_MAX: Final = 256 << 20
"""A longer frame is refused by its sender, and ends the connection at its receiver."""
_FORMAT: Final = 2
"""Of marshal: without references to what was written before, for which it would look."""


def encode_frame(value: Any) -> bytes:
    """Raises ValueError if it is too long, or no plain value."""
    data = marshal.dumps(value, _FORMAT)
    if len(data) > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {len(data)} bytes")
    return len(data).to_bytes(4, "big") + data


def decode(frame: bytes) -> Any:
    """The value of a frame. Raises ValueError."""
    try:
        return marshal.loads(frame)
    except (EOFError, TypeError) as error:
        raise ValueError(str(error)) from error


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
