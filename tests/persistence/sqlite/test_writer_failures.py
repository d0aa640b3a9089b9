"""A disk that fails: FAILED, nothing acked, and work again once the disk does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw
import pytest

from greenroom.persistence.sqlite import writer as writer_module
from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.schema import migrate, raise_epoch
from greenroom.persistence.sqlite.statements import connect
from greenroom.persistence.sqlite.writer import Writer
from greenroom.persistence.store import Reason, Slice
from greenroom.tests.persistence.store_writes import message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from greenroom.persistence.sqlite.statements import Cursor, SqliteConnection


class Disk:
    """Connections whose COMMIT fails, or that may not grow, as long as it is told to; and the writer's clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.commits = 0
        self.commit_fails = False
        self.commit_lands = False
        """It fails, and is done all the same."""
        self.full = False
        self.opened = 0

    def connect(self, path: Path | str, **_: bool) -> Any:
        self.opened += 1
        return _Connection(self, connect(path))


class _Connection:
    def __init__(self, disk: Disk, real: SqliteConnection) -> None:
        self._disk = disk
        self._real = real

    def execute(self, statement: str, *values: Any) -> Cursor:
        if statement == "BEGIN IMMEDIATE":
            (pages,) = self._real.execute("PRAGMA page_count").fetchone()
            self._real.execute(f"PRAGMA max_page_count = {pages if self._disk.full else 1 << 30}")
        self._disk.commits += statement == "COMMIT"
        if statement == "COMMIT" and self._disk.commit_fails:
            if self._disk.commit_lands:
                self._real.execute(statement)
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        return self._real.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(writer_module, "connect", disk.connect)
    return disk


@pytest.fixture
def writer(tmp_path: Path, disk: Disk) -> Iterator[Writer]:
    connection = connect(tmp_path / "greenroom.db")
    migrate(connection, instance=bytes(16))
    epoch = raise_epoch(connection)
    connection.close()
    writer = Writer(tmp_path / "greenroom.db", epoch=epoch, clock=lambda: disk.now)
    writer.open()
    yield writer
    writer.close()


def batch(first: int, count: int = 1) -> list[Slice]:
    return [Slice("conversation/a_b", 1, [message("si_a_b", first + n)]) for n in range(count)]


def test_failed_commit(writer: Writer, disk: Disk, tmp_path: Path) -> None:
    assert writer.commit(batch(1)) == [None]
    disk.commit_fails = True
    for _ in range(2):
        outcomes = writer.commit(batch(2, 3))
        assert [o and o.reason for o in outcomes] == [Reason.FAILED] * 3
        disk.now += 1
    opened = disk.opened
    disk.commit_fails = False
    assert writer.commit(batch(2, 3)) == [None] * 3
    assert disk.opened == opened + 1
    assert writer.commit(batch(5)) == [None]
    assert disk.opened == opened + 1
    assert check(tmp_path) == []


@pytest.mark.parametrize("shared", [False, True])
def test_failed_commit_that_landed(tmp_path: Path, disk: Disk, shared: bool) -> None:
    connection = disk.connect(tmp_path / "greenroom.db")
    migrate(connection, instance=bytes(16))
    writer = Writer(
        tmp_path / "greenroom.db", epoch=raise_epoch(connection), connection=connection if shared else None,
        clock=lambda: disk.now,
    )  # fmt: skip
    writer.open()
    assert writer.commit(batch(1)) == [None]
    disk.commit_fails = disk.commit_lands = True
    (outcome,) = writer.commit(batch(2))
    assert outcome is not None
    assert outcome.reason == Reason.FAILED
    disk.commit_fails = False
    disk.now += 1
    assert writer.commit(batch(3)) == [None]
    writer.close()
    connection.close()


def test_disk_that_stays_bad_is_tried_once_a_second(writer: Writer, disk: Disk) -> None:
    assert writer.commit(batch(1)) == [None]
    disk.commit_fails = True
    commits = disk.commits
    while disk.now < 60:
        (outcome,) = writer.commit(batch(2))
        assert outcome is not None
        # The reason goes with every refusal, tried or not.
        assert (outcome.reason, outcome.detail.partition(":")[0]) == (Reason.FAILED, "SQLITE_IOERR_FSYNC")
        disk.now += 0.01
    assert 60 <= disk.commits - commits <= 66
    disk.commit_fails = False
    disk.now += writer_module.PAUSE_MAX_S
    assert writer.commit(batch(2)) == [None]


def test_committed_message_that_is_gone(
    writer: Writer, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large database only what was committed last is looked at: that much is."""
    monkeypatch.setattr(writer_module, "CHECKED_PAGES_MAX", 0)
    assert writer.commit(batch(1, 3)) == [None] * 3
    disk.commit_fails = True
    writer.commit(batch(4))
    disk.commit_fails = False
    other = connect(tmp_path / "greenroom.db")
    kept = other.execute("SELECT * FROM message WHERE seq = 3").fetchone()
    other.execute("DELETE FROM message WHERE seq = 3")
    for _ in range(2):
        disk.now += 1
        (outcome,) = writer.commit(batch(4))
        assert outcome is not None
        assert outcome.detail == "a committed message is missing"
    other.execute(f"INSERT INTO message VALUES ({', '.join('?' * len(kept))})", kept)
    other.close()
    disk.now += 1
    assert writer.commit(batch(4)) == [None]


def test_full_disk(writer: Writer, disk: Disk, tmp_path: Path) -> None:
    assert writer.commit(batch(1)) == [None]
    disk.full = True
    seq, outcome = 2, writer.commit(batch(2, 50))
    while outcome == [None] * 50:
        seq += 50
        outcome = writer.commit(batch(seq, 50))
    assert {o.reason for o in outcome if o is not None} == {Reason.FAILED}
    assert len([o for o in outcome if o is not None]) == 50
    disk.full = False
    disk.now += 1
    assert writer.commit(batch(seq, 50)) == [None] * 50
    assert check(tmp_path) == []


def test_damaged_database_stays_closed(writer: Writer, disk: Disk, tmp_path: Path) -> None:
    assert writer.commit(batch(1, 50)) == [None] * 50
    writer.checkpoint()
    disk.commit_fails = True
    writer.commit(batch(51))
    disk.commit_fails = False
    writer.close()
    file = tmp_path / "greenroom.db"
    whole = file.read_bytes()
    file.write_bytes(whole[:16384] + b"\xff" * (len(whole) - 16384))
    disk.now += 1
    (outcome,) = writer.commit(batch(51))
    assert outcome is not None
    assert "a page is damaged" in outcome.detail
    file.write_bytes(whole)
    disk.now += 1
    assert writer.commit(batch(51)) == [None]


def test_damaged_page_is_the_trouble_of_who_meets_it(writer: Writer, disk: Disk, tmp_path: Path) -> None:
    """One batch for all: those whose place in the index is damaged are refused, and nobody else is."""
    chats = [f"si_a_u{number:03d}" for number in range(300)]

    def next_of_each(seqs: dict[str, int]) -> list[Slice]:
        return [Slice(f"conversation/{chat[3:]}", 1, [message(chat, seqs[chat] + 1)]) for chat in chats]

    for seq in (0, 1):
        assert writer.commit(next_of_each(dict.fromkeys(chats, seq))) == [None] * len(chats)
    writer.checkpoint()
    writer.close()
    file = tmp_path / "greenroom.db"
    connection = connect(file)
    asked = "SELECT pageno FROM dbstat WHERE name = 'message_key' AND pagetype = 'leaf' ORDER BY path"
    (page,) = connection.execute(asked).fetchall()[1]
    connection.close()
    content = bytearray(file.read_bytes())
    content[page * 4096 - 9] ^= 1
    file.write_bytes(content)
    writer.open()
    seqs = dict.fromkeys(chats, 2)
    for _ in range(2):
        opened = disk.opened
        outcomes = writer.commit(next_of_each(seqs))
        refused = [chat for chat, outcome in zip(chats, outcomes, strict=True) if outcome is not None]
        assert 0 < len(refused) < len(chats)
        assert all("a page is damaged" in outcome.detail for outcome in outcomes if outcome is not None)
        assert disk.opened == opened
        seqs = {chat: seq + (chat not in refused) for chat, seq in seqs.items()}
    connection = connect(file, read_only=True)
    asked = "SELECT conversation_id, max(seq) FROM message JOIN conversation c ON c.id = conversation GROUP BY 1"
    stored = dict(connection.execute(asked).fetchall())
    connection.close()
    assert stored == seqs


def test_lock_held_by_another(
    writer: Writer, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.commit(batch(1))
    other = connect(tmp_path / "greenroom.db")
    other.execute("BEGIN IMMEDIATE")
    opened = disk.opened
    (outcome,) = writer.commit(batch(2))
    assert outcome is not None
    assert outcome.reason == Reason.FAILED
    other.execute("ROLLBACK")
    other.close()
    disk.now += 1
    assert writer.commit(batch(2)) == [None]
    assert disk.opened == opened
