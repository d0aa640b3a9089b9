"""The tables' description, and that every backend keeps each column of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from greenroom.persistence.store import AddUsers, ChangeRecord, ChangeRow, Member, PutRows
from greenroom.persistence.tables import (
    TABLES,
    GroupRow,
    MemberRow,
    RecordRow,
    Row,
    TokenRow,
    UserRow,
    misfit,
    misfit_of_key,
    types_of,
)
from greenroom.tests.persistence.store_writes import commit, record

if TYPE_CHECKING:
    from greenroom.persistence.store import Store

SAMPLES: dict[type, Any] = {str: "text é", int: -(1 << 63), bool: True, bytes: b"\0\xff"}


def full(kind: type[Row], *key: Any) -> Any:
    """A row with something in each column."""
    values = {name: SAMPLES[each] for name, each in types_of(kind).items()}
    return kind(**values | dict(zip(kind.KEY, key, strict=True)))


@pytest.mark.parametrize("kind", TABLES.values(), ids=TABLES)
def test_a_row_is_named_by_its_first_columns_and_the_rest_has_defaults(kind: type[Row]) -> None:
    width = len(kind.KEY)
    assert kind.__struct_fields__[:width] == kind.KEY
    assert len(kind.__struct_defaults__) == len(kind.__struct_fields__) - width
    assert set(types_of(kind).values()) <= {str, int, bool, bytes}
    empty = kind(*["x"] * width)
    assert all(not getattr(empty, name) for name in kind.__struct_fields__[width:])


async def test_every_column_of_every_table(store: Store) -> None:
    user, token, group = full(UserRow, "a"), full(TokenRow, "a", b"digest"), full(GroupRow, "g")
    member, row = full(MemberRow, "g", "a"), full(RecordRow, "a", "si_a_b")
    values = {name: getattr(row, name) for name in RecordRow.__struct_fields__[2:]}
    fixed = {"conversation_type": 1, "peer_id": "b", "group_id": ""}
    changed = {name: value for name, value in values.items() if name not in fixed}
    writes = AddUsers([user]), PutRows([token]), PutRows([group]), PutRows([member]), record("si_a_b", ("a", "b"))
    assert await commit(store, "user/a", *writes, ChangeRecord("a", "si_a_b", changed)) is None
    assert await store.users(["a"]) == [user]
    assert await store.tokens("a") == [token]
    assert await store.groups(["g"]) == [group]
    assert await store.members("g") == [Member(member, user)]
    assert await store.records("a") == [msgspec.structs.replace(row, **fixed)]
    # And each is changed to its default again.
    table: Any
    for table, found in (("user", user), ("group", group), ("member", member)):
        kind = type(found)
        key = tuple(getattr(found, name) for name in kind.KEY)
        names = kind.__struct_fields__[len(key) :]
        change = ChangeRow(table, key, dict(zip(names, kind.__struct_defaults__, strict=True)))
        assert await commit(store, "user/a", change) is None
    assert await store.members("g") == [Member(MemberRow("g", "a"), UserRow("a"))]
    assert await store.groups(["g"]) == [GroupRow("g")]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"nickname": "Ann", "create_time": (1 << 63) - 1}, ""),
        ({"nick": "Ann"}, "user has no column nick"),
        ({"nickname": None}, "user.nickname is no NoneType"),
        ({"create_time": "5"}, "user.create_time is no str"),
        ({"create_time": True}, "user.create_time is no bool"),
        ({"create_time": 1 << 63}, "user.create_time is out of bounds"),
    ],
)
def test_misfit(values: dict[str, object], why: str) -> None:
    assert misfit(UserRow, values) == why


def test_misfit_of_key() -> None:
    assert misfit_of_key(TokenRow, ("a", b"d")) == ""
    assert misfit_of_key(TokenRow, ("a",)) == "a key of token has 2 parts"
    assert misfit_of_key(TokenRow, ("a", "d")) == "token.digest is no str"
