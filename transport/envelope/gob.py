"""Go's gob, as far as the two envelopes need it: pure functions on bytes.

A frame holds any number of type definitions, and then one struct value. The sender chooses ids, names and the order of
the fields, so fields are matched by name, and unknown fields are skipped. The only error is EnvelopeError: for bytes
that are not gob, an unknown field of interface type, a value that is not a struct, and a frame beyond a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from greenroom.transport.envelope.gob_types import (
    BYTES,
    INT,
    STRING,
    GobType,
    SkipBudget,
    StructType,
    read_definitions,
    read_unsigned,
    skip_value,
)
from greenroom.transport.envelope.request_response import EnvelopeError, Request, Response

__all__ = ["decode_request", "decode_response", "encode_request", "encode_response"]

# The definitions that Go's encoder writes for these structs, if they are the first types that its process encodes.
# Recorded from the official client and the official server.
_REQUEST_DEFINITION: Final = bytes.fromhex(
    "657f0301010c47656e6572616c577352657101ff80000106010d5265714964656e7469666965720104000105546f6b656e010c00"
    "010653656e644944010c00010b4f7065726174696f6e4944010c0001074d7367496e6372010c00010444617461010a000000"
)
_RESPONSE_DEFINITION: Final = bytes.fromhex(
    "5f7f030101045265737001ff80000106010d5265714964656e74696669657201040001074d7367496e6372010c00"
    "010b4f7065726174696f6e4944010c000107457272436f646501040001064572724d7367010c00010444617461010a000000"
)


@dataclass(frozen=True, eq=False, slots=True)
class _Envelope:
    """One of the two envelopes."""

    usual: bytes
    """The type definition that almost all senders write for it."""
    names: tuple[tuple[str, int], ...]
    """The envelope's fields in our order: the name on the wire, and the type."""


_REQUEST: Final = _Envelope(
    _REQUEST_DEFINITION,
    (
        ("ReqIdentifier", INT),
        ("Token", STRING),
        ("SendID", STRING),
        ("OperationID", STRING),
        ("MsgIncr", STRING),
        ("Data", BYTES),
    ),
)
_RESPONSE: Final = _Envelope(
    _RESPONSE_DEFINITION,
    (
        ("ReqIdentifier", INT),
        ("MsgIncr", STRING),
        ("OperationID", STRING),
        ("ErrCode", INT),
        ("ErrMsg", STRING),
        ("Data", BYTES),
    ),
)
_UNKNOWN: Final = 0
"""The kind of an unknown field. The number after it is the field's type id, not a slot."""

_DEFINITIONS_LIMIT_BYTES = 16 * 1024
# Clients with the same release of the SDK share a layout, so a few dozen layouts are enough for honest clients.
_LAYOUTS_LIMIT = 64
_CACHED_DEFINITIONS_LIMIT_BYTES = 1024
_SKIP_LIMIT_VALUES = 4096


class _Layout(NamedTuple):
    """How a sender's struct maps to ours: a kind and a slot for each of its fields, and the types of unknown fields."""

    fields: tuple[tuple[int, int], ...]
    types: dict[int, GobType]


def decode_request(data: bytes) -> Request:
    """Read a client's frame. Raises EnvelopeError."""
    values: list[Any] = [0, "", "", "", "", b""]
    _read(data, _REQUEST, values)
    if not -0x8000_0000 <= values[0] <= 0x7FFF_FFFF:
        raise EnvelopeError("gob: ReqIdentifier is out of range")
    return Request(*values)


def decode_response(data: bytes) -> Response:
    """Read a server's frame; absent data is None. Raises EnvelopeError."""
    values: list[Any] = [0, "", "", 0, "", None]
    _read(data, _RESPONSE, values)
    return Response(*values)


def _read(data: bytes, envelope: _Envelope, values: list[Any]) -> None:
    """Put the frame's fields into `values`, which begins with the default of each field."""
    try:
        definitions = envelope.usual if data.startswith(envelope.usual) else b""
        start = len(definitions)
        while True:
            length = data[start]
            pos = start + 1
            if length > 127:
                length, pos = read_unsigned(data, start)
            end = pos + length
            type_id = data[pos]
            if type_id > 127:
                type_id, pos = read_unsigned(data, pos)
            else:
                pos += 1
            if not type_id & 1:
                break
            if end > _DEFINITIONS_LIMIT_BYTES:
                raise EnvelopeError("gob: definitions too long")
            start = end
        if end != len(data):
            raise EnvelopeError("gob: the frame does not end with its value")
        if start != len(definitions):
            definitions = data[:start]
        if start <= _CACHED_DEFINITIONS_LIMIT_BYTES:
            layout = _cached_layout(definitions, type_id >> 1, envelope)
        else:
            layout = _make_layout(definitions, type_id >> 1, envelope)
        if _read_struct(data, pos, layout, values) != end:
            raise EnvelopeError("gob: bytes after the value")
    except IndexError:
        raise EnvelopeError("gob: ends early") from None
    except UnicodeDecodeError:
        raise EnvelopeError("gob: a text that is not UTF-8") from None


def _make_layout(definitions: bytes, type_id: int, envelope: _Envelope) -> _Layout:
    types = read_definitions(definitions)
    struct = types.get(type_id)
    if not isinstance(struct, StructType):
        raise EnvelopeError("gob: the value is not a struct of a defined type")
    slots = {name: (slot, kind) for slot, (name, kind) in enumerate(envelope.names)}
    fields: list[tuple[int, int]] = []
    for name, field_type in struct.fields:
        if name not in slots:
            fields.append((_UNKNOWN, field_type))
            continue
        slot, kind = slots[name]
        if field_type != kind:
            raise EnvelopeError(f"gob: {name} has the wrong type")
        fields.append((kind, slot))
    if not any(kind for kind, _ in fields):
        raise EnvelopeError("gob: the struct is not an envelope")
    return _Layout(tuple(fields), types)


_cached_layout = lru_cache(maxsize=_LAYOUTS_LIMIT)(_make_layout)


def _read_struct(data: bytes, pos: int, layout: _Layout, values: list[Any]) -> int:
    fields = layout.fields
    size = len(data)
    budget = None
    index = -1
    while delta := data[pos]:
        pos += 1
        if delta > 127:
            delta, pos = read_unsigned(data, pos - 1)
        index += delta
        if index >= len(fields):
            raise EnvelopeError("gob: a field that the struct type does not have")
        kind, slot = fields[index]
        if kind == _UNKNOWN:
            budget = budget or SkipBudget(_SKIP_LIMIT_VALUES)
            pos = skip_value(data, pos, slot, layout.types, budget)
            continue
        number = data[pos]
        if number < 128:
            pos += 1
        elif number == 0xFF:
            number = data[pos + 1]
            pos += 2
        elif number == 0xFE:
            number = data[pos + 1] << 8 | data[pos + 2]
            pos += 3
        else:
            number, pos = read_unsigned(data, pos)
        if kind == INT:
            values[slot] = ~(number >> 1) if number & 1 else number >> 1
            continue
        end = pos + number
        if end > size:
            raise EnvelopeError("gob: ends early")
        values[slot] = data[pos:end] if kind == BYTES else data[pos:end].decode()
        pos = end
    return pos + 1


_VALUE_ID = b"\xff\x80"
_END = b"\x00"
_BYTE = tuple(bytes((n,)) for n in range(256))


def encode_request(request: Request) -> bytes:
    """Write a frame as the official SDK does."""
    return _encode(
        _REQUEST_DEFINITION,
        (
            request.req_identifier,
            request.token,
            request.send_id,
            request.operation_id,
            request.msg_incr,
            request.data,
        ),
    )


def encode_response(response: Response) -> bytes:
    """Write a frame as the official server does. Gob does not distinguish empty data from no data."""
    return _encode(
        _RESPONSE_DEFINITION,
        (
            response.req_identifier,
            response.msg_incr,
            response.operation_id,
            response.err_code,
            response.err_msg,
            response.data,
        ),
    )


def _encode(definition: bytes, values: tuple[int | str | bytes | None, ...]) -> bytes:
    parts = [_VALUE_ID]
    delta = 1
    for value in values:
        if not value:
            delta += 1
            continue
        if isinstance(value, int):
            parts += (_BYTE[delta], _unsigned(value << 1 if value >= 0 else ~value << 1 | 1))
        else:
            raw = value.encode() if isinstance(value, str) else value
            parts += (_BYTE[delta], _unsigned(len(raw)), raw)
        delta = 1
    parts.append(_END)
    body = b"".join(parts)
    return b"".join((definition, _unsigned(len(body)), body))


def _unsigned(value: int) -> bytes:
    if value < 128:
        return _BYTE[value]
    size = (value.bit_length() + 7) >> 3
    return _BYTE[256 - size] + value.to_bytes(size, "big")
