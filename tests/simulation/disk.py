"""The simulated node's disk: it outlives the node, is slow, fails, and may report a failure for a stored commit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apsw

from greenroom.persistence.errors import StoreUnavailable
from greenroom.persistence.sqlite.schema import client_key, instance_of, migrate, raise_epoch
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.sqlite.statements import MEMORY, STATEMENTS_LIMIT, SqliteConnection
from greenroom.persistence.sqlite.writer_thread import InlineWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.store import Refusal, Slice
    from greenroom.tests.simulation.loop import Kernel, ProcessLoop

__all__ = ["Disk", "SimulatedStore"]

READS = (
    "take", "users", "users_page", "tokens", "key", "pair_facts", "pull", "messages_at", "last_messages", "spans",
    "newest_seqs", "seq_states", "all_seq_states", "notification_states", "read_seq", "reading", "records",
    "records_page", "record_ids", "groups", "members", "members_page", "member_ids", "joined_groups", "changes",
    "subscribers", "tail",
)  # fmt: skip


class FaultyConnection(apsw.Connection):
    """A connection that fails once, on request."""

    countdown = 0
    """Number of statements until one fails; 0 if none fails."""
    fail_commit = ""
    """before: the next COMMIT fails and stores nothing; after: it is stored, but fails."""

    def execute(self, sql: str, parameters: Any = None, /) -> apsw.Cursor:  # type: ignore[override]
        if self.countdown:
            self.countdown -= 1
            if not self.countdown:
                raise apsw.exception_for(apsw.SQLITE_IOERR)
        if self.fail_commit and sql == "COMMIT":
            where, self.fail_commit = self.fail_commit, ""
            if where == "after":
                super().execute(sql)
            raise apsw.exception_for(apsw.SQLITE_IOERR)
        return super().execute(sql, parameters)


@dataclass
class Faults:
    """Probabilities, and mean delays in seconds."""

    commit_fails: float = 0.0
    commit_delay_s: float = 0.001
    commit_hangs: float = 0.0
    """A delay of some seconds, longer than the node's patience."""
    read_fails: float = 0.0
    read_waits: float = 0.0


class Disk:
    """Committed data are in `connection`, even if the node dies."""

    def __init__(self, kernel: Kernel, loop: ProcessLoop) -> None:
        self.kernel = kernel
        self.loop = loop
        """The disk's own process: pending work goes on when the node dies."""
        self.faults = Faults()
        self._faulty = FaultyConnection(MEMORY, statementcachesize=STATEMENTS_LIMIT)
        self.connection: SqliteConnection = self._faulty
        migrate(self.connection, instance=self.kernel.random.randbytes(16))

    def close(self) -> None:
        self.connection.close()

    def holds(self, conversation_id: str, seq: int, client_msg_id: str) -> bool:
        """Whether this message is committed."""
        row = self.connection.execute(
            "SELECT client FROM message WHERE seq = ? AND conversation ="
            " (SELECT id FROM conversation WHERE conversation_id = ?)",
            (seq, conversation_id),
        ).fetchone()
        return row is not None and row[0] == client_key(client_msg_id)

    def holds_message(self, conversation_id: str, client_msg_id: str) -> bool:
        """Whether a message with this client id is committed."""
        query = """SELECT 1 FROM message WHERE client = ? AND conversation =
            (SELECT id FROM conversation WHERE conversation_id = ?)"""
        return self.connection.execute(query, (client_key(client_msg_id), conversation_id)).fetchone() is not None

    def holds_answer(self, server_msg_id: str) -> bool:
        """Whether a message with this server id is committed."""
        query = "SELECT 1 FROM message WHERE server = ?"
        return self.connection.execute(query, (bytes.fromhex(server_msg_id),)).fetchone() is not None

    async def commit(self, store: SimulatedStore, slices: Sequence[Slice]) -> list[Refusal | None]:
        """Commit after a while, and answer after another one. When the node dies meanwhile the batch may land, and
        it may come after the next opening: then the store must refuse it."""
        random, kernel, faults = self.kernel.random, self.kernel, self.faults
        node: Any = asyncio.get_running_loop()
        answer: asyncio.Future[list[Refusal | None]] = node.create_future()
        survives = random.random() < 0.5
        lands_after = random.expovariate(1 / faults.commit_delay_s)
        if random.random() < faults.commit_hangs:
            lands_after += random.uniform(1, 12)

        def land() -> None:
            if node.is_dead and not survives:
                kernel.note("commit lost", [one.key for one in slices])
                return
            outcomes = self._write(store, slices)
            how = [(one.key, refusal.reason if refusal else "") for one, refusal in zip(slices, outcomes, strict=True)]
            kernel.note("commit", node.is_dead, how)
            kernel.later(node, random.expovariate(1 / faults.commit_delay_s), settle, outcomes)

        def settle(outcomes: list[Refusal | None]) -> None:
            if not answer.done():
                answer.set_result(outcomes)

        kernel.later(self.loop, lands_after, land)
        return await answer

    def _write(self, store: SimulatedStore, slices: Sequence[Slice]) -> list[Refusal | None]:
        random, connection = self.kernel.random, self._faulty
        if random.random() < self.faults.commit_fails:
            match random.randrange(3):
                case 0:
                    connection.countdown = random.randrange(2, 12)
                case 1:
                    connection.fail_commit = "before"
                case _:
                    connection.fail_commit = "after"
        try:
            return store.write(slices)
        finally:
            connection.countdown, connection.fail_commit = 0, ""

    async def pause(self) -> None:
        """The delays before and after a read."""
        random, faults = self.kernel.random, self.faults
        if faults.read_waits and random.random() < faults.read_waits:
            await asyncio.sleep(random.expovariate(100))
        if faults.read_fails and random.random() < faults.read_fails:
            raise StoreUnavailable("simulated")


class SimulatedStore(SqliteStore):
    """One opening of the real store, on the disk's connection."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(MEMORY, clock=lambda: disk.kernel.now)
        self._disk = disk

    def _prepare(self) -> tuple[SqliteConnection, int, bytes]:
        connection = self._disk.connection
        epoch = raise_epoch(connection)
        self._disk.kernel.note("opened", epoch)
        return connection, epoch, instance_of(connection)

    async def close(self) -> None:
        """Release the connection without closing it."""
        self._connection = None

    async def commit(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        return await self._disk.commit(self, slices)

    def write(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        assert isinstance(self._committer, InlineWriter)
        return self._committer.writer.commit(slices)


def _waiting(name: str) -> Any:
    read = getattr(SqliteStore, name)

    async def waited(self: SimulatedStore, *args: Any, **options: Any) -> Any:
        await self._disk.pause()
        found = await read(self, *args, **options)
        await self._disk.pause()
        return found

    return waited


for _name in READS:
    setattr(SimulatedStore, _name, _waiting(_name))
