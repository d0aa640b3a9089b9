"""Bodies that are not protobuf messages: JSON objects bound to msgspec structs by Go's rules.

Keys match in any case, unknown keys are ignored, of repeated keys the last one counts, and a null changes nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, get_args

import msgspec

from greenroom.actors.errors import ArgsError

__all__ = ["BodyMismatch", "bind", "fold"]

_ELEMENTS_LIMIT = 50_000
"""Elements of all lists and objects together, and commas of texts: what the parser reads within some milliseconds. The
content of a message may be any JSON, so that there is no limit for each list."""

_Body = TypeVar("_Body", bound=msgspec.Struct)


class BodyMismatch(ArgsError):
    """The body does not match the struct of the route. The detail quotes no value of the body."""


def bind(data: bytes, into: type[_Body]) -> _Body:
    """Raises BodyMismatch."""
    if len(data) > _ELEMENTS_LIMIT and data.count(b",") > _ELEMENTS_LIMIT:
        raise BodyMismatch(f"body has more than {_ELEMENTS_LIMIT} elements")
    try:
        parsed = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BodyMismatch("body is not JSON") from None
    if not isinstance(parsed, dict):
        raise BodyMismatch("body is not an object")
    try:
        return msgspec.convert(_folded(parsed, into), into)
    except msgspec.ValidationError as error:
        raise BodyMismatch(_without_values(str(error))) from None


def fold(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with their keys in lower case, without nulls."""
    return {key.lower(): value for key, value in fields.items() if value is not None}


def _folded(fields: dict[str, Any], into: type[msgspec.Struct]) -> dict[str, Any]:
    lower = fold(fields)
    bound: dict[str, Any] = {}
    for lower_name, name, nested in _fields_of(into):
        if lower_name not in lower:
            continue
        value = lower[lower_name]
        if nested is not None and isinstance(value, dict):
            value = _folded(value, nested)
        bound[name] = value
    return bound


@cache
def _fields_of(into: type[msgspec.Struct]) -> tuple[tuple[str, str, type[msgspec.Struct] | None], ...]:
    """Each field's name in lower case, its name, and its struct if it holds one. Cached, because msgspec evaluates the
    annotations at each call, which takes half a millisecond."""
    return tuple(
        (field.encode_name.lower(), field.encode_name, _struct_of(field.type))
        for field in msgspec.structs.fields(into)
    )


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    """The struct type of a field that holds a struct, or a struct or null."""
    for each in (kind, *get_args(kind)):
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            return each
    return None


def _without_values(text: str) -> str:
    """msgspec quotes types and paths. It quotes values only for unknown enum members, and no body here has an enum."""
    return text[:200]
