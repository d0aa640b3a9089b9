"""The frames between a node and its writer process: four bytes of length, then MessagePack. The node sends slices, and
the writer sends their outcomes. Both sides are of one release, and no other process has the socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from greenroom.persistence.refusal import Refusal
from greenroom.persistence.store import Slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "FRAME_BYTES_MAX", "FrameReader", "decode_hello", "decode_outcomes", "decode_slices", "encode_frame",
    "encode_slices",
]  # fmt: skip

FRAME_BYTES_MAX: Final = 256 << 20
"""Length limit of a frame. The sender refuses a longer one; at the receiver it ends the connection."""

_encoder: Final = msgspec.msgpack.Encoder()
_slices: Final = msgspec.msgpack.Decoder(list[Slice])
_slice: Final = msgspec.msgpack.Decoder(Slice)
_raws: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_outcomes: Final = msgspec.msgpack.Decoder(list[Refusal | None])
_hello: Final = msgspec.msgpack.Decoder(str)
_NOTHING: Final = msgspec.Raw(_encoder.encode(None))


def encode_frame(value: Any) -> bytes:
    """Encode a frame. Raises ValueError if it is too long, or if a value cannot be encoded."""
    try:
        data = _encoder.encode(value)
    except (OverflowError, TypeError) as error:
        raise ValueError(str(error)) from error
    if len(data) > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {len(data)} bytes")
    return len(data).to_bytes(4, "big") + data


def encode_slices(slices: Sequence[Slice]) -> bytes:
    """Encode a frame of slices. A slice that cannot be encoded becomes None. Raises ValueError if it is too long."""
    try:
        return encode_frame(slices)
    except ValueError:
        return encode_frame([_alone(slice_) for slice_ in slices])


def decode_slices(frame: bytes) -> list[Slice | None]:
    """Decode a frame of slices. A slice that cannot be decoded becomes None."""
    try:
        return _slices.decode(frame)  # type: ignore[return-value]
    except msgspec.ValidationError:
        return [_decoded(raw) for raw in _raws.decode(frame)]


def decode_outcomes(frame: bytes) -> list[Refusal | None]:
    return _outcomes.decode(frame)


def decode_hello(frame: bytes) -> str:
    """Decode the writer's first frame: empty if the writer is ready, otherwise the reason why not."""
    return _hello.decode(frame)


def _alone(slice_: Slice) -> msgspec.Raw:
    try:
        return msgspec.Raw(_encoder.encode(slice_))
    except (OverflowError, TypeError, ValueError):
        return _NOTHING


def _decoded(raw: msgspec.Raw) -> Slice | None:
    try:
        return _slice.decode(raw)
    except msgspec.ValidationError:
        return None


class FrameReader:
    """Collects received bytes, and returns the complete frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[bytes]:
        """Add received bytes, and yield each complete frame. Raises ValueError if a frame is too long."""
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
