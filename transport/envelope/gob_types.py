"""Gob's type definitions: functions that read a sender's definitions, and skip values of the defined types.

Go describes types in gob itself: a definition is a value of the built-in struct wireType. Only the shape of wireType is
known here; all other types are read from the wire. Work and depth are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from greenroom.transport.envelope.request_response import EnvelopeError

__all__ = [
    "BYTES",
    "INT",
    "STRING",
    "ArrayType",
    "GobType",
    "MapType",
    "OpaqueType",
    "SkipBudget",
    "StructType",
    "read_definitions",
    "read_unsigned",
    "skip_value",
]

_BOOL: Final = 1
INT: Final = 2
_UINT: Final = 3
_FLOAT: Final = 4
BYTES: Final = 5
STRING: Final = 6
_COMPLEX: Final = 7
_INTERFACE: Final = 8
_FIRST_USER_ID = 64
_TYPES_LIMIT = 64
_FIELDS_LIMIT = 256
_DEPTH_LIMIT = 16


@dataclass(frozen=True)
class StructType:
    """A struct. Its fields are in the sender's order; each is a name and a type id."""

    fields: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ArrayType:
    """An array or a slice. On the wire both are a count and the elements."""

    element: int


@dataclass(frozen=True)
class MapType:
    """A map. On the wire it is a count, and that number of pairs."""

    key: int
    element: int


@dataclass(frozen=True)
class OpaqueType:
    """A type that encodes itself. On the wire it is a length and bytes."""


GobType = StructType | ArrayType | MapType | OpaqueType


class SkipBudget:
    """Number of values of one frame that may still be skipped. Exceeding it raises EnvelopeError."""

    def __init__(self, values: int) -> None:
        self._remaining = values

    def spend(self, values: int) -> None:
        self._remaining -= values
        if self._remaining < 0:
            raise EnvelopeError("gob: too many values in unknown fields")


def read_unsigned(data: bytes, pos: int) -> tuple[int, int]:
    """The unsigned number at `pos`, and the position after it. Raises IndexError where the data ends."""
    first = data[pos]
    pos += 1
    if first < 128:
        return first, pos
    end = pos + 256 - first
    if end > pos + 8:
        raise EnvelopeError("gob: a number of more than 64 bits")
    if end > len(data):
        raise EnvelopeError("gob: ends early")
    return int.from_bytes(data[pos:end], "big"), end


def _signed(data: bytes, pos: int) -> tuple[int, int]:
    value, pos = read_unsigned(data, pos)
    return (~(value >> 1) if value & 1 else value >> 1), pos


def _delimited(data: bytes, pos: int) -> tuple[bytes, int]:
    length, pos = read_unsigned(data, pos)
    end = pos + length
    if end > len(data):
        raise EnvelopeError("gob: ends early")
    return data[pos:end], end


def read_definitions(data: bytes) -> dict[int, GobType]:
    """Read a sequence of complete definitions. Returns the defined types by type id."""
    types: dict[int, GobType] = {}
    pos = 0
    while pos < len(data):
        body, pos = _delimited(data, pos)
        negated, start = _signed(body, 0)
        type_id = -negated
        if type_id < _FIRST_USER_ID or type_id in types:
            raise EnvelopeError("gob: a type is defined twice")
        if len(types) == _TYPES_LIMIT:
            raise EnvelopeError("gob: too many types")
        defined, end = _read_wire_type(body, start)
        if end != len(body):
            raise EnvelopeError("gob: a definition holds more than one type")
        types[type_id] = defined
    return types


def _read_wire_type(data: bytes, pos: int) -> tuple[GobType, int]:
    delta, pos = read_unsigned(data, pos)
    defined: GobType
    match delta:
        case 1:  # ArrayT: CommonType, Elem, Len
            (element, _), pos = _read_numbers(data, pos, 2)
            defined = ArrayType(element)
        case 2:  # SliceT: CommonType, Elem
            (element,), pos = _read_numbers(data, pos, 1)
            defined = ArrayType(element)
        case 3:  # StructT: CommonType, Field
            fields, pos = _read_fields(data, pos)
            defined = StructType(fields)
        case 4:  # MapT: CommonType, Key, Elem
            (key, element), pos = _read_numbers(data, pos, 2)
            defined = MapType(key, element)
        case 5 | 6 | 7:  # GobEncoderT, BinaryMarshalerT, TextMarshalerT: CommonType
            _, pos = _read_numbers(data, pos, 0)
            defined = OpaqueType()
        case _:
            raise EnvelopeError("gob: a definition without a type")
    return defined, _read_end(data, pos)


def _read_end(data: bytes, pos: int) -> int:
    delta, pos = read_unsigned(data, pos)
    if delta:
        raise EnvelopeError("gob: a definition with unknown fields")
    return pos


def _read_named_id(data: bytes, pos: int) -> tuple[str, int, int]:
    """Read a struct that has a Name and an Id. CommonType and fieldType both have this shape."""
    name = b""
    type_id = 0
    index = -1
    while True:
        delta, pos = read_unsigned(data, pos)
        if not delta:
            return name.decode(), type_id, pos
        index += delta
        if index == 0:
            name, pos = _delimited(data, pos)
        elif index == 1:
            type_id, pos = _signed(data, pos)
        else:
            raise EnvelopeError("gob: a definition with unknown fields")


def _read_numbers(data: bytes, pos: int, count: int) -> tuple[list[int], int]:
    """Read a struct that has a CommonType and `count` numbers."""
    numbers = [0] * count
    index = -1
    while True:
        delta, pos = read_unsigned(data, pos)
        if not delta:
            return numbers, pos
        index += delta
        if index == 0:
            _, _, pos = _read_named_id(data, pos)
        elif index <= count:
            numbers[index - 1], pos = _signed(data, pos)
        else:
            raise EnvelopeError("gob: a definition with unknown fields")


def _read_fields(data: bytes, pos: int) -> tuple[tuple[tuple[str, int], ...], int]:
    """Read a structType, which has a CommonType and a list of fields."""
    fields: list[tuple[str, int]] = []
    index = -1
    while True:
        delta, pos = read_unsigned(data, pos)
        if not delta:
            return tuple(fields), pos
        index += delta
        if index == 0:
            _, _, pos = _read_named_id(data, pos)
        elif index == 1:
            count, pos = read_unsigned(data, pos)
            if count > _FIELDS_LIMIT:
                raise EnvelopeError("gob: too many fields")
            for _ in range(count):
                name, type_id, pos = _read_named_id(data, pos)
                fields.append((name, type_id))
        else:
            raise EnvelopeError("gob: a definition with unknown fields")


def skip_value(
    data: bytes, pos: int, type_id: int, types: dict[int, GobType], budget: SkipBudget, depth: int = 0
) -> int:
    """The position after a value of this type. Every value is charged to the budget, which bounds the work."""
    budget.spend(1)
    if depth > _DEPTH_LIMIT:
        raise EnvelopeError("gob: nested too deep")
    if type_id in (_BOOL, INT, _UINT, _FLOAT):
        return read_unsigned(data, pos)[1]
    if type_id in (BYTES, STRING):
        return _delimited(data, pos)[1]
    if type_id == _COMPLEX:
        return read_unsigned(data, read_unsigned(data, pos)[1])[1]
    if type_id == _INTERFACE:
        raise EnvelopeError("gob: an unknown field of interface type")
    match types.get(type_id):
        case StructType(fields):
            index = -1
            while True:
                delta, pos = read_unsigned(data, pos)
                if not delta:
                    return pos
                index += delta
                if index >= len(fields):
                    raise EnvelopeError("gob: a field that the struct type does not have")
                pos = skip_value(data, pos, fields[index][1], types, budget, depth + 1)
        case ArrayType(element):
            count, pos = read_unsigned(data, pos)
            for _ in range(count):
                pos = skip_value(data, pos, element, types, budget, depth + 1)
            return pos
        case MapType(key, element):
            count, pos = read_unsigned(data, pos)
            for _ in range(count):
                pos = skip_value(data, pos, key, types, budget, depth + 1)
                pos = skip_value(data, pos, element, types, budget, depth + 1)
            return pos
        case OpaqueType():
            return _delimited(data, pos)[1]
        case None:
            raise EnvelopeError("gob: a type that was not defined")
