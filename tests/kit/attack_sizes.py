"""The lists and texts of a message class, each at one, at its limit, one past it and far past it. All other fields are
filled, such that a request passes the checks and reaches what costs most: the attacker has a thousand chats and groups.
"""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor

from greenroom.actors.rules import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = [
    "ATTACKER", "CROWD", "CROWD_SIZE", "FRESH_GROUPS", "PARSED_ELEMENTS", "TEXT_TYPES", "Size", "filled",
    "fresh_group_id", "same", "sizes",
]  # fmt: skip

ATTACKER = "mallory"
CROWD = "crowd"
"""A group of the attacker's, with CROWD_SIZE members: x0, x1, ... and the attacker."""
CROWD_SIZE = 1000
PARSED_ELEMENTS = 15_900
"""Nearly as many as a JSON body may hold, so that all of them are read before the list is refused."""
FAR_KEYS = 5000
_WRAPPERS_FILE = "greenroom/actors/wire/wrappers.proto"
TEXT_TYPES = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


class Size(NamedTuple):
    """One list or text of a request at one size."""

    name: str
    field: str
    is_refused: bool
    value: Callable[[str], dict[str, Any]]
    """The request, as JSON has it."""
    elements: int = 1
    """Number of elements of a list."""


def sizes(descriptor: Any, path: str, far_bytes: int, *, above: tuple[Any, ...] = ()) -> Iterator[Size]:
    """The sizes of all lists and texts of a message class, and of the classes that it holds. No class is entered again
    inside of itself."""
    for field in descriptor.fields:
        holder = field.message_type
        above_too = (*above, field)
        name = ".".join(each.name for each in above_too)
        if holder is not None and holder.GetOptions().map_entry:
            limit = limits.list_limit(field.name)
            for count in (1, limit, limit + 1, FAR_KEYS):
                yield Size(
                    f"{name} {count}", field.name, count > limit,
                    functools.partial(_nested, above, path, field, functools.partial(_map_of, holder, count)),
                )  # fmt: skip
            continue
        if field.is_repeated:
            for count in _counts(field, far_bytes):
                yield Size(
                    f"{name} {count}", field.name, count > limits.list_limit(field.name),
                    functools.partial(_nested, above, path, field, functools.partial(_list_of, field, path, count)),
                    count,
                )  # fmt: skip
            repeated = functools.partial(_repeated, field, path, limits.list_limit(field.name))
            yield Size(
                f"{name} repeated", field.name, False, functools.partial(_nested, above, path, field, repeated)
            )
        if _is_text(field):
            limit = limits.text_limit(field.name)
            for size in (1, limit, limit + 1, far_bytes):
                one_text = functools.partial(_text, field, size)
                text: Callable[[str], Any] = functools.partial(_in_list, one_text) if field.is_repeated else one_text
                yield Size(
                    f"{name} of {size} bytes", field.name, size > limit,
                    functools.partial(_nested, above, path, field, text),
                )  # fmt: skip
        elif field.name == "pagination":
            for page in ({"pageNumber": 1, "showNumber": 2**31 - 1}, {"pageNumber": 2**31 - 1, "showNumber": 1000}):
                yield Size(
                    f"{name} {page['pageNumber']}", field.name, False,
                    functools.partial(_nested, above, path, field, functools.partial(same, page)),
                )  # fmt: skip
        elif holder is not None and holder.file.name != _WRAPPERS_FILE and field not in above:
            yield from sizes(holder, path, far_bytes, above=above_too)


def _is_text(field: Any) -> bool:
    holder = field.message_type
    if holder is not None and holder.file.name == _WRAPPERS_FILE:
        field = holder.fields_by_name["value"]
    return field.type in TEXT_TYPES


def _counts(field: Any, far_bytes: int) -> Sequence[int]:
    limit = limits.list_limit(field.name)
    return (1, limit, limit + 1, max(PARSED_ELEMENTS, limit + 2), far_bytes // 4)


def _nested(above: tuple[Any, ...], path: str, field: Any, make: Callable[[str], Any], salt: str) -> dict[str, Any]:
    """The request whose field, below those above, has this value. All other fields are such that they pass checks."""
    value, inner = make(salt), field
    for holder in above[::-1]:
        value = {**filled(holder.message_type, path, salt), inner.name: value}
        value, inner = [value] if holder.is_repeated else value, holder
    return {**filled(inner.containing_type, path, salt), inner.name: value}


def same(value: Any, salt: str) -> Any:
    return value


def _text(field: Any, size: int, salt: str) -> str:
    """It differs each time, so that a changed text is a change."""
    holder = field.message_type
    value_field = holder.fields_by_name["value"] if holder is not None else field
    if value_field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(b"x" * size).decode()
    return (salt + "x" * size)[:size]


def _in_list(make: Callable[[str], Any], salt: str) -> list[Any]:
    return [make(salt)]


def _list_of(field: Any, path: str, count: int, salt: str) -> list[Any]:
    if count <= limits.list_limit(field.name) + 1:
        return [_element(field, path, number, salt) for number in range(count)]
    # It is refused for its length, so that its elements may be the same.
    if count <= PARSED_ELEMENTS:
        return [_element(field, path, 1, salt)] * count
    return [{} if field.message_type is not None else "x" if field.type in TEXT_TYPES else 1] * count


def _repeated(field: Any, path: str, count: int, salt: str) -> list[Any]:
    return [_element(field, path, 1, salt)] * count


def _map_of(holder: Any, count: int, salt: str) -> dict[str, Any]:
    kind = holder.fields_by_name["value"]
    value: Any = {} if kind.message_type is not None else kind.default_value
    return dict.fromkeys((f"k{number}" for number in range(count)), value)


def _element(field: Any, path: str, number: int, salt: str) -> Any:
    if field.message_type is not None:
        return filled(field.message_type, path, salt, number=number)
    if field.type in TEXT_TYPES:
        return _id(field.name, path, salt, number)
    return number + 1


def _id(name: str, path: str, salt: str, number: int) -> str:
    """One of the attacker's thousand chats, groups and users, or a new user."""
    if "onversationID" in name:
        return f"si_{ATTACKER}_x{number}"
    if "groupID" in name:
        return f"g{number}"
    return f"n{salt}{number}" if path == "/user/user_register" else f"x{number}"


NUMBERS: Mapping[str, int] = {
    "platformID": 5, "mutedSeconds": 60, "hasReadSeq": 1, "genre": 1, "sessionType": 1, "contentType": 101,
    "groupType": 2, "begin": 1, "end": 10, "num": 10, "count": 500,
}  # fmt: skip
FRESH_GROUPS: Mapping[str, bool] = {
    "/group/dismiss_group": True, "/group/kick_group": True, "/group/invite_user_to_group": False,
}  # fmt: skip
"""Routes that undo themselves, so that each call needs a group of its own: whether it has members."""


def filled(descriptor: Any, path: str, salt: str, *, number: int | None = None) -> dict[str, Any]:
    """The single fields of a message, such that it passes the checks. With a number, ids are those of that number."""
    found: dict[str, Any] = {}
    names = descriptor.fields_by_name
    for field in descriptor.fields:
        name = field.name
        if name == "pagination":
            found[name] = {"pageNumber": 1, "showNumber": 1000}
        elif field.is_repeated:
            continue
        elif field.message_type is not None:
            if field.message_type.file.name != _WRAPPERS_FILE and field.message_type is not descriptor:
                found[name] = filled(field.message_type, path, salt, number=number)
        elif name == "groupID":
            if path in FRESH_GROUPS:
                found[name] = fresh_group_id(salt)
            elif "sessionType" not in names and "groupType" not in names:
                found[name] = CROWD if number is None else f"g{number}"
        elif name in NUMBERS:
            found[name] = NUMBERS[name]
        elif field.type == FieldDescriptor.TYPE_BYTES:
            found[name] = base64.b64encode(b'{"content":"x"}').decode()
        elif field.type == FieldDescriptor.TYPE_STRING:
            found[name] = _filled_text(name, path, salt, number)
    return found


def _filled_text(name: str, path: str, salt: str, number: int | None) -> str:
    if number is not None and ("ID" in name):
        return _id(name, path, salt, number)
    if name in ("recvID", "toUserID", "userID2"):
        return "x1"
    if name.lower().endswith("userid") or name in ("sendID", "userID1"):
        return "x1" if path.startswith("/auth/") else ATTACKER  # The attacker's own token stays valid.
    if name == "conversationID":
        return f"si_{ATTACKER}_x1"
    return f"u{salt}"


def fresh_group_id(salt: str) -> str:
    return f"fresh{salt}"
