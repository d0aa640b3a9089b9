"""The one writer: each batch of slices is one transaction, each slice is all or nothing."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

import apsw

from greenroom.persistence.errors import StoreDamaged, StoreError
from greenroom.persistence.refusal import Reason, Refusal, WriteRefused
from greenroom.persistence.sqlite.applier import Applier, runs
from greenroom.persistence.sqlite.event_writes import EVENTS_LIMIT
from greenroom.persistence.sqlite.mark import Mark
from greenroom.persistence.sqlite.placement import Placement, log_path
from greenroom.persistence.sqlite.row_numbers import RowNumbers
from greenroom.persistence.sqlite.schema import count_commit, instance_of, stored_epoch
from greenroom.persistence.sqlite.statements import BUSY_TIMEOUT_S, connect, describe, is_damage
from greenroom.persistence.store import AddMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from greenroom.persistence.sqlite.statements import SqliteConnection
    from greenroom.persistence.store import Slice

__all__ = ["Writer"]

CHECKPOINT_BYTES: Final = 16 << 20
"""When the log has grown by this size since the last checkpoint, an idle writer makes the next one. When the writer
rests, a longer file is cut."""
REST_S: Final = 1.0
"""After this time without a batch, an idle writer rests. It does not cut the log earlier, because the next burst would
have to make the file long again."""
CHECKPOINT_BYTES_MAX: Final = 256 << 20
"""When the log has grown by this size, a checkpoint is made at once, although the next batch must wait for it. A
message changes three to five pages, and the next messages change most of them again. So a late checkpoint copies fewer
pages."""
PAGE_BYTES: Final = 4096

PAUSE_S: Final = 0.05
PAUSE_MAX_S: Final = 1.0
"""Pause after a failure, in which batches are refused at once. It is doubled with each further failure, up to the
limit. So a full disk is tried once a second, and the store works again at most a second after the disk does."""
CHECKED_PAGES_MAX: Final = 16_384
"""After a failure, a database of at most this number of pages (64 MiB) is checked completely, in a few tenths of a
second. In a larger one only the last commit is checked."""

BROKEN: Final = frozenset(
    {
        apsw.SQLITE_CANTOPEN,
        apsw.SQLITE_FULL,
        apsw.SQLITE_IOERR,
        apsw.SQLITE_NOMEM,
        apsw.SQLITE_PROTOCOL,
        apsw.SQLITE_READONLY,
    }
)
"""Primary codes of errors of the disk. A damaged page is not among them: it only fails the slices that need it."""


class Writer:
    """Commits batches on one connection, synchronously, for one epoch.

    `commit` never raises. It returns when the batch is on disk (WAL, synchronous=FULL) and the files are still at their
    place, so the senders may be answered at once. After a failed commit, batches are refused for a pause. Then the
    database is opened again. Before the next batch is tried, a test write must succeed, and the last commit must still
    be there. The failed batch may or may not be stored.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        epoch: int,
        events_limit: int = EVENTS_LIMIT,
        connection: SqliteConnection | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """With `connection` (for a store in memory), the writer shares this connection and never closes it."""
        self._path = path
        self._epoch = epoch
        self._events_limit = events_limit
        self._shared = connection
        self._connection: SqliteConnection | None = None
        self._mark: Mark | None = None
        self._database: Placement | None = None
        """Where the database was at the first opening."""
        self._placement: Placement | None = None
        """Where the open files are: the database, and while it is open, its log."""
        self._applier: Applier
        self._numbers: RowNumbers
        self._needs_check = False
        """Whether the database and its disk must be checked before the next batch."""
        self._trouble = ""
        self._pause_s = 0.0
        self._paused_until = 0.0
        self._clock = clock
        self._last_commit: tuple[Sequence[Slice], Sequence[Refusal | None]] = ((), ())
        """The last committed batch, and its outcomes."""
        self._log_pages = 0
        """Number of pages in the log after the last commit."""
        self._checkpointed_pages = 0
        """Number of pages in the log at the last checkpoint."""
        self._rests = False
        """Whether the next call of `idle` comes after a pause of REST_S without a batch."""

    def open(self) -> None:
        connection = self._shared or connect(self._path, create=False)
        try:
            if self._shared is None:
                # This replaces SQLite's own hook, which makes checkpoints during a commit.
                connection.set_wal_hook(self._logged)
                self._mark = Mark(self._path, instance_of(connection))
                self._database = self._database or Placement(self._path)
                self._placement = Placement(self._path, log_path(self._path))
            self._numbers = RowNumbers(connection)
            self._applier = Applier(connection, self._numbers, events_limit=self._events_limit)
        except BaseException:
            if self._shared is None:
                connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._shared is None:
            connection.close()
        self._placement = self._database  # The last connection removes the log.
        mark, self._mark = self._mark, None
        if mark is not None:
            mark.close()

    def commit(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        """Commit slices. Returns one outcome for each slice, in order; None = committed and on disk."""
        if not slices:
            return []
        if self._pause_s and self._clock() < self._paused_until:
            return _failed(slices, self._trouble)
        connection = self._connection
        try:
            if connection is None or self._needs_check:
                connection = self._reopen()
            outcomes = self._commit(connection, slices)
        except Exception as error:
            self._fail(error)
            return _failed(slices, self._trouble)
        self._pause_s = 0.0
        self._rests = False
        self._last_commit = slices, outcomes
        self._numbers.settle()
        if self._new_bytes > CHECKPOINT_BYTES_MAX:
            self.checkpoint()
        return outcomes

    def idle(self) -> float | None:
        """Make a checkpoint if the log has grown, and later cut its file if it is long. The caller calls this while no
        batch waits, and again after the returned number of seconds without a batch; None: not before the next batch."""
        if self._new_bytes > CHECKPOINT_BYTES:
            self.checkpoint()
        if self._rests:
            self._cut_log()
        self._rests = self._log_is_long()
        return REST_S if self._rests else None

    def _log_is_long(self) -> bool:
        if self._connection is None or self._shared is not None:
            return False
        try:
            return os.stat(log_path(self._path)).st_size > CHECKPOINT_BYTES
        except OSError:
            return False  # It was removed, which the next commit says.

    def _cut_log(self) -> None:
        """Cut the log's file to nothing, unless somebody reads what is in it."""
        connection = self._connection
        if connection is None:
            return
        connection.set_busy_timeout(0)  # The next batch does not wait for a long read.
        try:
            is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except apsw.Error:
            self._needs_check = True
        else:
            if not is_busy:
                self._log_pages = self._checkpointed_pages = 0
        finally:
            connection.set_busy_timeout(int(1e3 * BUSY_TIMEOUT_S))

    def checkpoint(self) -> None:
        self._checkpointed_pages = self._log_pages
        if self._connection is None or self._shared is not None:
            return
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except apsw.Error:
            # The log still contains all commits, but the disk must be checked before the next ack.
            self._needs_check = True

    def _logged(self, connection: SqliteConnection, name: str, pages: int) -> int:
        """SQLite calls this after each commit with the number of pages in the log."""
        if pages < self._log_pages:
            self._checkpointed_pages = 0  # The whole log was copied into the database, and starts again.
        self._log_pages = pages
        return apsw.SQLITE_OK

    @property
    def _new_bytes(self) -> int:
        """Number of bytes by which the log has grown since the last checkpoint."""
        return (self._log_pages - self._checkpointed_pages) * PAGE_BYTES

    def _commit(self, connection: SqliteConnection, slices: Sequence[Slice]) -> list[Refusal | None]:
        connection.execute("BEGIN IMMEDIATE")
        epoch = stored_epoch(connection)
        if self._epoch < epoch:
            connection.execute("ROLLBACK")
            return [_stale(self._epoch, epoch)] * len(slices)
        outcomes: list[Refusal | None] = [None] * len(slices)
        try:
            if any(slice_.epoch < epoch for slice_ in slices):
                raise WriteRefused(Refusal(Reason.STALE_EPOCH))
            self._applier.apply_all(slices)
        except Exception as error:
            if _is_broken(error):
                raise
            self._roll_back(connection)
            outcomes = self._apply_each(connection, slices)
        commits = count_commit(connection)
        connection.execute("COMMIT")
        if self._mark is not None:
            self._mark.set(commits)
        if self._placement is not None:
            self._placement.check()
        return outcomes

    def _apply_each(self, connection: SqliteConnection, slices: Sequence[Slice]) -> list[Refusal | None]:
        """Apply each slice separately, in a new transaction that stays open. A damaged page makes SQLite roll back the
        whole transaction: then all slices are applied again without the one that needs this page."""
        damaged: dict[int, Refusal | None] = {}
        while True:
            connection.execute("BEGIN IMMEDIATE")
            epoch = stored_epoch(connection)
            known = len(damaged)
            outcomes: list[Refusal | None] = []
            for number, slice_ in enumerate(slices):
                outcomes.append(damaged.get(number) or self._apply_apart(connection, slice_, epoch))
                if not connection.in_transaction:
                    damaged[number] = outcomes[number]
                    self._roll_back(connection)
                    connection.execute("BEGIN IMMEDIATE")
            if len(damaged) == known:
                return outcomes
            self._roll_back(connection)

    def _apply_apart(self, connection: SqliteConnection, slice_: Slice, epoch: int) -> Refusal | None:
        """Apply one slice inside a savepoint, so that its refusal does not undo other slices."""
        if slice_.epoch < epoch:
            return _stale(slice_.epoch, epoch)
        mark = self._numbers.mark()
        connection.execute("SAVEPOINT slice")
        index = 0
        self._applier.checks_repeats = True
        try:
            for index, run in runs(slice_.writes):  # noqa: B007
                self._applier.apply(slice_.key, run)
            self._applier.flush()
        except Exception as error:
            if _is_broken(error):
                raise
            self._applier.forget()
            self._numbers.undo(mark)
            if connection.in_transaction:
                connection.execute("ROLLBACK TO slice")
                connection.execute("RELEASE slice")
            if isinstance(error, WriteRefused):
                return error.refusal._replace(write=index)
            return Refusal(Reason.FAILED, _describe(error), index)
        finally:
            self._applier.checks_repeats = False
        connection.execute("RELEASE slice")
        return None

    def _roll_back(self, connection: SqliteConnection) -> None:
        self._applier.forget()
        self._numbers.undo(0)
        with contextlib.suppress(apsw.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _fail(self, error: Exception) -> None:
        if self._connection is not None:
            self._roll_back(self._connection)
        # The lock of another connection is not a failure of the disk.
        self._needs_check = self._needs_check or _code(error) != apsw.SQLITE_BUSY
        self._trouble = _describe(error)
        self._pause_s = min(2 * self._pause_s or PAUSE_S, PAUSE_MAX_S)
        self._paused_until = self._clock() + self._pause_s

    def _reopen(self) -> SqliteConnection:
        """Open a new connection, and check the database. Nothing stays cached, as the failed commit may be stored.

        While a file is not at its place, the connection stays open: a new one would not see what is in that file."""
        if self._placement is not None:
            self._placement.check()
        with contextlib.suppress(apsw.Error):
            self.close()
        self.open()
        connection = self._connection
        assert connection is not None
        self._check_last_commit(connection)
        _try_write(connection)
        _quick_check(connection)
        self._needs_check = False
        return connection

    def _check_last_commit(self, connection: SqliteConnection) -> None:
        """Raises StoreDamaged if a message of the last commit is missing."""
        newest = {
            write.conversation_id: (write.seq, write.body)
            for slice_, outcome in zip(*self._last_commit, strict=True)
            if outcome is None
            for write in slice_.writes
            if type(write) is AddMessage
        }
        for conversation_id, (seq, body) in newest.items():
            row = connection.execute(
                "SELECT body FROM message WHERE id = (SELECT k.message FROM conversation c JOIN message_key k"
                " ON k.conversation = c.id AND k.sender = 0 WHERE c.conversation_id = ? AND k.name = ?)",
                (conversation_id, seq),
            ).fetchone()
            if row is None or bytes(row[0]) != body:
                raise StoreDamaged("a committed message is missing")


def _try_write(connection: SqliteConnection) -> None:
    """Change a page and change it back, with a sync. This is a cheap test while the disk still fails."""
    connection.execute("BEGIN IMMEDIATE")
    # Two statements, because SQLite does not write a page if its content stays the same.
    connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch'")
    connection.execute("UPDATE meta SET value = value - 1 WHERE name = 'epoch'")
    connection.execute("COMMIT")


def _quick_check(connection: SqliteConnection) -> None:
    if connection.execute("PRAGMA page_count").fetchone()[0] <= CHECKED_PAGES_MAX:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise StoreDamaged(f"quick_check: {verdict}")


def _is_broken(error: Exception) -> bool:
    return _code(error) in BROKEN and not is_damage(error)


def _code(error: Exception) -> int | None:
    return getattr(error, "result", None)


def _stale(epoch: int, stored: int) -> Refusal:
    return Refusal(Reason.STALE_EPOCH, f"epoch {epoch} is stale, the store is at {stored}")


def _failed(slices: Sequence[Slice], trouble: str) -> list[Refusal | None]:
    return [Refusal(Reason.FAILED, trouble)] * len(slices)


def _describe(error: Exception) -> str:
    if isinstance(error, apsw.Error):
        return describe(error)
    return f"{error}" if isinstance(error, StoreError) else type(error).__name__
