"""Bodies that are no message of the wire: JSON objects bound to msgspec structs by Go's rules.

Keys match in any case, unknown ones are ignored, later ones win, null changes nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, get_args

import msgspec

from greenroom.actors.errors import ArgsError

__all__ = ["BodyMismatch", "bind", "fold"]

_Body = TypeVar("_Body", bound=msgspec.Struct)


class BodyMismatch(ArgsError):
    """The body does not bind to what the route reads. The detail holds no value of it."""


def bind(data: bytes, into: type[_Body]) -> _Body:
    """Raises BodyMismatch."""
    try:
        parsed = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise BodyMismatch("body is not JSON") from None
    if not isinstance(parsed, dict):
        raise BodyMismatch("body is not an object")
    try:
        return msgspec.convert(_folded(parsed, into), into)
    except msgspec.ValidationError as error:
        raise BodyMismatch(_without_values(str(error))) from None


def fold(fields: dict[str, Any]) -> dict[str, Any]:
    """The same with keys in lower case, nulls left out."""
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
    annotations in each call, which takes half a millisecond."""
    return tuple(
        (field.encode_name.lower(), field.encode_name, _struct_of(field.type))
        for field in msgspec.structs.fields(into)
    )


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    """The struct of a field that holds one, or one or null."""
    for one in (kind, *get_args(kind)):
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            return one
    return None


def _without_values(text: str) -> str:
    """msgspec names types and paths; values only appear for unknown enum members, which no body here has."""
    return text[:200]
