from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.errors import StoreUnavailable
from greenroom.persistence.sqlite.check import RULES, check
from greenroom.persistence.sqlite.schema import migrate
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.sqlite.statements import MEMORY, connect
from greenroom.persistence.store import AddEvent, AddSubscriber, BumpVersion
from greenroom.tests.persistence.store_writes import (
    commit,
    group,
    member,
    members,
    message,
    pair,
    record,
    users,
)

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.persistence.store import AnyWrite


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    store = SqliteStore(tmp_path / "greenroom.db", writer="inline")
    await store.open()
    await commit(store, "user/a", users("a", "b"), BumpVersion("friends", "a", [("b", 1)]), AddSubscriber("push"))
    chat: list[AnyWrite] = [message("si_a_b", seq) for seq in range(1, 6)]
    chat += [message("n_a_b", 1), record("si_a_b", ("a", "b"), ("b", "a"))]
    await commit(store, "conversation/a_b", pair(), *chat)
    await commit(store, "group/g", group(count=2), members("g", member("a", 100), member("b")))
    await commit(store, "user/a", AddEvent("renamed", "a", b"Ann"))
    await store.close()
    return tmp_path


def test_sound_store(folder: Path) -> None:
    assert check(folder) == []
    assert check(folder / "greenroom.db") == []


def test_keys_are_looked_up_each_by_all_of_its_columns() -> None:
    """Or a conversation of 100,000 messages takes half an hour."""
    connection = connect(MEMORY)
    migrate(connection, instance=bytes(16))
    plans = [row[-1] for _, rule in RULES for row in connection.execute(f"EXPLAIN QUERY PLAN {rule}")]
    connection.close()
    searches = [plan for plan in plans if plan.startswith("SEARCH message_key") and " EXISTS " not in plan]
    assert len(searches) == 2
    assert all("(conversation=? AND sender=? AND name=?)" in plan for plan in searches)


def test_store_that_was_not_made_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "greenroom.db").write_bytes(b"x" * 4096)
    (tmp_path / "greenroom.db-journal").write_bytes(b"x")
    with pytest.raises(StoreUnavailable, match="the next start makes it again"):
        check(tmp_path)


async def test_store_in_use(folder: Path) -> None:
    store = SqliteStore(folder / "greenroom.db", writer="thread")
    await store.open()
    await commit(store, "conversation/a_b", message("si_a_b", 6))
    assert check(folder) == []
    await store.close()


@pytest.mark.parametrize(
    ("damage", "subject", "detail"),
    [
        ("DELETE FROM message WHERE seq = 3", "conversation si_a_b", "seq 3 is missing"),
        ("DELETE FROM message WHERE seq = 5", "conversation si_a_b", "seq 5 is missing"),
        ("DELETE FROM message WHERE seq = 5", "conversation si_a_b", "a key of no message: a client id"),
        ("DELETE FROM message_key WHERE name = 3", "conversation si_a_b", "seq 4 comes after 2"),
        ("DELETE FROM message_key WHERE name = 5", "conversation si_a_b", "not found by its seq"),
        ("DELETE FROM message_key WHERE sender", "conversation si_a_b", "client message id: seq 5"),
        ("UPDATE message_key SET message = 2 WHERE name = 3", "conversation si_a_b", "not found by its seq"),
        ("UPDATE message_key SET message = 2 WHERE name = 3", "conversation si_a_b", "a key of no message: 3"),
        ("UPDATE message SET client = x'00' WHERE seq = 4", "conversation si_a_b", "client message id: seq 4"),
        ("UPDATE message SET send_time = 9 WHERE seq = 4", "conversation si_a_b", "is of 9, before"),
        ("UPDATE key SET twin = NULL", "conversation n_a_b", "belong to no key"),
        ("UPDATE key SET twin = 99", "pair a_b", "other notifications than its own: 99"),
        ("UPDATE key SET twin = 1", "pair a_b", "other notifications than its own: si_a_b"),
        ("UPDATE version_entry SET version = 9 WHERE log = 1", "log 1 of 1", "newer than its log"),
        ("DELETE FROM user WHERE user_id = 'b'", "group 1", "unknown user"),
        ("DELETE FROM user WHERE user_id = 'b'", "record of 2", "unknown owner"),
        ("DELETE FROM conversation", "conversation 1", "unknown conversation"),
        ("UPDATE chat_group SET member_count = 7", "group g", "7 is stored"),
        ("UPDATE chat_group SET owner_user_id = 'b'", "group g", "the owner is wrong: b is stored"),
        ("UPDATE event SET message = 99", "event 1", "after a message that was never stored"),
        ("UPDATE subscriber SET message = 99", "subscriber push", "ahead of all events: 99.0"),
        ("UPDATE subscriber SET event = 2", "subscriber push", "ahead of all events: 0.2"),
        ("DELETE FROM user WHERE user_id = 'a'", "users", "gap"),
        ("PRAGMA user_version = 99", "database", "schema 99"),
    ],
)
def test_damage(folder: Path, damage: str, subject: str, detail: str) -> None:
    connection = connect(folder / "greenroom.db")
    connection.execute(damage)
    connection.close()
    assert [f for f in check(folder) if f.subject == subject and detail in f.detail]


def test_torn_page(folder: Path) -> None:
    file = folder / "greenroom.db"
    file.write_bytes(file.read_bytes()[:8192] + b"\xff" * 4096 + file.read_bytes()[12288:])
    assert any(f.subject == "database" for f in check(folder))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        check(tmp_path)
