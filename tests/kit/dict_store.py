"""A second backend, made of dicts, for tests: it holds the contract and nothing else, so it is also the model that the
others are compared with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from greenroom.persistence.errors import StoreUnavailable
from greenroom.persistence.store import (
    BEGINNING,
    CHATS_OF,
    ConversationState,
    KeyState,
    Member,
    MemberPlace,
    PairFact,
    Pulled,
    Reading,
    Reason,
    RecordPlace,
    Refusal,
    SeqState,
    Span,
    StoredMessage,
    Tail,
    VersionLog,
)
from greenroom.persistence.tables import UserRow
from greenroom.tests.kit.dict_writes import DictData, Place, cursor_of, place_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from greenroom.persistence.store import Cursor, Event, KeyKind, LogKind, Range, Slice
    from greenroom.persistence.tables import GroupRow, RecordRow, TokenRow

__all__ = ["DictStore"]


class DictStore:
    """`Store` in one process. Openings of the same data follow each other as those of one database do."""

    def __init__(self, data: DictData | None = None, *, events_limit: int = 100_000) -> None:
        self.data = data or DictData(events_limit=events_limit)
        self.epoch = 0
        self.damage = 0
        self._is_open = False

    async def open(self) -> None:
        self.data.epoch += 1
        self.epoch = self.data.epoch
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False

    async def lost(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def take(self, key: str) -> None:
        """After a later opening of the same data, this one can no longer write."""

    async def commit(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        if not self._is_open:
            return [Refusal(Reason.FAILED, "the store is closed")] * len(slices)
        if self.epoch < self.data.epoch:
            return [Refusal(Reason.STALE_EPOCH)] * len(slices)
        return [self.data.commit(one) for one in slices]

    async def users(self, user_ids: Sequence[str]) -> list[UserRow]:
        return self._found("user", [(one,) for one in user_ids])

    async def users_page(self, offset: int, limit: int) -> tuple[int, list[UserRow]]:
        rows, start = [*self._rows("user").values()], max(offset, 0)
        return len(rows), rows[start : start + max(limit, 0)]

    async def tokens(self, user_id: str) -> list[TokenRow]:
        return [row for row in self._rows("token").values() if row.user_id == user_id]

    async def key(self, kind: KeyKind, name: str) -> KeyState | None:
        members = self._data.keys.get((kind, name))
        if members is None:
            return None
        twin = next((one for one, key in self._data.twins.items() if key == (kind, name)), "")
        found = {one: self._data.messages.get(one) for one in (*_chats(kind, name), twin)}
        states = {one: ConversationState(len(sent), sent[-1].send_time) for one, sent in found.items() if sent}
        return KeyState(kind, members, twin, states)

    async def pair_facts(self, first: str, second: str) -> dict[str, PairFact]:
        chat = "si_" + "_".join(sorted((first, second)))
        facts = {}
        for user_id, peer_id in ((first, second), (second, first)):
            user = self._rows("user").get((user_id,))
            record = self._rows("record").get((user_id, chat))
            opt = record.recv_msg_opt if record is not None and record.peer_id == peer_id else 0
            facts[user_id] = PairFact(False, 0, 0, 0, False, False) if user is None else PairFact(
                True, user.app_manger_level, user.global_recv_msg_opt, opt,
                (user_id, peer_id) in self._rows("black"), (user_id, peer_id) in self._rows("friend"),
            )  # fmt: skip
        return facts

    async def pull(self, user_id: str, ranges: Sequence[Range], limit_bytes: int) -> list[Pulled]:
        spans = await self.spans(user_id, [one[0] for one in ranges])
        pulled: list[Pulled] = []
        for place, (name, low, high, newest) in enumerate(ranges):
            if limit_bytes < 0 and (len(pulled) > 1 or len(pulled[0].messages) > 1):
                break
            if name in spans:
                begin, end, _ = spans[name]
                last = min(high, end)
                found = self._messages(name, range(max(low, begin, last - newest + 1), last + 1))
                if found:
                    pulled.append(Pulled(place, begin, end, found))
                    limit_bytes -= sum(len(one.body) for one in found)
        return pulled

    async def messages_at(self, conversation_id: str, seqs: Sequence[int]) -> list[StoredMessage]:
        return self._messages(conversation_id, seqs)

    async def last_messages(self, spans: Mapping[str, int]) -> dict[str, StoredMessage]:
        found = {name: self._messages(name, [min(seq, self._newest(name))]) for name, seq in spans.items()}
        return {name: one[0] for name, one in found.items() if one}

    async def spans(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, Span]:
        ends = {name: self._end_of(user_id, name) for name in conversation_ids}
        spans = {}
        for name, end in ends.items():
            if end is not None:
                record = self._rows("record").get((user_id, name))
                spans[name] = Span(max(1, record.min_seq) if record is not None else 1, end, self._newest(name))
        return spans

    async def newest_seqs(
        self, user_id: str, after: RecordPlace | None, limit: int
    ) -> tuple[dict[str, int], RecordPlace | None]:
        chats, place = await self.record_ids(user_id, after, limit)
        keys = [*map(_key_of, chats), *self._own_key(user_id)]
        names = [*chats, *(twin for twin, key in self._data.twins.items() if key in keys)]
        return {name: self._newest(name) for name in names if self._newest(name)}, place

    async def all_seq_states(
        self, user_id: str, after: RecordPlace | None, limit: int
    ) -> tuple[dict[str, SeqState], RecordPlace | None]:
        ids, place = await self.record_ids(user_id, after, limit)
        return await self.seq_states(user_id, ids), place

    async def seq_states(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, SeqState]:
        states = {}
        for row in await self.records(user_id, conversation_ids):
            name, sent = row.conversation_id, self._data.messages.get(row.conversation_id, [])
            time = sent[-1].send_time if sent else 0
            states[name] = SeqState(row.max_seq or len(sent), await self.read_seq(name, user_id), time)
        return states

    async def notification_states(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, SeqState]:
        states = {}
        for name in conversation_ids:
            end = self._end_of(user_id, name) if name.startswith("n_") else None
            if end is not None:
                time = self._data.messages[name][end - 1].send_time if end > 0 else 0
                states[name] = SeqState(max(end, 0), 0, time)
        return states

    async def read_seq(self, conversation_id: str, user_id: str) -> int:
        sent = self._data.messages.get(conversation_id, [])
        own = max((one.seq for one in sent if one.send_id == user_id), default=0)
        return max(self._data.reads.get((conversation_id, user_id), 0), own)

    async def reading(self, conversation_id: str, user_id: str) -> Reading | None:
        row = self._rows("record").get((user_id, conversation_id))
        if row is None:
            return None
        newest, read_seq = self._newest(conversation_id), await self.read_seq(conversation_id, user_id)
        end = max(min(newest, row.max_seq), 0) if row.max_seq else newest
        return Reading(row.conversation_type, row.peer_id, row.group_id, read_seq, end, newest)

    async def records(self, owner_id: str, conversation_ids: Sequence[str] | None = None) -> list[RecordRow]:
        if conversation_ids is not None:
            return self._found("record", [(owner_id, name) for name in conversation_ids])
        return [row for row in self._rows("record").values() if row.owner_id == owner_id]

    async def records_page(self, owner_id: str, offset: int, limit: int) -> tuple[int, list[RecordRow]]:
        rows = await self.records(owner_id)
        return len(rows), rows[max(offset, 0) :][: max(limit, 0)]

    async def record_ids(
        self,
        owner_id: str,
        after: RecordPlace | None,
        limit: int,
        *,
        is_pinned: bool | None = None,
        recv_msg_opt: int | None = None,
    ) -> tuple[list[str], RecordPlace | None]:
        rows = [
            (place, row.conversation_id)
            for place, row in enumerate(await self.records(owner_id), 1)
            if place > (after or 0)
            and is_pinned in (None, row.is_pinned)
            and recv_msg_opt in (None, row.recv_msg_opt)
        ][:limit]
        return [name for _, name in rows], RecordPlace(rows[-1][0]) if len(rows) == limit else None

    async def groups(self, group_ids: Sequence[str]) -> list[GroupRow]:
        return self._found("group", [(one,) for one in group_ids])

    async def members(self, group_id: str, user_ids: Sequence[str] | None = None) -> list[Member]:
        if user_ids is not None:
            rows = self._found("member", [(group_id, one) for one in user_ids])
        else:
            rows = [row for row in self._rows("member").values() if row.group_id == group_id]
            rows.sort(key=lambda row: -row.role_level)
        users = self._rows("user")
        return [Member(row, users.get((row.user_id,), UserRow(row.user_id))) for row in rows]

    async def members_page(self, group_id: str, offset: int, limit: int) -> tuple[int, list[Member]]:
        members = await self.members(group_id)
        return len(members), members[max(offset, 0) :][: max(limit, 0)]

    async def member_ids(
        self, group_id: str, after: MemberPlace | None, limit: int
    ) -> tuple[list[str], MemberPlace | None]:
        begin = after[1] if after else 0
        ids = [member.row.user_id for member in await self.members(group_id)][begin : begin + limit]
        return ids, MemberPlace((0, begin + limit)) if len(ids) == limit else None

    async def joined_groups(self, user_id: str) -> list[str]:
        rows = [row for row in self._rows("member").values() if row.user_id == user_id]
        return [row.group_id for row in sorted(rows, key=lambda row: -row.role_level)]

    async def changes(self, log: LogKind, owner_id: str, since: int, *, limit: int = 200) -> VersionLog:
        where = log, owner_id
        entries = [(name, *entry) for name, entry in self._data.entries.get(where, {}).items() if entry[1] > since]
        changed = sorted(entries, key=lambda entry: entry[2]) if len(entries) <= limit else None
        return VersionLog(self._data.versions.get(where, 1), self._data.version_id(*where), changed)

    async def subscribers(self) -> dict[str, Cursor]:
        return {name: cursor_of(place) for name, place in sorted(self._data.subscribers.items())}

    async def tail(self, after: Cursor, limit: int) -> Tail:
        gone, place = self._data.gone, place_of(after)
        found: list[Event] = []
        before = place.before
        for event in self._data.events[before:]:
            if len(found) == limit:
                break
            before += 1
            if event is not None:
                found.append(event)
        missed = after != BEGINNING and place.before < gone and place.gone < gone
        return Tail(found, cursor_of(Place(before, gone)), missed)

    @property
    def _data(self) -> DictData:
        if not self._is_open:
            raise StoreUnavailable("the store is closed")
        return self.data

    def _rows(self, table: str) -> dict[Any, Any]:
        return self._data.rows[table]

    def _found(self, table: str, keys: list[tuple[str, ...]]) -> list[Any]:
        rows = self._rows(table)
        return [rows[key] for key in keys if key in rows]

    def _newest(self, name: str) -> int:
        return len(self._data.messages.get(name, ()))

    def _messages(self, name: str, seqs: Sequence[int]) -> list[StoredMessage]:
        sent, flagged = self._data.messages.get(name, []), self._data.flagged
        return [
            StoredMessage(seq, sent[seq - 1].body, (name, seq) in flagged) for seq in seqs if 0 < seq <= len(sent)
        ]

    def _own_key(self, user_id: str) -> list[tuple[KeyKind, str]]:
        """The key of a user with themselves, unless it belongs to another pair."""
        key: tuple[KeyKind, str] = "pair", f"{user_id}_{user_id}"
        return [key] if self._data.keys.get(key) == (user_id, user_id) else []

    def _end_of(self, user_id: str, name: str) -> int | None:
        """The last seq of the conversation that the user may see; None if there is none."""
        newest, records = self._newest(name), self._rows("record")
        own = records.get((user_id, name))
        if own is not None:
            return min(newest, own.max_seq) if own.max_seq else newest
        key = self._data.twins.get(name)
        if key is None:
            return None
        if key in self._own_key(user_id):
            return newest
        bounds = [row.notification_max_seq for chat in _chats(*key) if (row := records.get((user_id, chat)))]
        if not bounds:
            return None
        return newest if 0 in bounds else min(newest, max(bounds))


def _chats(kind: KeyKind, name: str) -> list[str]:
    """Ids of the chats of a key."""
    return [prefix + name for prefix in dict.fromkeys(CHATS_OF[kind])]


def _key_of(chat: str) -> tuple[KeyKind, str]:
    return ("group" if chat.startswith("sg_") else "pair"), chat[3:]
