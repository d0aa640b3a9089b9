"""Applies each kind of write to the tables, inside the writer's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from greenroom.persistence.refusal import FirstAnswer, Reason, Refusal, WriteRefused
from greenroom.persistence.sqlite.event_writes import EVENTS_LIMIT, EventWriter
from greenroom.persistence.sqlite.layout import (
    change_records_statement,
    change_statement,
    drop_statement,
    layout_of,
    put_statement,
    register_statement,
)
from greenroom.persistence.sqlite.place import LAST_MESSAGE
from greenroom.persistence.sqlite.schema import (
    LAST_REGISTERED,
    LOG_NUMBERS,
    client_key,
    server_id_text,
    server_id_value,
)
from greenroom.persistence.sqlite.statements import many
from greenroom.persistence.store import (
    TWIN_PREFIX,
    AddEvent,
    AddMessage,
    AddRecords,
    AddSubscriber,
    AddUsers,
    BumpVersion,
    ChangeRecord,
    ChangeRow,
    ClaimKey,
    DropRows,
    DropSubscriber,
    MoveCursor,
    PutRows,
    RaiseReadSeq,
    SetReadFlags,
    key_of_slice,
)
from greenroom.persistence.tables import TABLES, RecordRow, misfit, misfit_of_key, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from greenroom.persistence.sqlite.row_numbers import RowNumbers
    from greenroom.persistence.sqlite.statements import SqliteConnection
    from greenroom.persistence.store import Slice, Write
    from greenroom.persistence.tables import Key, Row, Value

__all__ = ["Applier", "runs"]

_RUN_MIN: Final = 3
"""Number of writes in the smallest run that is written with joined statements."""


class Applier:
    """Applies writes in order. Messages, read seqs and read marks are buffered until `flush`, so that a whole batch
    needs few statements: each statement has to release and take the GIL.

    The buffer is safe because no other write reads these rows. A read mark ends at the seq that is the newest when it
    is applied. After a refusal or an error some rows may be written: the caller must roll back, and call `forget`.
    """

    def __init__(self, connection: SqliteConnection, numbers: RowNumbers, *, events_limit: int = EVENTS_LIMIT) -> None:
        self.checks_repeats = False
        """Whether to search for a repeat before each message, so that the refusal can contain the first answer. Without
        this, the unique index only reports that there is a repeat."""
        self._connection = connection
        self._numbers = numbers
        self._key = ""
        """The key of the current slice."""
        self._messages: list[Any] = []
        self._keys: list[Any] = []
        """Two rows of `message_key` for each buffered message, in one flat list."""
        self._last = 0
        """Number of the newest message, while messages are buffered."""
        self._reads: dict[tuple[int, int], int] = {}
        self._marks: list[int] = []
        """Conversation, first seq, last seq and reader of each read mark, in one flat list."""
        events = EventWriter(connection, self._last_message, limit=events_limit)
        self.appliers: dict[type[Write], Callable[[Any], None]] = {
            AddEvent: events.add_event,
            AddMessage: self._add_message,
            AddRecords: self._add_records,
            AddSubscriber: events.add_subscriber,
            AddUsers: self._add_users,
            BumpVersion: self._bump_version,
            ChangeRecord: self._change_record,
            ChangeRow: self._change_row,
            ClaimKey: self._claim_key,
            DropRows: self._drop_rows,
            DropSubscriber: events.drop_subscriber,
            SetReadFlags: self._mark_messages_read,
            MoveCursor: events.move_cursor,
            PutRows: self._put_rows,
            RaiseReadSeq: self._raise_read_seq,
        }

    def apply_all(self, slices: Sequence[Slice]) -> None:
        """Apply slices, and flush. Raises WriteRefused at the first refusal."""
        messages = [write for slice_ in slices for write in slice_.writes if type(write) is AddMessage]
        if len(messages) > 1:
            self._numbers.meet_conversations(write.conversation_id for write in messages)
            self._numbers.meet_users(write.send_id for write in messages)
        appliers = self.appliers
        for slice_ in slices:
            self._key = slice_.key
            writes = slice_.writes
            if len(writes) < _RUN_MIN:
                for write in writes:
                    appliers[type(write)](write)
            else:
                for _, run in runs(writes):
                    self._apply_run(run)
        self.flush()

    def apply(self, key: str, run: Sequence[Write]) -> None:
        """Apply writes of this key that `runs` has put together."""
        self._key = key
        self._apply_run(run)

    def _apply_run(self, run: Sequence[Any]) -> None:
        kind = type(run[0])
        if len(run) >= _RUN_MIN and len({write.owner_id for write in run}) == len(run):
            (self._bump_versions if kind is BumpVersion else self._change_records)(run)
            return
        apply = self.appliers[kind]
        for write in run:
            apply(write)

    def flush(self) -> None:
        """Write the buffered rows."""
        # Without OR FAIL, SQLite keeps a journal for each statement with several rows, to undo that statement alone.
        # This is not needed: the transaction or the savepoint around the statements undoes them.
        if self._messages:
            many(
                self._connection,
                "INSERT OR FAIL INTO message (id, conversation, seq, sender, client, server, send_time,"
                " content_type, body) VALUES {}",
                "(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                self._messages,
            )
            many(
                self._connection,
                "INSERT OR FAIL INTO message_key (conversation, sender, name, message) VALUES {}",
                "(?, ?, ?, ?)",
                self._keys,
            )
            self._messages = []
            self._keys = []
        if self._reads:
            many(
                self._connection,
                "INSERT OR FAIL INTO read (user, conversation, seq) VALUES {}"
                " ON CONFLICT (user, conversation) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq",
                "(?, ?, ?)",
                [value for key, seq in self._reads.items() for value in (*key, seq)],
            )
            self._reads = {}
        if self._marks:
            many(
                self._connection,
                "WITH mark (conversation, low, high, reader) AS (VALUES {}) UPDATE OR FAIL message SET is_read = 1"
                " WHERE id IN (SELECT m.id FROM mark CROSS JOIN message_key k ON k.conversation = mark.conversation"
                " AND k.sender = 0 AND k.name BETWEEN mark.low AND mark.high CROSS JOIN message m ON m.id = k.message"
                " WHERE m.sender <> mark.reader AND m.is_read = 0)",
                "(?, ?, ?, ?)",
                self._marks,
            )
            self._marks = []

    def forget(self) -> None:
        """Drop all buffered rows."""
        self._messages = []
        self._keys = []
        self._reads = {}
        self._marks = []

    def _put_rows(self, write: PutRows) -> None:
        if not write.rows:
            return
        kind = type(write.rows[0])
        values: list[Any] = []
        for row in write.rows:
            if type(row) is not kind:
                raise _failed("rows of two tables")
            values += _values(row)
        self._meet_users(kind, write.rows)
        many(self._connection, *put_statement(kind), values)

    def _change_row(self, write: ChangeRow) -> None:
        self._change(TABLES[write.table], write.key, write.values)

    def _change_record(self, write: ChangeRecord) -> None:
        if self._change(RecordRow, (write.owner_id, write.conversation_id), write.values):
            owner = self._numbers.user(write.owner_id)
            self._bump(LOG_NUMBERS["conversations"], [owner], [(write.conversation_id, 3)])

    def _change_records(self, run: Sequence[ChangeRecord]) -> None:
        """Make the same change of the records of several owners in one conversation."""
        conversation_id, values = run[0].conversation_id, run[0].values
        owner_ids = [write.owner_id for write in run]
        if any(type(owner_id) is not str for owner_id in owner_ids):
            raise _failed("record.owner_id is no text")
        _check(misfit_of_key(RecordRow, (owner_ids[0], conversation_id)))
        for write in run:  # Each, because True equals 1, but is no number of a column.
            columns = _columns(RecordRow, write.values)
        if not columns:
            return
        changed = many(
            self._connection,
            change_records_statement(columns),
            "?",
            owner_ids,
            first=(*(values[column] for column in columns), conversation_id),
        )
        self._bump(LOG_NUMBERS["conversations"], [owner for (owner,) in changed], [(conversation_id, 3)])

    def _drop_rows(self, write: DropRows) -> None:
        kind = TABLES[write.table]
        for key in write.keys:
            _check(misfit_of_key(kind, key))
        many(self._connection, *drop_statement(kind), [part for key in write.keys for part in key])

    def _claim_key(self, write: ClaimKey) -> None:
        kind, name = key_of_slice(self._key)
        if kind != write.kind:
            raise _failed(f"not the key of a {write.kind}")
        members = write.members if kind == "pair" else (None, None)
        self._connection.execute("INSERT OR IGNORE INTO key VALUES (?, ?, ?, ?, NULL)", (kind, name, *members))
        stored = self._connection.execute(
            "SELECT first, second FROM key WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        if stored != tuple(members):
            raise WriteRefused(Refusal(Reason.KEY_TAKEN, "the key belongs to another pair"))

    def _claim_twin(self, conversation_id: str, number: int) -> None:
        """The slice's key writes its first message to this `n_` conversation."""
        key = key_of_slice(self._key)
        stored = self._connection.execute("SELECT twin FROM key WHERE kind = ? AND name = ?", key).fetchone()
        if stored is None:
            raise _failed(f"{conversation_id!r} needs a claimed key")
        if stored[0] == number:
            return
        taken = self._connection.execute("SELECT 1 FROM key WHERE twin = ?", (number,)).fetchone()
        if stored[0] is not None or taken is not None:
            raise WriteRefused(Refusal(Reason.TWIN_TAKEN, "the notifications are those of another key"))
        self._connection.execute("UPDATE key SET twin = ? WHERE kind = ? AND name = ?", (number, *key))

    def _add_users(self, write: AddUsers) -> None:
        last = self._connection.execute(LAST_REGISTERED).fetchone()[0] or 0
        values: list[Any] = []
        for registered, row in enumerate(write.users, last + 1):
            values += (registered, *_values(row))
        done = many(self._connection, *register_statement(), values)
        if len(done) < len(write.users):
            raise WriteRefused(Refusal(Reason.USER_EXISTS, "a user id is registered"))

    def _add_message(self, write: AddMessage) -> None:
        numbers, seq = self._numbers, write.seq
        head = numbers.conversations.get(write.conversation_id) or numbers.conversation(write.conversation_id)
        sender = numbers.users.get(write.send_id) or numbers.user(write.send_id)
        client = client_key(write.client_msg_id)
        if seq == 1 and write.conversation_id.startswith(TWIN_PREFIX):
            self._claim_twin(write.conversation_id, head[0])
        if self.checks_repeats:
            self._refuse_repeat(head[0], sender, client)
        if seq != head[1] + 1:
            raise _failed(f"seq {seq} does not follow {head[1]}")
        numbers.raise_seq(write.conversation_id, head, seq)
        self._last = self._last_message() + 1
        self._keys += (head[0], 0, seq, self._last, head[0], sender, client or seq, self._last)
        self._messages += (
            self._last, head[0], seq, sender, client, server_id_value(write.server_msg_id), write.send_time,
            write.content_type, write.body,
        )  # fmt: skip
        if self.checks_repeats:
            self.flush()

    def _last_message(self) -> int:
        """Number of the newest message, including buffered messages."""
        if self._messages:
            return self._last
        (last,) = self._connection.execute(f"SELECT {LAST_MESSAGE}").fetchone()
        return int(last)

    def _refuse_repeat(self, conversation: int, sender: int, client: bytes | None) -> None:
        if client is None:
            return
        row = self._connection.execute(
            "SELECT seq, server, send_time FROM message WHERE id ="
            " (SELECT message FROM message_key WHERE conversation = ? AND sender = ? AND name = ?)",
            (conversation, sender, client),
        ).fetchone()
        if row is not None:
            first = FirstAnswer(row[0], server_id_text(row[1]), row[2])
            raise WriteRefused(Refusal(Reason.REPEATED, f"stored as seq {first.seq}", first=first))

    def _add_records(self, write: AddRecords) -> None:
        numbers = self._numbers
        conversation, _ = numbers.conversation(write.conversation_id)
        named = (user_id for record in write.owners for user_id in (record.owner_id, record.peer_id))
        numbers.meet_users([user_id for user_id in named if user_id])
        log = LOG_NUMBERS["conversations"]
        values: list[Any] = []
        for record in write.owners:
            owner = numbers.users[record.owner_id]
            peer = numbers.users[record.peer_id] if record.peer_id else None
            values += (owner, conversation, log, owner, write.conversation_type, peer, write.group_id)
        made = many(
            self._connection,
            "INSERT INTO record (owner, conversation, place, conversation_type, peer, group_id) VALUES {}"
            " ON CONFLICT (owner, conversation) DO NOTHING RETURNING owner",
            "(?, ?, 1 + coalesce((SELECT version FROM version_log WHERE log = ? AND owner = ?), 1), ?, ?, ?)",
            values,
        )
        self._bump(log, [owner for (owner,) in made], [(write.conversation_id, 1)])

    def _raise_read_seq(self, write: RaiseReadSeq) -> None:
        key = self._numbers.user(write.user_id), self._numbers.conversation(write.conversation_id)[0]
        if write.seq > self._reads.get(key, 0):
            self._reads[key] = write.seq

    def _mark_messages_read(self, write: SetReadFlags) -> None:
        conversation, newest = self._numbers.conversation(write.conversation_id)
        reader = self._numbers.user(write.reader_id)
        spans = ((write.begin, min(write.end, newest)), *((seq, seq) for seq in write.seqs))
        for low, high in spans:
            if low <= high <= newest:
                self._marks += (conversation, low, high, reader)

    def _bump_version(self, write: BumpVersion) -> None:
        numbers = self._numbers
        owner = numbers.group(write.owner_id) if write.log == "members" else numbers.user(write.owner_id)
        if owner is None:
            raise _failed(f"group {write.owner_id!r} is unknown")
        self._bump(LOG_NUMBERS[write.log], [owner], write.entries)

    def _bump_versions(self, run: Sequence[BumpVersion]) -> None:
        """Make the same change in the logs of several users."""
        numbers, owners = self._numbers, [write.owner_id for write in run]
        numbers.meet_users(owners)
        self._bump(LOG_NUMBERS[run[0].log], [numbers.users[owner] for owner in owners], run[0].entries)

    def _bump(self, log: int, owners: list[int], entries: list[tuple[str, int]]) -> None:
        """Make one change in the log of each owner, with the same entries."""
        changed = many(
            self._connection,
            "INSERT INTO version_log (log, owner, version) VALUES {}"
            " ON CONFLICT (log, owner) DO UPDATE SET version = version + 1 RETURNING owner, version",
            "(?, ?, 2)",
            [value for owner in owners for value in (log, owner)],
        )
        values: list[Any] = []
        for owner, version in changed:
            for entry, state in entries:
                values += (log, owner, entry, state, version)
        many(
            self._connection,
            "INSERT INTO version_entry (log, owner, entry, state, version) VALUES {} ON CONFLICT"
            " (log, owner, entry) DO UPDATE SET state = excluded.state, version = excluded.version",
            "(?, ?, ?, ?, ?)",
            values,
        )

    def _change(self, kind: type[Row], key: Key, values: Mapping[str, Value]) -> bool:
        """Change one row. Returns False if there is no such row."""
        _check(misfit_of_key(kind, key))
        columns = _columns(kind, values)
        if not columns:
            return False
        statement = change_statement(kind, columns)
        self._connection.execute(statement, (*(values[column] for column in columns), *key))
        return self._connection.changes() > 0

    def _meet_users(self, kind: type[Row], rows: Sequence[Row]) -> None:
        """Look up the number of each user in these rows, or assign one."""
        for column in layout_of(kind).users:
            self._numbers.meet_users([getattr(row, column) for row in rows])


def runs(writes: Sequence[Write]) -> Iterator[tuple[int, Sequence[Write]]]:
    """Split the writes of a slice into runs of writes that make the same change for different users, each with the
    index of its first write. Any other write is a run of its own. A run needs a few statements, not some for each
    user."""
    start = 0
    for index in range(1, len(writes)):
        if not _joins(writes[start], writes[index]):
            yield start, writes[start:index]
            start = index
    if writes:
        yield start, writes[start:]


def _joins(first: Write, other: Write) -> bool:
    """Whether both make the same change for a user."""
    if type(first) is BumpVersion and type(other) is BumpVersion:
        return first.log == other.log and first.log != "members" and first.entries == other.entries
    if type(first) is ChangeRecord and type(other) is ChangeRecord:
        return first.conversation_id == other.conversation_id and first.values == other.values
    return False


def _columns(kind: type[Row], values: Mapping[str, Value]) -> tuple[str, ...]:
    """The columns that these values change, in the order of a statement. Raises WriteRefused."""
    _check(misfit(kind, values))
    if fixed := [name for name in kind.KEY if name in values]:
        raise _failed(f"{table_of(kind)}.{fixed[0]} never changes")
    return tuple(sorted(values))


def _values(row: Row) -> tuple[Any, ...]:
    values = msgspec.structs.astuple(row)
    _check(misfit(type(row), dict(zip(row.__struct_fields__, values, strict=True))))
    return values


def _check(trouble: str) -> None:
    if trouble:
        raise _failed(trouble)


def _failed(detail: str) -> WriteRefused:
    return WriteRefused(Refusal(Reason.FAILED, detail))
