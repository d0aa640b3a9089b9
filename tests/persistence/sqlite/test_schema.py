from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from greenroom.persistence.errors import NotAStore, StoreTooNew
from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.schema import (
    APPLICATION_ID,
    CHECKSUMS_SINCE,
    MIGRATIONS,
    SCHEMA_VERSION,
    add_checksums,
    client_key,
    instance_of,
    migrate,
    raise_epoch,
    version_id,
)
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.sqlite.statements import connect
from greenroom.persistence.store import (
    AddEvent,
    AddSubscriber,
    BumpVersion,
    PutRows,
    RaiseReadSeq,
    Reason,
    SetReadFlags,
    Slice,
)
from greenroom.persistence.tables import BlackRow, FriendRow, TokenRow
from greenroom.tests.kit.stored import messages_of
from greenroom.tests.persistence.store_writes import group, member, members, message, pair, record, users

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.persistence.sqlite.statements import SqliteConnection
    from greenroom.persistence.store import AnyWrite


@pytest.fixture
def database(tmp_path: Path) -> SqliteConnection:
    return connect(tmp_path / "greenroom.db")


def test_migrate_twice(database: SqliteConnection) -> None:
    migrate(database, instance=b"i" * 16)
    migrate(database, instance=b"j" * 16)
    assert instance_of(database) == b"i" * 16
    assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert [raise_epoch(database), raise_epoch(database)] == [1, 2]
    database.close()


async def test_later_release(database: SqliteConnection, tmp_path: Path) -> None:
    migrate(database, instance=bytes(16))
    database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew):
        migrate(database, instance=bytes(16))
    database.close()
    store = SqliteStore(tmp_path / "greenroom.db")
    with pytest.raises(StoreTooNew):
        await store.open()


def test_file_of_another_program(database: SqliteConnection) -> None:
    database.execute("CREATE TABLE song (title)")
    with pytest.raises(NotAStore):
        migrate(database, instance=bytes(16))
    assert database.execute("SELECT name FROM sqlite_schema").fetchall() == [("song",)]
    database.close()


async def _filled(folder: Path) -> None:
    """A store of today with a row in each table."""
    store = SqliteStore(folder / "greenroom.db", writer="inline")
    await store.open()
    long = msgspec.structs.replace(message("si_a_b", 3), body=random.Random(3).randbytes(9_000))
    chat: list[AnyWrite] = [message("si_a_b", 1), message("si_a_b", 2, send_id="b", client=""), long]
    read: list[AnyWrite] = [SetReadFlags("si_a_b", "b", 1, 1, []), RaiseReadSeq("si_a_b", "b", 1)]
    friends: list[AnyWrite] = [
        PutRows([FriendRow("a", "b")]), PutRows([BlackRow("b", "c")]), BumpVersion("friends", "a", [("b", 1)]),
    ]  # fmt: skip
    slices: dict[str, list[AnyWrite]] = {
        "push/p": [AddSubscriber("p"), AddEvent("k", "s", b"d")],
        "user/a": [users("a", "b"), PutRows([TokenRow("a", b"digest", 1, 0, 9)]), *friends],
        "conversation/a_b": [pair(), *chat, record("si_a_b", ("a", "b"), ("b", "a")), *read],
        "group/g": [group(count=2), members("g", member("a", 100), member("b"))],
    }
    for key, writes in slices.items():
        assert await store.commit([Slice(key, store.epoch, writes)]) == [None]
    await store.close()


def _rows(file: Path) -> dict[str, list[dict[str, object]]]:
    """All rows of all tables but `meta`, by column."""
    connection = connect(file, read_only=True)
    rows = {}
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        found = connection.execute(f"SELECT * FROM {table}").fetchall()
        rows[table] = [dict(zip(columns, row, strict=True)) for row in found]
    connection.close()
    del rows["meta"]
    return rows


def _written_by_version(version: int, new: Path, old: Path) -> None:
    """The same rows in a file as the release of this schema would have left it."""
    connection = connect(old) if version >= CHECKSUMS_SINCE else sqlite3.connect(old, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN")
    for statement in (each for step in MIGRATIONS[:version] for each in step):
        connection.execute(statement, {"instance": b"i" * 16} if ":instance" in statement else {})
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version}")
    for table, rows in _rows(new).items():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        for row in rows if columns else ():
            kept = {name: value for name, value in row.items() if name in columns}
            places = ", ".join("?" * len(kept))
            connection.execute(f"INSERT INTO {table} ({', '.join(kept)}) VALUES ({places})", tuple(kept.values()))
    connection.execute(
        "UPDATE conversation SET (max_seq, max_seq_time) ="
        " (SELECT seq, send_time FROM message WHERE conversation = conversation.id ORDER BY seq DESC LIMIT 1)"
    )
    if version == 2:
        connection.execute("UPDATE message SET sum = 7 * seq")
    connection.execute("COMMIT")
    connection.close()


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("begun", [False, True])
async def test_store_of_earlier_release(tmp_path: Path, version: int, begun: bool) -> None:
    """Every row is there afterwards, and each page has its checksum; also if an upgrade was broken off."""
    (tmp_path / "new").mkdir()
    await _filled(tmp_path / "new")
    new, old = tmp_path / "new" / "greenroom.db", tmp_path / "greenroom.db"
    _written_by_version(version, new, old)
    if begun:
        connection = connect(old)
        add_checksums(connection)
        connection.close()
    store = SqliteStore(old, writer="inline")
    await store.open()
    assert await store.commit([Slice("conversation/a_b", store.epoch, [message("si_a_b", 4)])]) == [None]
    assert [m.seq for m in await messages_of(store, "si_a_b")] == [1, 2, 3, 4]
    again = msgspec.structs.replace(message("si_a_b", 1), seq=5)
    (refused,) = await store.commit([Slice("conversation/a_b", store.epoch, [again])])
    assert refused is not None
    assert (refused.reason, refused.first and refused.first.seq) == (Reason.REPEATED, 1)
    await store.close()
    found, expected = _rows(old), _rows(new)
    assert all(expected.values())
    found["message"].pop()
    found["message_key"] = [row for row in found["message_key"] if row["message"] != 4]
    for table in ("event", "subscriber", "sqlite_sequence"):
        assert found.pop(table) == []  # None was there to be moved.
        del expected[table]
    assert found == expected
    assert check(old) == []
    content = old.read_bytes()
    old.write_bytes(content[:-2_000] + bytes([content[-2_000] ^ 1]) + content[-1_999:])
    assert check(old)


def test_client_keys_are_told_apart() -> None:
    ids = ["", "0" * 32, "0" * 31, "0" * 33, "AB" * 16, "ab" * 16, "\0" * 16, "x"]
    assert len({client_key(one) for one in ids}) == len(ids)
    assert client_key("") is None
    assert client_key("ab" * 16) == b"\xab" * 16


def test_version_ids_are_told_apart() -> None:
    ids = [
        version_id(instance, log, owner)
        for instance in (b"i" * 16, b"j" * 16)
        for log in ("friends", "members")
        for owner in ("a", "b")
    ]
    assert len(set(ids)) == 8
    assert all(len(one) == 24 for one in ids)
