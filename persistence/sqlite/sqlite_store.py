"""The embedded store: one SQLite database. One writer commits to it; reads run on the loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

import apsw

from greenroom.persistence.errors import StoreDamaged, StoreUnavailable
from greenroom.persistence.private_files import create_private
from greenroom.persistence.sqlite.damage import DamageMet, copy_advice, examine, store_error
from greenroom.persistence.sqlite.event_reads import EventReads
from greenroom.persistence.sqlite.event_writes import EVENTS_LIMIT
from greenroom.persistence.sqlite.list_reads import ListReads
from greenroom.persistence.sqlite.message_reads import MessageReads
from greenroom.persistence.sqlite.placement import Placement
from greenroom.persistence.sqlite.schema import add_checksums, instance_of, lacks_checksums, migrate, raise_epoch
from greenroom.persistence.sqlite.seq_reads import SeqReads
from greenroom.persistence.sqlite.statements import MEMORY, connect
from greenroom.persistence.sqlite.thread_call import ThreadCall
from greenroom.persistence.sqlite.user_reads import UserReads
from greenroom.persistence.sqlite.writer import Writer
from greenroom.persistence.sqlite.writer_client import ProcessWriter
from greenroom.persistence.sqlite.writer_thread import InlineWriter, ThreadWriter
from greenroom.persistence.store import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from greenroom.persistence.errors import StoreError
    from greenroom.persistence.sqlite.statements import SqliteConnection
    from greenroom.persistence.store import Slice

__all__ = ["SqliteStore", "WriterKind"]

OPENINGS: Final = 4
"""Number of times that a locked database is opened. Each waits BUSY_TIMEOUT_S for the lock."""
WriterKind = Literal["process", "thread", "inline"]
"""Where commits run. A busy loop does not slow a process; a thread needs no child process; inline blocks the loop."""


class _Committer(Protocol):
    @property
    def lost(self) -> asyncio.Future[str]: ...

    async def start(self) -> None: ...

    def commit(self, slices: Sequence[Slice]) -> asyncio.Future[list[Refusal | None]]: ...

    async def stop(self) -> None: ...


class SqliteStore(UserReads, MessageReads, SeqReads, ListReads, EventReads):
    """`Store` on a SQLite file, or in memory (path ":memory:", which is always written inline).

    The caller must lock the data directory (`DataDirectory`): the store itself has no lock, and after a later opening
    this one's writes are refused (STALE_EPOCH). It is used from one event loop.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        writer: WriterKind = "process",
        events_limit: int = EVENTS_LIMIT,
        entropy: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`entropy` makes a new database's id. `clock`, in seconds, times the pauses of a writer in this process."""
        self._path = path if path == MEMORY else Path(path)
        self._kind: WriterKind = "inline" if path == MEMORY else writer
        self._events_limit = events_limit
        self._entropy = entropy
        self._clock = clock
        self._epoch = 0
        self._connection = None
        self._placement: Placement | None = None
        self._committer: _Committer | None = None
        self._damage = DamageMet()
        self._opening: ThreadCall[tuple[SqliteConnection, int, bytes]] = ThreadCall()

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def damage(self) -> int:
        return self._damage.met

    @property
    def writer_pid(self) -> int | None:
        """The writer process's id, if there is one."""
        return self._committer.pid if isinstance(self._committer, ProcessWriter) else None

    async def lost(self) -> None:
        assert self._committer is not None
        raise StoreUnavailable(await asyncio.shield(self._committer.lost))

    async def open(self) -> None:
        """If this is cancelled, the thread that opens the files goes on. `close` waits for it, and closes them."""
        if self._committer is not None and self._committer.lost.done():
            await self.close()
            if self._placement is not None:
                self._placement.check()  # An empty database would be made in the place of one that was moved.
        if self._connection is not None:
            raise RuntimeError("the store is open")
        try:
            # The recovery of a long log, or a migration, may take seconds.
            connection, self._epoch, self._instance = await self._opening.run(self._prepare)
        except apsw.Error as error:
            told = store_error(f"{self._path}", error)
            if isinstance(told, StoreDamaged) and isinstance(self._path, Path):
                told = StoreDamaged(f"{told}{copy_advice(self._path)}")
            raise told from error
        self._connection = connection
        self._placement = Placement(self._path) if isinstance(self._path, Path) else None
        if isinstance(self._path, Path) and self._kind == "process":
            self._committer = ProcessWriter(self._path, epoch=self._epoch, events_limit=self._events_limit)
        else:
            writer = Writer(
                self._path,
                epoch=self._epoch,
                events_limit=self._events_limit,
                connection=connection if self._path == MEMORY else None,
                clock=self._clock,
            )
            self._committer = ThreadWriter(writer) if self._kind == "thread" else InlineWriter(writer)
        try:
            await self._committer.start()
        except BaseException as error:
            await self.close()
            if isinstance(error, apsw.Error):
                raise store_error(f"{self._path}", error) from error
            raise

    async def close(self) -> None:
        if (opened := await self._opening.take()) is not None:
            opened[0].close()
        # Close the reader first: the last connection moves the log into the database, which a reader may not do.
        connection, self._connection = self._connection, None
        if connection is not None and self._path != MEMORY:
            connection.close()
        committer, self._committer = self._committer, None
        if committer is not None:
            await committer.stop()
        if connection is not None:
            connection.close()

    async def take(self, key: str) -> None:
        """Nothing to do: there is one writer, and after a later opening all writes of this one are refused."""

    async def commit(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        if self._committer is None:
            return [Refusal(Reason.FAILED, "the store is closed")] * len(slices)
        return await self._committer.commit(slices)

    def _prepare(self) -> tuple[SqliteConnection, int, bytes]:
        """The same as `_open_files`, but waits for a lock: the writer of a killed node has it until it ends."""
        for _ in range(OPENINGS - 1):
            with contextlib.suppress(apsw.BusyError):
                return self._open_files()
        return self._open_files()

    def _open_files(self) -> tuple[SqliteConnection, int, bytes]:
        """Migrate, and raise the epoch. Returns the connection for reads, the epoch and the database's id."""
        if isinstance(self._path, Path):
            examine(self._path)
            create_private(self._path)  # SQLite gives its other files the mode of this one.
        connection = connect(self._path)
        try:
            if lacks_checksums(connection):
                add_checksums(connection)
                connection.close()
                connection = connect(self._path)
            migrate(connection, instance=self._entropy(16))
            epoch = raise_epoch(connection)
            instance = instance_of(connection)
            if self._path == MEMORY:
                return connection, epoch, instance
            reader = connect(self._path, read_only=True)
        except BaseException:
            connection.close()
            raise
        # After this first read, the log's files stay when the other connection closes.
        instance_of(reader)
        connection.close()
        return reader, epoch, instance

    def _trouble(self, asked: str, error: apsw.Error) -> StoreError:
        told = store_error(f"{self._path}: {asked}", error)
        self._damage.note(told)
        return told
