"""The scalars of OpenIM's JSON: the Python values that each accepts, and the error for any other value."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from google.protobuf.descriptor import FieldDescriptor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JsonMismatch", "Scalar", "scalar_of"]


class JsonMismatch(ValueError):
    """JSON that does not fit a message. The text names the place and the expected type; it never shows the value."""

    code: ClassVar[int] = 1001
    """OpenIM's ArgsError."""
    retryable: ClassVar[bool] = False

    def __init__(self, expected: str, *, path: str = "") -> None:
        super().__init__(f"{path or 'the body'}: expected {expected}")
        self.expected = expected
        self.path = path
        """Path of the value, such as `members[3].nickname`. Empty for the whole JSON; a map's key is shown as `[]`."""

    def under(self, place: str) -> JsonMismatch:
        """The same mismatch, with `place` added in front of its path."""
        if not self.path:
            return JsonMismatch(self.expected, path=place)
        dot = "" if self.path.startswith("[") else "."
        return JsonMismatch(self.expected, path=f"{place}{dot}{self.path}")


class Scalar(NamedTuple):
    """One type of scalar. `read` converts a JSON value, or raises JsonMismatch. `zero` replaces null inside a list or a
    map."""

    read: Callable[[Any], Any]
    zero: Any


def scalar_of(field: FieldDescriptor) -> Scalar:
    """The scalar type of this field, or of each of its elements."""
    scalar = _SCALARS.get(field.type)
    if scalar is None:
        raise TypeError(f"{field.full_name}: OpenIM's JSON has no such type")
    return scalar


def _read_string(value: Any) -> str:
    if type(value) is str:
        return value
    raise JsonMismatch("string")


def _read_bool(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise JsonMismatch("bool")


def _read_bytes(value: Any) -> bytes:
    if type(value) is bytes:
        return value
    if type(value) is str:
        try:
            # Go's base64 ignores line breaks.
            return binascii.a2b_base64(value.replace("\n", "").replace("\r", ""), strict_mode=True)
        except ValueError:
            pass
    raise JsonMismatch("base64 string")


def _integer(name: str, lowest: int, highest: int) -> Scalar:

    def read(value: Any) -> int:
        if type(value) is int and lowest <= value <= highest:
            return value
        raise JsonMismatch(name)

    return Scalar(read, 0)


_INT32 = _integer("int32", -(2**31), 2**31 - 1)

_SCALARS: Final[dict[int, Scalar]] = {
    FieldDescriptor.TYPE_STRING: Scalar(_read_string, ""),
    FieldDescriptor.TYPE_BOOL: Scalar(_read_bool, False),
    FieldDescriptor.TYPE_BYTES: Scalar(_read_bytes, b""),
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_ENUM: _INT32,
    FieldDescriptor.TYPE_INT64: _integer("int64", -(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: _integer("uint32", 0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: _integer("uint64", 0, 2**64 - 1),
}
