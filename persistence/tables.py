"""The tables, described once: a class for the rows of each table, whose fields are the columns. The writes, their
checks, the reads and the statements of each backend are derived from these classes.

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
    """A value of a column. An int is a signed number of 64 bits."""
else:
    Value = Any  # msgspec decodes no union of str and bytes. `misfit` compares each value with its column.

Key = tuple[Value, ...]
"""The values of a row's key columns, in order."""

_INT_BOUND: Final = 1 << 63


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One row. The tag of its class is the name of its table."""

    KEY: ClassVar[tuple[str, ...]]
    """The columns that identify a row of the table: its first fields. They never change."""


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
    """The state of one token. The token itself is never stored, only its digest."""

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
    """Empty if the group has no owner any more."""
    member_count: int = 0


class MemberRow(Row, frozen=True, tag="member"):
    """The membership of a user in a group."""

    KEY = ("group_id", "user_id")

    group_id: str
    user_id: str
    nickname: str = ""
    """Empty: the nickname of the member's profile is shown. The same holds for face_url."""
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
    """One conversation in a user's conversation list."""

    KEY = ("owner_id", "conversation_id")

    owner_id: str
    conversation_id: str
    conversation_type: int = 0
    peer_id: str = ""
    """The other user of a pair's conversation; empty for a group's conversation."""
    group_id: str = ""
    recv_msg_opt: int = 0
    is_pinned: bool = False
    attached_info: str = ""
    is_private_chat: bool = False
    group_at_type: int = 0
    ex: str = ""
    burn_duration: int = 0
    min_seq: int = 0
    """The owner sees no message below this seq."""
    max_seq: int = 0
    """The owner sees no message above this seq. 0: there is no bound; -1: they left before the first message."""
    notification_max_seq: int = 0
    """The same bound as max_seq, for the notifications of the same key."""
    msg_destruct_time: int = 0
    latest_msg_destruct_time: int = 0
    is_msg_destruct: bool = False


class FriendRow(Row, frozen=True, tag="friend"):
    """`friend_id` is in the friend list of `owner_id`; the other direction has its own row."""

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
"""The row class of each table, by the table's name."""


@cache
def types_of(row: type[Row]) -> dict[str, type]:
    """The type of each column, in order."""
    hints = get_type_hints(row)
    return {name: hints[name] for name in row.__struct_fields__}


def misfit_of_key(row: type[Row], key: Key) -> str:
    """Why these values cannot be a key of the row; empty if they can."""
    if len(key) != len(row.KEY):
        return f"a key of {table_of(row)} has {len(row.KEY)} parts"
    return misfit(row, dict(zip(row.KEY, key, strict=True)))


def misfit(row: type[Row], values: Mapping[str, object]) -> str:
    """Why these values do not fit the row's columns; empty if they fit."""
    types = types_of(row)
    for name, value in values.items():
        if name not in types:
            return f"{table_of(row)} has no column {name}"
        if type(value) is not types[name]:
            return f"{table_of(row)}.{name} is no {type(value).__name__}"
        if type(value) is int and not -_INT_BOUND <= value < _INT_BOUND:
            return f"{table_of(row)}.{name} is out of bounds"
    return ""
