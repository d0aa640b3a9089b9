"""The four codecs of a connection's frames: gob or JSON, each plain or compressed.

Pure functions between bytes and a Request or Response. Whatever the bytes are, the only error is EnvelopeError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeVar

import msgspec

from greenroom.actors.wire.go_json import JsonMalformed, JsonObject, parse
from greenroom.transport.envelope import gob
from greenroom.transport.envelope.compression import DECOMPRESSED_LIMIT_BYTES, compress, decompress
from greenroom.transport.envelope.request_response import EnvelopeError, FrameTooLarge, Request, Response
from greenroom.transport.envelope.websocket_frame import binary_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.actors.ports import Outgoing

__all__ = ["CODECS", "Codec", "EnvelopeError", "FrameTooLarge", "Request", "Response", "SdkType", "codec"]

SdkType = Literal["go", "js"]
_Frame = TypeVar("_Frame", Request, Response)

_encode_json = msgspec.json.Encoder().encode
_request_decoder = msgspec.json.Decoder(Request)
_response_decoder = msgspec.json.Decoder(Response)


class Codec:
    """Reads and writes the frames of one kind of connection. It has no state, so connections share it."""

    def __init__(self, *, sdk_type: SdkType, compression: bool) -> None:
        self.sdk_type = sdk_type
        self.compression = compression
        self.read_request: Callable[[bytes], Request]
        """Read a client's frame that is not compressed. Raises EnvelopeError."""
        self._read_response: Callable[[bytes], Response]
        self._write_request: Callable[[Request], bytes]
        self._write_response: Callable[[Response], bytes]
        if sdk_type == "go":
            self.read_request = gob.decode_request
            self._read_response = gob.decode_response
            self._write_request = gob.encode_request
            self._write_response = gob.encode_response
        else:
            self.read_request = _read_json_request
            self._read_response = _read_json_response
            self._write_request = _encode_json
            self._write_response = _encode_json

    def __repr__(self) -> str:
        return f"<Codec {self.sdk_type}{'+gzip' if self.compression else ''}>"

    def decode_request(self, frame: bytes, *, decompressed_limit_bytes: int = DECOMPRESSED_LIMIT_BYTES) -> Request:
        """Read a client's frame. Raises EnvelopeError, or FrameTooLarge if its data exceeds the limit."""
        return self.read_request(self.unfold(frame, decompressed_limit_bytes))

    def unfold(self, frame: bytes, limit_bytes: int) -> bytes:
        """The frame without compression. Raises EnvelopeError, FrameTooLarge."""
        return decompress(frame, limit_bytes=limit_bytes) if self.compression else frame

    def decode_response(self, frame: bytes, *, decompressed_limit_bytes: int = DECOMPRESSED_LIMIT_BYTES) -> Response:
        """Read a server's frame. Raises EnvelopeError, or FrameTooLarge if its data exceeds the limit."""
        if self.compression:
            frame = decompress(frame, limit_bytes=decompressed_limit_bytes)
        return self._read_response(frame)

    def encode_request(self, request: Request) -> bytes:
        """Write a client's frame."""
        frame = self._write_request(request)
        return compress(frame) if self.compression else frame

    def encode_response(self, response: Response) -> bytes:
        """Write a server's frame."""
        frame = self._write_response(response)
        return compress(frame) if self.compression else frame

    def encode_frame(self, outgoing: Outgoing) -> bytes:
        """Write a push as one complete WebSocket BINARY frame. See `greenroom.actors.ports.FrameEncoder`."""
        response = Response(
            req_identifier=outgoing.request_id, operation_id=outgoing.operation_id, data=outgoing.data
        )
        return binary_frame(self.encode_response(response))


def _read_json_request(frame: bytes) -> Request:
    try:
        return _request_decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_as_go(frame, Request)


def _read_json_response(frame: bytes) -> Response:
    try:
        return _response_decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_as_go(frame, Response)


_KEYS: Final = {
    frame_class: {
        field.encode_name.lower(): field.encode_name for field in msgspec.structs.fields(frame_class)
    }
    for frame_class in (Request, Response)
}


_VALUES_LIMIT: Final = 4096
"""Bound of the values in a frame that is read as Go reads it. The envelope has six; more are in unknown keys. Gob has
the same bound."""


def _read_as_go(frame: bytes, frame_class: type[_Frame]) -> _Frame:
    """Read a frame as Go does: it accepts keys in any case, unknown keys, nulls, and line breaks in base64."""
    # Each value follows one of these, so this counts no value too few, and costs far less than to parse them.
    if frame.count(b",") + frame.count(b"{") + frame.count(b"[") > _VALUES_LIMIT:
        raise EnvelopeError("json: too many values")
    try:
        pairs = parse(frame)
    except JsonMalformed as malformed:
        raise EnvelopeError(f"json: {malformed}") from None
    if not isinstance(pairs, JsonObject):
        raise EnvelopeError("json: not an object")
    keys = _KEYS[frame_class]
    values: dict[str, object] = {}
    for name, value in pairs:
        key = keys.get(name.lower())
        if key is None:
            continue
        if key == "data":
            # In Go a null empties the bytes, and base64 may contain line breaks.
            values.pop(key, None)
            if isinstance(value, str):
                value = value.replace("\n", "").replace("\r", "")
        if value is not None:
            values[key] = value
    try:
        return msgspec.convert(values, frame_class)
    except msgspec.ValidationError:
        raise EnvelopeError(f"json: a field of {frame_class.__name__} has the wrong type") from None


CODECS: Final = (
    Codec(sdk_type="go", compression=False),
    Codec(sdk_type="go", compression=True),
    Codec(sdk_type="js", compression=False),
    Codec(sdk_type="js", compression=True),
)
"""All codecs, in the order that `codec` relies on."""


def codec(sdk_type: SdkType, compression: bool) -> Codec:
    """The codec for this kind of connection."""
    return CODECS[(2 if sdk_type == "js" else 0) + compression]
