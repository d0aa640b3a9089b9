"""The one hand that writes: batches of slices, each batch one transaction, each slice all or nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from greenroom.persistence.applier import Applier, Refused
from greenroom.persistence.mark import Mark
from greenroom.persistence.names import Names
from greenroom.persistence.schema import count_commit, instance_of, stored_epoch
from greenroom.persistence.statements import connect
from greenroom.persistence.store import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.store import Slice

__all__ = ["Writer"]

CHECKPOINT_BYTES: Final = 4 << 20
"""Written since the last checkpoint: enough for one when there is nothing else to do. Counted roughly, as
message bodies and a page for each slice."""
CHECKPOINT_BYTES_MAX: Final = 64 << 20
"""Likewise: enough for one at once, though a batch waits for it."""
PAGE_BYTES: Final = 4096

BROKEN: Final = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""Errors (by primary code) that say something of the database or its disk, not of a slice."""


class Writer:
    """Commits batches on one connection, synchronously, for one epoch.

    `commit` never raises. It returns after the batch is on disk (WAL, synchronous=FULL), so its outcomes may
    be answered at once. After a failed commit the connection is closed, and the next batch is tried only
    on a new one that passed SQLite's quick check; what was in the failed batch may or may not be stored.
    """

    def __init__(self, path: Path | str, *, epoch: int, connection: sqlite3.Connection | None = None) -> None:
        """With `connection` the writer shares it (a store in memory) and never closes it."""
        self._path = path
        self._epoch = epoch
        self._shared = connection
        self._connection: sqlite3.Connection | None = None
        self._mark: Mark | None = None
        self._applier: Applier
        self._names: Names
        self._failed = False
        self._log_bytes = 0

    def open(self) -> None:
        connection = self._shared or connect(self._path)
        if self._shared is None:
            # Checkpoints are ours to time: SQLite's own come in the middle of a commit.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._mark = Mark(Path(self._path), instance_of(connection))
        self._names = Names(connection)
        self._applier = Applier(connection, self._names)
        self._connection = connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._shared is None:
            connection.close()
        mark, self._mark = self._mark, None
        if mark is not None:
            mark.close()

    def commit(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        """One outcome for each slice, in order; None = committed and on disk."""
        if not slices:
            return []
        connection = self._connection
        if connection is None or self._failed:
            try:
                connection = self._reopen()
            except sqlite3.Error as error:
                return _failed(slices, error)
        try:
            outcomes = self._commit(connection, slices)
        except Exception as error:
            self._roll_back(connection)
            # Another connection's lock says nothing of the disk; after anything else look before going on.
            self._failed = _code(error) != sqlite3.SQLITE_BUSY
            return _failed(slices, error)
        self._names.settle()
        self._log_bytes += PAGE_BYTES * len(slices) + self._applier.body_bytes
        self._applier.body_bytes = 0
        if self._log_bytes > CHECKPOINT_BYTES_MAX:
            self.checkpoint()
        return outcomes

    def rest(self) -> None:
        """To be called when no batch waits: moves what the log has gathered into the database."""
        if self._log_bytes > CHECKPOINT_BYTES:
            self.checkpoint()

    def checkpoint(self) -> None:
        self._log_bytes = 0
        if self._connection is None or self._shared is not None:
            return
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error:
            # The log keeps everything; but this disk needs a look before more is acked.
            self._failed = True

    def _commit(self, connection: sqlite3.Connection, slices: Sequence[Slice]) -> list[Refusal | None]:
        connection.execute("BEGIN IMMEDIATE")
        epoch = stored_epoch(connection)
        if self._epoch < epoch:
            connection.execute("ROLLBACK")
            return [_stale(self._epoch, epoch)] * len(slices)
        outcomes: list[Refusal | None] = [None] * len(slices)
        try:
            if any(one.epoch < epoch for one in slices):
                raise Refused(Refusal(Reason.STALE_EPOCH))
            self._applier.apply_all(slices)
        except Exception as error:
            if _is_broken(error):
                raise
            self._roll_back(connection)
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._apply_apart(connection, one, stored_epoch(connection)) for one in slices]
        commits = count_commit(connection)
        connection.execute("COMMIT")
        if self._mark is not None:
            self._mark.set(commits)
        return outcomes

    def _apply_apart(self, connection: sqlite3.Connection, one: Slice, epoch: int) -> Refusal | None:
        """One slice, write by write, under a savepoint, so that its refusal is its own."""
        if one.epoch < epoch:
            return _stale(one.epoch, epoch)
        mark = self._names.mark()
        connection.execute("SAVEPOINT slice")
        index = 0
        self._applier.careful = True
        try:
            for index, write in enumerate(one.writes):  # noqa: B007
                self._applier.apply(one.key, write)
            self._applier.flush()
        except Exception as error:
            if _is_broken(error):
                raise
            self._applier.forget()
            self._names.undo(mark)
            connection.execute("ROLLBACK TO slice")
            connection.execute("RELEASE slice")
            if isinstance(error, Refused):
                return msgspec.structs.replace(error.refusal, index=index)
            return Refusal(Reason.FAILED, _describe(error), index)
        finally:
            self._applier.careful = False
        connection.execute("RELEASE slice")
        return None

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        self._applier.forget()
        self._names.undo(0)
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _reopen(self) -> sqlite3.Connection:
        if self._connection is None or self._shared is None:
            self._log_bytes = CHECKPOINT_BYTES
            with contextlib.suppress(sqlite3.Error):
                self.close()
            self.open()
        assert self._connection is not None
        verdict = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"quick_check: {verdict}")
        self._failed = False
        return self._connection


def _is_broken(error: Exception) -> bool:
    return _code(error) in BROKEN


def _code(error: Exception) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _stale(epoch: int, stored: int) -> Refusal:
    return Refusal(Reason.STALE_EPOCH, f"epoch {epoch} is over, the store is at {stored}")


def _failed(slices: Sequence[Slice], error: Exception) -> list[Refusal | None]:
    return [Refusal(Reason.FAILED, _describe(error))] * len(slices)


def _describe(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return f"{name}: {error}" if isinstance(error, sqlite3.Error) else name
