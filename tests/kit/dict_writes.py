"""The data of a store made of dicts, and how each kind of write changes them: the contract's rules in plain Python."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from greenroom.persistence.refusal import FirstAnswer, Reason, Refusal, WriteRefused
from greenroom.persistence.store import (
    BEGINNING,
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
    Cursor,
    DropRows,
    DropSubscriber,
    Event,
    LogKind,
    MessageEvent,
    MoveCursor,
    NotedEvent,
    PutRows,
    RaiseReadSeq,
    SetReadFlags,
    key_of_slice,
)
from greenroom.persistence.tables import TABLES, MemberRow, RecordRow, misfit, misfit_of_key, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from greenroom.persistence.store import AnyWrite, KeyKind, Slice
    from greenroom.persistence.tables import Key, Row, Value

__all__ = ["DictData", "Place", "cursor_of", "place_of"]


class Place(NamedTuple):
    """The content of a cursor."""

    before: int
    """Number of events before the cursor."""
    gone: int
    """`DictData.gone` at the time of the cursor: its holder knows of those losses."""


class DictData:
    """The state that all openings share. The changes of a slice are undone if one of its writes is refused."""

    def __init__(self, *, events_limit: int) -> None:
        self.epoch = 0
        self.events_limit = events_limit
        self.rows: dict[str, dict[Key, Any]] = {table: {} for table in TABLES}
        """Table -> key -> row, in the order of insertion."""
        self.keys: dict[tuple[KeyKind | None, str], tuple[str, ...]] = {}
        """Kind and name of each claimed key -> its members."""
        self.twins: dict[str, tuple[KeyKind, str]] = {}
        """Conversation of notifications -> the key that it belongs to."""
        self.conversations: dict[str, None] = {}
        """Conversations that a write has named."""
        self.messages: dict[str, list[AddMessage]] = defaultdict(list)
        """Conversation -> messages; the index is seq - 1."""
        self.flagged: dict[tuple[str, int], bool] = {}
        """(conversation, seq) of each message that was marked as read."""
        self.reads: dict[tuple[str, str], int] = {}
        """(conversation, user) -> read seq."""
        self.versions: dict[tuple[LogKind, str], int] = {}
        self.entries: dict[tuple[LogKind, str], dict[str, tuple[int, int]]] = defaultdict(dict)
        """Log -> id -> (state, version)."""
        self.events: list[Event | None] = []
        """Events in the order of commits. None: the event is no longer kept."""
        self.subscribers: dict[str, Place] = {}
        self.gone = 0
        """Number of events up to the last one that is no longer kept."""
        self._undo: list[Callable[[], object]] = []
        self._appliers: dict[type, Callable[[str, Any], None]] = {
            AddEvent: self._add_event,
            AddMessage: self._add_message,
            AddRecords: self._add_records,
            AddSubscriber: self._add_subscriber,
            AddUsers: self._add_users,
            BumpVersion: self._bump_version,
            ChangeRecord: self._change_record,
            ChangeRow: self._change_row,
            ClaimKey: self._claim_key,
            DropRows: self._drop_rows,
            DropSubscriber: self._drop_subscriber,
            SetReadFlags: self._mark_messages_read,
            MoveCursor: self._move_cursor,
            PutRows: self._put_rows,
            RaiseReadSeq: self._raise_read_seq,
        }

    def commit(self, one: Slice) -> Refusal | None:
        if one.epoch < self.epoch:
            return Refusal(Reason.STALE_EPOCH, f"the store is at {self.epoch}")
        self._undo.clear()
        for index, write in enumerate(one.writes):
            try:
                self._apply(one.key, write)
            except WriteRefused as refused:
                for undo in reversed(self._undo):
                    undo()
                return refused.refusal._replace(write=index)
        return None

    def version_id(self, log: LogKind, owner_id: str) -> str:
        return hashlib.md5(f"{id(self)}/{log}/{owner_id}".encode()).hexdigest()[:24]

    def _apply(self, key: str, write: AnyWrite) -> None:
        if any(type(value) is int and abs(value) >= 1 << 63 for value in msgspec.structs.astuple(write)):
            raise _failed("a number is out of bounds")
        self._appliers[type(write)](key, write)

    def _set(self, values: dict[Any, Any], key: Any, value: Any) -> None:
        if key in values:
            self._undo.append(partial(values.__setitem__, key, values[key]))
        else:
            self._undo.append(partial(values.__delitem__, key))
        values[key] = value

    def _drop(self, values: dict[Any, Any], key: Any) -> None:
        if key in values:
            # All of them: what comes back takes its old place.
            self._undo += [partial(values.update, dict(values)), values.clear]
            del values[key]

    def _append(self, values: list[Any], value: Any) -> None:
        self._undo.append(partial(values.__delitem__, -1))
        values.append(value)

    def _put(self, row: Row) -> None:
        _check(misfit(type(row), msgspec.structs.asdict(row)))
        self._set(self.rows[table_of(type(row))], tuple(getattr(row, name) for name in row.KEY), row)

    def _change(self, table: str, key: Key, values: Mapping[str, Value]) -> bool:
        kind = TABLES[table]
        _check(misfit_of_key(kind, key) or misfit(kind, values))
        if set(kind.KEY) & set(values):
            raise _failed("a key never changes")
        row = self.rows[table].get(key)
        if row is None or not values:
            return False
        self._put(msgspec.structs.replace(row, **values))
        return True

    def _put_rows(self, key: str, write: PutRows) -> None:
        if len({type(row) for row in write.rows}) > 1:
            raise _failed("rows of two tables")
        for row in write.rows:
            if type(row) is MemberRow and (row.group_id,) not in self.rows["group"]:
                raise _failed("a member of no group")
            self._put(row)

    def _change_row(self, key: str, write: ChangeRow) -> None:
        self._change(write.table, write.key, write.values)

    def _change_record(self, key: str, write: ChangeRecord) -> None:
        if self._change("record", (write.owner_id, write.conversation_id), write.values):
            self._bump("conversations", write.owner_id, [(write.conversation_id, 3)])

    def _drop_rows(self, key: str, write: DropRows) -> None:
        for each in write.keys:
            _check(misfit_of_key(TABLES[write.table], each))
            self._drop(self.rows[write.table], each)

    def _claim_key(self, key: str, write: ClaimKey) -> None:
        owner = key_of_slice(key)
        if owner[0] != write.kind:
            raise _failed("a key of another kind")
        if self.keys.get(owner, write.members) != write.members:
            raise WriteRefused(Refusal(Reason.KEY_TAKEN))
        self._set(self.keys, owner, write.members)

    def _add_users(self, key: str, write: AddUsers) -> None:
        for row in write.users:
            if (row.user_id,) in self.rows["user"]:
                raise WriteRefused(Refusal(Reason.USER_EXISTS))
            self._put(row)

    def _add_message(self, key: str, write: AddMessage) -> None:
        stored = self.messages[write.conversation_id]
        if write.seq == 1 and write.conversation_id.startswith(TWIN_PREFIX):
            self._claim_twin(key_of_slice(key), write.conversation_id)
        for one in stored:
            if write.client_msg_id and (one.send_id, one.client_msg_id) == (write.send_id, write.client_msg_id):
                first = FirstAnswer(one.seq, one.server_msg_id, one.send_time)
                raise WriteRefused(Refusal(Reason.REPEATED, first=first))
        if write.seq != len(stored) + 1:
            raise _failed("a seq that does not follow")
        self._set(self.conversations, write.conversation_id, None)
        self._append(stored, write)
        said = {name: getattr(write, name) for name in MessageEvent.__struct_fields__}
        self._append(self.events, MessageEvent(**said))

    def _claim_twin(self, key: tuple[KeyKind | None, str], conversation_id: str) -> None:
        kind, name = key
        if kind is None or key not in self.keys:
            raise _failed("no claimed key")
        owner = kind, name
        if self.twins.get(conversation_id, owner) != owner or (
            conversation_id not in self.twins and owner in self.twins.values()
        ):
            raise WriteRefused(Refusal(Reason.TWIN_TAKEN))
        self._set(self.twins, conversation_id, owner)

    def _add_records(self, key: str, write: AddRecords) -> None:
        self._set(self.conversations, write.conversation_id, None)
        for one in write.owners:
            if (one.owner_id, write.conversation_id) not in self.rows["record"]:
                row = RecordRow(
                    one.owner_id, write.conversation_id, write.conversation_type, one.peer_id, write.group_id
                )
                self._put(row)
                self._bump("conversations", one.owner_id, [(write.conversation_id, 1)])

    def _raise_read_seq(self, key: str, write: RaiseReadSeq) -> None:
        self._set(self.conversations, write.conversation_id, None)
        where = write.conversation_id, write.user_id
        self._set(self.reads, where, max(self.reads.get(where, 0), write.seq))

    def _mark_messages_read(self, key: str, write: SetReadFlags) -> None:
        self._set(self.conversations, write.conversation_id, None)
        for one in self.messages[write.conversation_id]:
            named = write.begin <= one.seq <= write.end or one.seq in write.seqs
            if named and one.send_id != write.reader_id:
                self._set(self.flagged, (write.conversation_id, one.seq), True)

    def _bump_version(self, key: str, write: BumpVersion) -> None:
        if write.log == "members" and (write.owner_id,) not in self.rows["group"]:
            raise _failed("a log of no group")
        self._bump(write.log, write.owner_id, write.entries)

    def _bump(self, log: LogKind, owner_id: str, entries: list[tuple[str, int]]) -> None:
        version = self.versions.get((log, owner_id), 1) + 1
        self._set(self.versions, (log, owner_id), version)
        for entry, state in entries:
            self._set(self.entries[log, owner_id], entry, (state, version))

    def _add_event(self, key: str, write: AddEvent) -> None:
        if not self.subscribers:
            return
        self._append(self.events, NotedEvent(write.kind, write.subject, write.data))
        noted = [place for place, one in enumerate(self.events) if isinstance(one, NotedEvent)]
        for place in noted[: -self.events_limit]:
            self._forget(place)

    def _add_subscriber(self, key: str, write: AddSubscriber) -> None:
        if write.name not in self.subscribers:
            before = 0 if write.from_first_message else len(self.events)
            self._set(self.subscribers, write.name, Place(before, self.gone))

    def _move_cursor(self, key: str, write: MoveCursor) -> None:
        if write.name not in self.subscribers:
            raise _failed("no such subscriber")
        try:
            place = place_of(write.cursor)
        except ValueError:
            raise _failed("no cursor of this store") from None
        if not (0 <= place.before <= len(self.events) and 0 <= place.gone <= self.gone):
            raise _failed("a cursor after the newest event")
        self._set(self.subscribers, write.name, max(self.subscribers[write.name], place))
        self._forget_passed()

    def _drop_subscriber(self, key: str, write: DropSubscriber) -> None:
        self._drop(self.subscribers, write.name)
        self._forget_passed()

    def _forget_passed(self) -> None:
        for place in range(min((one.before for one in self.subscribers.values()), default=len(self.events))):
            if isinstance(self.events[place], NotedEvent):
                self._forget(place)

    def _forget(self, place: int) -> None:
        event, self.events[place] = self.events[place], None
        self._undo += [partial(self.events.__setitem__, place, event), partial(setattr, self, "gone", self.gone)]
        self.gone = max(self.gone, place + 1)


def cursor_of(place: Place) -> Cursor:
    return Cursor(f"{place.before}.{place.gone}")


def place_of(cursor: Cursor) -> Place:
    """Raises ValueError if the text is not a cursor."""
    if cursor == BEGINNING:
        return Place(0, 0)
    before, gone = cursor.split(".")
    return Place(int(before), int(gone))


def _check(trouble: str) -> None:
    if trouble:
        raise _failed(trouble)


def _failed(detail: str) -> WriteRefused:
    return WriteRefused(Refusal(Reason.FAILED, detail))
