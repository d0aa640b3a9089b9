"""The write-ahead log is moved into the database before it outgrows its bound, however many pages a message dirties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.sqlite import writer as writer_module
from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.schema import migrate, raise_epoch
from greenroom.persistence.sqlite.statements import connect
from greenroom.persistence.sqlite.writer import Writer
from greenroom.persistence.store import Slice
from greenroom.tests.persistence.store_writes import message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHATS = [f"si_a_{number:03d}" for number in range(300)]
LIMIT = 1 << 20
BATCH = 20


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    connection = connect(tmp_path / "greenroom.db")
    migrate(connection, instance=bytes(16))
    epoch = raise_epoch(connection)
    connection.close()
    writer = Writer(tmp_path / "greenroom.db", epoch=epoch)
    writer.open()
    yield writer
    writer.close()


def _commit(writer: Writer, first: int, rounds: int = 1) -> None:
    """A message to each chat, in small batches, so many times."""
    for seq in range(first, first + rounds):
        for start in range(0, len(CHATS), BATCH):
            chats = CHATS[start : start + BATCH]
            slices = [Slice(f"conversation/{chat[3:]}", 1, [message(chat, seq)]) for chat in chats]
            assert writer.commit(slices) == [None] * len(chats)


def _log_bytes(tmp_path: Path) -> int:
    return (tmp_path / "greenroom.db-wal").stat().st_size


def test_log_under_load(writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "CHECKPOINT_BYTES_MAX", LIMIT)
    _commit(writer, 1, rounds=10)
    database = tmp_path / "greenroom.db"
    assert LIMIT < _log_bytes(tmp_path) < LIMIT + BATCH * 8 * 4120
    assert database.stat().st_size > LIMIT / 4
    assert check(tmp_path) == []


def test_log_at_rest(writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "CHECKPOINT_BYTES", LIMIT)
    seq = 0
    while _log_bytes(tmp_path) <= LIMIT:
        writer.idle()  # Too little to move: the log goes on.
        seq += 1
        _commit(writer, seq)
    grown = _log_bytes(tmp_path)
    writer.idle()
    _commit(writer, seq + 1)
    assert _log_bytes(tmp_path) == grown  # It began anew.
    assert check(tmp_path) == []


def _grow(writer: Writer, tmp_path: Path) -> int:
    """Commit until the log is long. Returns the next seq."""
    seq = 1
    while _log_bytes(tmp_path) <= LIMIT:
        _commit(writer, seq)
        seq += 1
    return seq


def test_log_of_a_writer_that_rests_is_cut(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "CHECKPOINT_BYTES", LIMIT)
    seq = _grow(writer, tmp_path)
    assert writer.idle() == writer_module.REST_S
    assert _log_bytes(tmp_path) > LIMIT
    _commit(writer, seq)
    assert writer.idle() == writer_module.REST_S
    assert _log_bytes(tmp_path) > LIMIT  # It did not rest: a batch came between.
    assert writer.idle() is None
    assert _log_bytes(tmp_path) == 0
    _commit(writer, seq + 1)
    assert 0 < _log_bytes(tmp_path) < LIMIT
    assert writer.idle() is None
    assert check(tmp_path) == []


def test_log_that_somebody_reads_is_cut_after_them(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "CHECKPOINT_BYTES", LIMIT)
    seq = _grow(writer, tmp_path)
    reader = connect(tmp_path / "greenroom.db", read_only=True)
    reader.execute("BEGIN")
    (before,) = reader.execute("SELECT count(*) FROM message").fetchone()
    _commit(writer, seq)
    for _ in range(3):
        assert writer.idle() == writer_module.REST_S
    assert _log_bytes(tmp_path) > LIMIT
    assert reader.execute("SELECT count(*) FROM message").fetchone() == (before,)
    reader.execute("ROLLBACK")
    assert writer.idle() is None
    assert _log_bytes(tmp_path) == 0
    reader.close()
    _commit(writer, seq + 1)
    assert check(tmp_path) == []
