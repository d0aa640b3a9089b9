"""The tables, described once: a class for each row, whose fields are the columns. Writes, their checks, reads and the
statements of each backend follow from it.

A new column is one line here, with a default, and one step in each backend's migrations.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, get_type_hints

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "TABLES", "BlackRow", "FriendRow", "GroupRow", "Key", "MemberRow", "RecordRow", "Row", "TokenRow", "UserRow",
    "Value", "misfit", "misfit_of_key", "table_of", "types_of",
]  # fmt: skip

if TYPE_CHECKING:
    Value = str | int | bool | bytes
    """What a column can hold. An int has 64 bits, with a sign."""
else:
    Value = Any  # msgspec decodes no union of str and bytes. `misfit` compares each value with its column.

Key = tuple[Value, ...]
"""The values of a row's key columns, in order."""

_INT_BOUND: Final = 1 << 63


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row. The tag of its class is the name of its table."""

    KEY: ClassVar[tuple[str, ...]]
    """The columns that tell the rows of a table apart: the first of its fields. They never change."""


class UserRow(Row, frozen=True, tag="user"):
    """A registered user."""

    KEY = ("user_id",)

    user_id: str
    nickname: str = ""
    face_url: str = ""
    ex: str = ""
    create_time: int = 0
    """Milliseconds since the epoch."""
    app_manger_level: int = 0
    global_recv_msg_opt: int = 0


class TokenRow(Row, frozen=True, tag="token"):
    """One token's state; the token itself is never stored, only its digest."""

    KEY = ("user_id", "digest")

    user_id: str
    digest: bytes
    """BLAKE2b-128 of the token's text."""
    platform_id: int = 0
    state: int = 0
    """0 normal, 2 kicked (PROTOCOL 8.2)."""
    expire_at: int = 0
    """Seconds since the epoch."""


class GroupRow(Row, frozen=True, tag="group"):
    KEY = ("group_id",)

    group_id: str
    group_name: str = ""
    notification: str = ""
    introduction: str = ""
    face_url: str = ""
    create_time: int = 0
    """Milliseconds since the epoch."""
    ex: str = ""
    status: int = 0
    creator_user_id: str = ""
    group_type: int = 0
    need_verification: int = 0
    look_member_info: int = 0
    apply_member_friend: int = 0
    notification_update_time: int = 0
    notification_user_id: str = ""
    owner_user_id: str = ""
    """Empty when the group has no owner any more."""
    member_count: int = 0


class MemberRow(Row, frozen=True, tag="member"):
    """A user's place in a group."""

    KEY = ("group_id", "user_id")

    group_id: str
    user_id: str
    nickname: str = ""
    """Empty: the profile's nickname shows (likewise face_url)."""
    face_url: str = ""
    role_level: int = 0
    join_time: int = 0
    """Milliseconds since the epoch."""
    join_source: int = 0
    inviter_user_id: str = ""
    operator_user_id: str = ""
    mute_end_time: int = 0
    """Milliseconds since the epoch."""
    ex: str = ""


class RecordRow(Row, frozen=True, tag="record"):
    """What a user's conversation list says of one conversation."""

    KEY = ("owner_id", "conversation_id")

    owner_id: str
    conversation_id: str
    conversation_type: int = 0
    peer_id: str = ""
    """The other user of a pair; empty for a group's."""
    group_id: str = ""
    recv_msg_opt: int = 0
    is_pinned: bool = False
    attached_info: str = ""
    is_private_chat: bool = False
    group_at_type: int = 0
    ex: str = ""
    burn_duration: int = 0
    min_seq: int = 0
    """The owner sees nothing below it."""
    max_seq: int = 0
    """The owner sees nothing above it; 0: no such bound, -1: they left before there was a message."""
    notification_max_seq: int = 0
    """Likewise, for the notifications of the same key."""
    msg_destruct_time: int = 0
    latest_msg_destruct_time: int = 0
    is_msg_destruct: bool = False


class FriendRow(Row, frozen=True, tag="friend"):
    """`friend_id` is in `owner_id`'s friend list (one direction)."""

    KEY = ("owner_id", "friend_id")

    owner_id: str
    friend_id: str


class BlackRow(Row, frozen=True, tag="black"):
    """`owner_id` refuses single messages from `blocked_id`."""

    KEY = ("owner_id", "blocked_id")

    owner_id: str
    blocked_id: str


def table_of(row: type[Row]) -> str:
    return str(row.__struct_config__.tag)


TABLES: Final[dict[str, type[Row]]] = {
    table_of(row): row for row in (UserRow, TokenRow, GroupRow, MemberRow, RecordRow, FriendRow, BlackRow)
}
"""The class of a table's rows."""


@cache
def types_of(row: type[Row]) -> dict[str, type]:
    """The type of each column, in order."""
    hints = get_type_hints(row)
    return {name: hints[name] for name in row.__struct_fields__}


def misfit_of_key(row: type[Row], key: Key) -> str:
    """Why this cannot be a key of the row; empty if it can."""
    if len(key) != len(row.KEY):
        return f"a key of {table_of(row)} has {len(row.KEY)} parts"
    return misfit(row, dict(zip(row.KEY, key, strict=True)))


def misfit(row: type[Row], values: Mapping[str, object]) -> str:
    """Why these cannot be values of the row's columns; empty if they can."""
    types = types_of(row)
    for name, value in values.items():
        if name not in types:
            return f"{table_of(row)} has no column {name}"
        if type(value) is not types[name]:
            return f"{table_of(row)}.{name} is no {type(value).__name__}"
        if type(value) is int and not -_INT_BOUND <= value < _INT_BOUND:
            return f"{table_of(row)}.{name} is out of bounds"
    return ""
