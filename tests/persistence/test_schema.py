from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.errors import NotAStore, StoreTooNew
from greenroom.persistence.schema import (
    SCHEMA_VERSION,
    client_key,
    instance_of,
    migrate,
    raise_epoch,
    version_id,
)
from greenroom.persistence.statements import connect
from greenroom.persistence.store_sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.persistence.statements import Connection


@pytest.fixture
def database(tmp_path: Path) -> Connection:
    return connect(tmp_path / "greenroom.db")


def test_migrate_twice(database: Connection) -> None:
    migrate(database, instance=b"i" * 16)
    migrate(database, instance=b"j" * 16)
    assert instance_of(database) == b"i" * 16
    assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert [raise_epoch(database), raise_epoch(database)] == [1, 2]
    database.close()


async def test_later_release(database: Connection, tmp_path: Path) -> None:
    migrate(database, instance=bytes(16))
    database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew):
        migrate(database, instance=bytes(16))
    database.close()
    store = SqliteStore(tmp_path / "greenroom.db")
    with pytest.raises(StoreTooNew):
        await store.open()


def test_file_of_another_program(database: Connection) -> None:
    database.execute("CREATE TABLE song (title)")
    with pytest.raises(NotAStore):
        migrate(database, instance=bytes(16))
    assert database.execute("SELECT name FROM sqlite_schema").fetchall() == [("song",)]
    database.close()


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
