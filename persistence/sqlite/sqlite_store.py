"""The embedded store: one SQLite database, written by one process, thread or hand, read on the loop."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

import apsw

from greenroom.persistence.errors import StoreDamaged, StoreUnavailable
from greenroom.persistence.sqlite.damage import DamageMet, examine, store_error
from greenroom.persistence.sqlite.reader import Reader
from greenroom.persistence.sqlite.reader_lists import ListReader
from greenroom.persistence.sqlite.schema import add_checksums, instance_of, lacks_checksums, migrate, raise_epoch
from greenroom.persistence.sqlite.statements import MEMORY, Connection, connect
from greenroom.persistence.sqlite.writer_client import ProcessWriter
from greenroom.persistence.store import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from greenroom.actors.wire import conversation_pb2, sdkws_pb2
    from greenroom.persistence.store import (
        KeyState,
        LogKind,
        PairFact,
        Pulled,
        Range,
        Reading,
        SeqState,
        Slice,
        Span,
        StoredMessage,
        TokenRow,
        VersionLog,
    )

__all__ = ["SqliteStore", "WriterKind"]

WriterKind = Literal["process", "thread", "inline"]
"""Where commits run. A process is not slowed by a busy loop; a thread needs no child; inline blocks."""

_SHOWN: Final = 3
"""Of many that a failed read was about."""


class _Committer(Protocol):
    @property
    def lost(self) -> asyncio.Future[str]: ...

    async def start(self) -> None: ...

    def commit(self, slices: Sequence[Slice]) -> asyncio.Future[list[Refusal | None]]: ...

    async def stop(self) -> None: ...


class _Reading:
    """The readers of an open store, in a `with` that says the store's errors. Used for each read: a generator's
    context manager costs as much as a short read."""

    __slots__ = ("_damage", "_path", "_readers", "asked")

    def __init__(self, path: Path | str, reader: Reader, lists: ListReader, damage: DamageMet) -> None:
        self._path = path
        self._readers = reader, lists
        self._damage = damage
        self.asked: tuple[str, str | int | Iterable[str]] = ("", "")
        """What the read is about."""

    def __enter__(self) -> tuple[Reader, ListReader]:
        return self._readers

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, apsw.Error):
            told = store_error(f"{self._path}: {_brief(*self.asked)}", error)
            self._damage.note(told)
            raise told from error


def _brief(what: str, of: str | int | Iterable[str]) -> str:
    names = [str(of)] if isinstance(of, (str, int)) else list(of)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what} {', '.join(names[:_SHOWN])}{more}"


class SqliteStore:
    """`Store` on a SQLite file, or in memory (path ":memory:", which is always written inline).

    Who opens it owns the data directory (`DataDirectory`): the store itself holds no lock, and a later
    opening ends this one's writing (STALE_EPOCH). Used from one event loop.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        writer: WriterKind = "process",
        entropy: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`entropy` gives a new database its id; by `clock`, in seconds, a writer that is no process of its own pauses
        after a failure."""
        self._path = path if path == MEMORY else Path(path)
        self._kind: WriterKind = "inline" if path == MEMORY else writer
        self._entropy = entropy
        self._clock = clock
        self._epoch = 0
        self._connection: Connection | None = None
        self._committer: _Committer | None = None
        self._open: _Reading | None = None
        self.damage = DamageMet()
        """What reads have met."""

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def writer_pid(self) -> int | None:
        """Of the writer process, if there is one."""
        return self._committer.pid if isinstance(self._committer, ProcessWriter) else None

    async def lost(self) -> None:
        """Wait for ever; raises StoreUnavailable when the writer cannot be kept up. Open it anew then."""
        assert self._committer is not None
        raise StoreUnavailable(await asyncio.shield(self._committer.lost))

    async def open(self) -> None:
        if self._committer is not None and self._committer.lost.done():
            await self.close()
        if self._connection is not None:
            raise RuntimeError("the store is open")
        try:
            # Recovering a long log or migrating may take seconds.
            connection, self._epoch, instance = await asyncio.to_thread(self._prepare)
        except apsw.Error as error:
            told = store_error(f"{self._path}", error)
            self.damage.note(told)
            raise told from error
        except StoreDamaged as damaged:
            self.damage.note(damaged)
            raise
        self._connection = connection
        self._open = _Reading(self._path, Reader(connection, instance), ListReader(connection), self.damage)
        shared = connection if self._path == MEMORY else None
        if isinstance(self._path, Path) and self._kind == "process":
            self._committer = ProcessWriter(self._path, epoch=self._epoch)
        else:
            from greenroom.persistence.sqlite.writer import Writer
            from greenroom.persistence.sqlite.writer_thread import InlineWriter, ThreadWriter

            writer = Writer(self._path, epoch=self._epoch, connection=shared, clock=self._clock)
            self._committer = ThreadWriter(writer) if self._kind == "thread" else InlineWriter(writer)
        try:
            await self._committer.start()
        except BaseException as error:
            await self.close()
            if isinstance(error, apsw.Error):
                raise store_error(f"{self._path}", error) from error
            raise

    async def close(self) -> None:
        # The reader first: whoever closes last empties the log into the database, and a reader may not.
        connection, self._connection = self._connection, None
        self._open = None
        if connection is not None and self._path != MEMORY:
            connection.close()
        committer, self._committer = self._committer, None
        if committer is not None:
            await committer.stop()
        if connection is not None:
            connection.close()

    async def commit(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        if self._committer is None:
            return [Refusal(Reason.FAILED, "the store is closed")] * len(slices)
        return await self._committer.commit(slices)

    def _prepare(self) -> tuple[Connection, int, bytes]:
        """Migrate and raise the epoch; gives the connection to read on."""
        if isinstance(self._path, Path):
            examine(self._path)
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
        # Its first read keeps the log's files in being when the other one closes.
        instance_of(reader)
        connection.close()
        return reader, epoch, instance

    def _reading(self, what: str, of: str | int | Iterable[str]) -> _Reading:
        if self._open is None:
            raise StoreUnavailable("the store is closed")
        self._open.asked = what, of
        return self._open

    async def users(self, user_ids: Sequence[str]) -> list[sdkws_pb2.UserInfo]:
        with self._reading("users", user_ids) as (reader, _):
            return reader.users(user_ids)

    async def users_page(self, offset: int, limit: int) -> tuple[int, list[sdkws_pb2.UserInfo]]:
        with self._reading("users from", offset) as (reader, _):
            return reader.users_page(offset, limit)

    async def tokens(self, user_id: str) -> list[TokenRow]:
        with self._reading("tokens of", user_id) as (reader, _):
            return reader.tokens(user_id)

    async def key(self, key: str) -> KeyState | None:
        with self._reading("key", key) as (reader, _):
            return reader.key(key)

    async def pair_facts(self, first: str, second: str) -> dict[str, PairFact]:
        with self._reading("pair", (first, second)) as (reader, _):
            return reader.pair_facts(first, second)

    async def pull(self, user_id: str, ranges: Sequence[Range], limit_bytes: int) -> list[Pulled]:
        with self._reading("conversations", (asked[0] for asked in ranges)) as (reader, _):
            return reader.pull(user_id, ranges, limit_bytes=limit_bytes)

    async def messages_at(self, conversation_id: str, seqs: Sequence[int]) -> list[StoredMessage]:
        with self._reading("conversation", conversation_id) as (reader, _):
            return reader.messages_at(conversation_id, seqs)

    async def last_messages(self, spans: Mapping[str, int]) -> dict[str, StoredMessage]:
        with self._reading("conversations", spans) as (reader, _):
            return reader.last_messages(spans)

    async def spans(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, Span]:
        with self._reading("spans of", user_id) as (reader, _):
            return reader.spans(user_id, conversation_ids)

    async def newest_seqs(self, user_id: str) -> dict[str, int]:
        with self._reading("seqs of", user_id) as (reader, _):
            return reader.newest_seqs(user_id)

    async def seq_states(self, user_id: str, conversation_ids: Sequence[str] | None) -> dict[str, SeqState]:
        with self._reading("seqs of", user_id) as (reader, _):
            return reader.seq_states(user_id, conversation_ids)

    async def read_seq(self, conversation_id: str, user_id: str) -> int:
        with self._reading("read seq of", (conversation_id, user_id)) as (reader, _):
            return reader.read_seq(conversation_id, user_id)

    async def reading(self, conversation_id: str, user_id: str) -> Reading | None:
        with self._reading("read seq of", (conversation_id, user_id)) as (reader, _):
            return reader.reading(conversation_id, user_id)

    async def records(
        self, owner_id: str, conversation_ids: Sequence[str] | None = None
    ) -> list[conversation_pb2.Conversation]:
        with self._reading("records of", owner_id) as (_, lists):
            return lists.records(owner_id, conversation_ids)

    async def groups(self, group_ids: Sequence[str]) -> list[sdkws_pb2.GroupInfo]:
        with self._reading("groups", group_ids) as (_, lists):
            return lists.groups(group_ids)

    async def members(
        self, group_id: str, user_ids: Sequence[str] | None = None
    ) -> list[sdkws_pb2.GroupMemberFullInfo]:
        with self._reading("members of", group_id) as (_, lists):
            return lists.members(group_id, user_ids)

    async def joined_groups(self, user_id: str) -> list[str]:
        with self._reading("groups of", user_id) as (_, lists):
            return lists.joined_groups(user_id)

    async def changes(self, log: LogKind, owner_id: str, since: int, *, limit: int = 200) -> VersionLog:
        with self._reading("changes of", owner_id) as (reader, _):
            return reader.changes(log, owner_id, since, limit=limit)
