"""How the rows of `tables` are stored in SQLite, and the statements that are derived from this. The stored rows have
numbers for users, groups and conversations, in columns with other names."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from greenroom.persistence.tables import (
    BlackRow,
    FriendRow,
    GroupRow,
    MemberRow,
    RecordRow,
    Row,
    TokenRow,
    UserRow,
    types_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Layout", "change_records_statement", "change_statement", "drop_statement", "layout_of", "put_statement",
    "register_statement", "rows_of", "select",
]  # fmt: skip

USER: Final = "(SELECT id FROM user WHERE user_id = ?)"
GROUP: Final = "(SELECT id FROM chat_group WHERE group_id = ?)"
CONVERSATION: Final = "(SELECT id FROM conversation WHERE conversation_id = ?)"
"""USER, GROUP and CONVERSATION: SQL for the number of an id; NULL if the id has none."""

_Row = TypeVar("_Row", bound=Row)


class Layout(NamedTuple):
    table: str
    numbers: Mapping[str, tuple[str, str]] = MappingProxyType({})
    """The columns that are stored as a number, each with its name in SQL and the SQL for the number."""
    only: str = ""
    """A further condition, for a table that also contains other rows."""

    def name(self, column: str) -> str:
        return self.numbers.get(column, (column,))[0]

    @property
    def users(self) -> list[str]:
        """The columns that contain user ids."""
        return [column for column, (_, number) in self.numbers.items() if number == USER]

    def place(self, column: str) -> str:
        """The SQL for a value of the column."""
        return self.numbers.get(column, ("", "?"))[1]


_LAYOUTS: Final[dict[type[Row], Layout]] = {
    UserRow: Layout("user", only="registered IS NOT NULL"),
    TokenRow: Layout("token", {"user_id": ("user", USER)}),
    GroupRow: Layout("chat_group"),
    MemberRow: Layout("member", {"group_id": ("chat_group", GROUP), "user_id": ("user", USER)}),
    RecordRow: Layout(
        "record",
        {"owner_id": ("owner", USER), "conversation_id": ("conversation", CONVERSATION), "peer_id": ("peer", USER)},
    ),
    FriendRow: Layout("friend", {"owner_id": ("owner", USER), "friend_id": ("friend", USER)}),
    BlackRow: Layout("black", {"owner_id": ("owner", USER), "blocked_id": ("blocked", USER)}),
}


def layout_of(row: type[Row]) -> Layout:
    return _LAYOUTS[row]


@cache
def put_statement(row: type[Row]) -> tuple[str, str]:
    """Statement that stores rows, and the form of one row, both for `many`."""
    layout, columns = _LAYOUTS[row], row.__struct_fields__
    names = ", ".join(layout.name(column) for column in columns)
    others = [layout.name(column) for column in columns if column not in row.KEY]
    changed = ", ".join(f"{name} = excluded.{name}" for name in others)
    key = ", ".join(layout.name(column) for column in row.KEY)
    places = ", ".join(layout.place(column) for column in columns)
    statement = f"INSERT INTO {layout.table} ({names}) VALUES {{}} ON CONFLICT ({key}) DO "
    return statement + (f"UPDATE SET {changed}" if changed else "NOTHING"), f"({places})"


@cache
def change_statement(row: type[Row], columns: tuple[str, ...]) -> str:
    """Statement that changes one row. Its parameters are the new values, then the key."""
    layout = _LAYOUTS[row]
    values = ", ".join(f"{layout.name(column)} = {layout.place(column)}" for column in columns)
    where = [f"{layout.name(column)} = {layout.place(column)}" for column in row.KEY]
    return f"UPDATE {layout.table} SET {values} WHERE {' AND '.join(filter(None, [*where, layout.only]))}"


@cache
def change_records_statement(columns: tuple[str, ...]) -> str:
    """Statement for `many` that changes the records of several owners in one conversation, and returns the owners'
    numbers. Its parameters are the new values, the id of the conversation, and the ids of the owners."""
    layout = _LAYOUTS[RecordRow]
    values = ", ".join(f"{layout.name(column)} = {layout.place(column)}" for column in columns)
    owners = "owner IN (SELECT id FROM user WHERE user_id IN ({}))"
    return f"UPDATE record SET {values} WHERE conversation = {CONVERSATION} AND {owners} RETURNING owner"


@cache
def drop_statement(row: type[Row]) -> tuple[str, str]:
    """Statement that removes rows, and the form of one key, both for `many`."""
    layout = _LAYOUTS[row]
    names = ", ".join(layout.name(column) for column in row.KEY)
    places = ", ".join(layout.place(column) for column in row.KEY)
    return f"DELETE FROM {layout.table} WHERE ({names}) IN (VALUES {{}})", f"({places})"


@cache
def register_statement() -> tuple[str, str]:
    """Statement that registers users, and the form of one row, both for `many`. A row is the number of the registration
    and then the user's columns. The statement returns the users that were not registered before."""
    columns = ("registered", *UserRow.__struct_fields__)
    names = ", ".join(columns)
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in UserRow.KEY)
    statement = f"INSERT INTO user ({names}) VALUES {{}} ON CONFLICT (user_id) DO UPDATE SET {changed}"
    return f"{statement} WHERE registered IS NULL RETURNING id", f"({', '.join('?' * len(columns))})"


def select(row: type[Row], alias: str, **elsewhere: str) -> str:
    """The columns for a SELECT, in the order of the row's fields. `elsewhere` has the SQL for those of other tables."""
    return ", ".join(elsewhere.get(column, f"{alias}.{column}") for column in row.__struct_fields__)


def rows_of(row: type[_Row], found: list[tuple[Any, ...]]) -> list[_Row]:
    """Convert SQLite's rows, selected with `select`, to rows of this class. SQLite returns flags as 0 and 1."""
    flags = [place for place, kind in enumerate(types_of(row).values()) if kind is bool]
    if not flags:
        return [row(*values) for values in found]
    rows = []
    for values in found:
        given = list(values)
        for place in flags:
            given[place] = bool(given[place])
        rows.append(row(*given))
    return rows
