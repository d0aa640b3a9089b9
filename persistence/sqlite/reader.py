"""Reads of users, pairs, messages and seqs from one SQLite connection: one query each."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from greenroom.actors.wire import sdkws_pb2
from greenroom.persistence.sqlite.schema import LAST_REGISTERED, LOG_NUMBERS, NEWEST_SEQ, version_id
from greenroom.persistence.sqlite.statements import each, many
from greenroom.persistence.store import (
    ConversationState,
    KeyState,
    PairFact,
    Pulled,
    Reading,
    SeqState,
    Span,
    StoredMessage,
    TokenRow,
    VersionLog,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from greenroom.persistence.sqlite.statements import Connection
    from greenroom.persistence.store import LogKind, Range

__all__ = ["Reader", "json_list"]

_seq: Final = attrgetter("seq")

UNREAD_WALKED: Final = 64
"""To find a user's last message, his unread ones are walked back if there are no more than these; past it
the index of his own messages is read instead, which grows with all he ever sent there."""

FACTS_SHARED: Final = 256
"""Facts of a pair that many others have alike are one object."""

USER_COLUMNS: Final = (
    "u.user_id, u.nickname, u.face_url, u.ex, u.create_time, u.app_manger_level, u.global_recv_msg_opt"
)

MESSAGE_COLUMNS: Final = "m.seq, m.body, m.is_read"

MESSAGES: Final = "message_key k CROSS JOIN message m ON m.id = k.message AND k.sender = 0"
"""Messages m, to be asked for by k.conversation and k.name, their seq."""

NEWEST: Final = """message n ON n.id = (
    SELECT message FROM message_key WHERE conversation = c.id AND sender = 0 ORDER BY name DESC LIMIT 1)"""
"""The newest message n of conversation c."""

OWN_LAST_SEQ: Final = f"""CASE
    WHEN n.seq <= coalesce(d.seq, 0) THEN 0
    WHEN n.seq - coalesce(d.seq, 0) <= {UNREAD_WALKED} THEN (
        SELECT k.name FROM {MESSAGES} WHERE k.conversation = c.id AND k.name > coalesce(d.seq, 0)
        AND m.sender = :user ORDER BY k.name DESC LIMIT 1)
    ELSE (SELECT m.seq FROM message m WHERE m.id = (
        SELECT max(k.message) FROM message_key k WHERE k.conversation = c.id AND k.sender = :user))
    END"""
"""Seq of the last message of :user in conversation c, whose newest is n, if it may be above his stored read seq d."""

OWN_LOG: Final = """(SELECT 'n_' || me || '_' || me FROM (SELECT {0} AS me) WHERE NOT EXISTS (
    SELECT 1 FROM key k WHERE k.name = me || '_' || me AND (k.kind <> 'pair' OR k.first <> k.second)))"""
"""Id of the notifications that a user has for himself; NULL if another pair or a group has that key."""

SPAN: Final = f"""span AS MATERIALIZED (
    SELECT a.*, c.id AS conversation, {NEWEST_SEQ} AS max_seq, max(1, c.min_seq, coalesce(r.min_seq, 1)) AS first, CASE
    WHEN r.owner THEN iif(r.max_seq, min({NEWEST_SEQ}, r.max_seq), {NEWEST_SEQ})
    WHEN a.name NOT GLOB 'n_*' THEN NULL
    WHEN a.name = (SELECT {OWN_LOG.format('u.user_id')} FROM user u WHERE u.id = a.owner) THEN {NEWEST_SEQ}
    ELSE (
        SELECT iif(min(t.notification_max_seq) = 0, {NEWEST_SEQ}, min({NEWEST_SEQ}, max(t.notification_max_seq)))
        FROM conversation o CROSS JOIN record t ON t.owner = a.owner AND t.conversation = o.id
        WHERE o.conversation_id IN
            ('si' || substr(a.name, 2), 'sg' || substr(a.name, 2), 'sn' || substr(a.name, 2)))
    END AS last
    FROM asked a CROSS JOIN conversation c ON c.conversation_id = a.name
    LEFT JOIN record r ON r.owner = a.owner AND r.conversation = c.id)"""
"""For each row of `asked` (owner, name, ...): first and last of what that user may see of that conversation; last is
NULL if he may not. Notifications he sees as far as a record of a chat of their key lets him, or if they are his own."""


class Reader:
    """Synchronous; each answer is of one moment. Raises apsw.Error."""

    def __init__(self, connection: Connection, instance: bytes) -> None:
        self._connection = connection
        self._instance = instance

    def users(self, user_ids: Sequence[str]) -> list[sdkws_pb2.UserInfo]:
        rows = self._connection.execute(
            f"SELECT {USER_COLUMNS} FROM json_each(?) j CROSS JOIN user u ON u.user_id = j.value"
            " WHERE u.registered IS NOT NULL ORDER BY j.key",
            (json_list(user_ids),),
        )
        return [user_info(row) for row in rows.fetchall()]

    def users_page(self, offset: int, limit: int) -> tuple[int, list[sdkws_pb2.UserInfo]]:
        # Users are never removed, so `registered` has no gaps.
        rows = self._connection.execute(
            f"SELECT ({LAST_REGISTERED}), {USER_COLUMNS} FROM (SELECT 1)"
            " LEFT JOIN user u ON u.registered > ? AND u.registered <= ? ORDER BY u.registered",
            (max(offset, 0), max(offset, 0) + max(limit, 0)),
        ).fetchall()
        return rows[0][0] or 0, [user_info(row[1:]) for row in rows if row[1] is not None]

    def tokens(self, user_id: str) -> list[TokenRow]:
        rows = self._connection.execute(
            "SELECT platform_id, digest, state, expire_at FROM token"
            " WHERE user = (SELECT id FROM user WHERE user_id = ?) ORDER BY id",
            (user_id,),
        )
        return [TokenRow(*row) for row in rows.fetchall()]

    def key(self, key: str) -> KeyState | None:
        rows = self._connection.execute(
            "SELECT y.kind, y.first, y.second, c.conversation_id, n.seq, n.send_time"
            " FROM key y LEFT JOIN conversation c ON c.conversation_id IN"
            " ('si_' || ?1, 'sg_' || ?1, 'sn_' || ?1, 'n_' || ?1)"
            f" LEFT JOIN {NEWEST} WHERE y.name = ?1",
            (key,),
        ).fetchall()
        if not rows:
            return None
        kind, first, second = rows[0][:3]
        members = (first, second) if kind == "pair" else ()
        return KeyState(
            kind, members, {row[3]: ConversationState(*row[4:]) for row in rows if row[4] is not None}
        )

    def pair_facts(self, first: str, second: str) -> dict[str, PairFact]:
        facts = {user_id: PairFact(False, 0, 0, 0, False, False) for user_id in (first, second)}
        conversation_id = "si_" + "_".join(sorted((first, second)))
        rows = self._connection.execute(
            "SELECT u.user_id, u.app_manger_level, u.global_recv_msg_opt, r.recv_msg_opt,"
            " EXISTS (SELECT 1 FROM black b WHERE b.owner = u.id AND b.blocked = p.id),"
            " EXISTS (SELECT 1 FROM friend f WHERE f.owner = u.id AND f.friend = p.id)"
            " FROM user u LEFT JOIN user p ON p.user_id = iif(u.user_id = ?1, ?2, ?1)"
            " LEFT JOIN record r ON r.owner = u.id AND r.peer = p.id AND r.conversation ="
            " (SELECT id FROM conversation WHERE conversation_id = ?3)"
            " WHERE u.user_id IN (?1, ?2) AND u.registered IS NOT NULL",
            (first, second, conversation_id),
        )
        for row in rows.fetchall():
            facts[row[0]] = _fact(row[1], row[2], row[3] or 0, bool(row[4]), bool(row[5]))
        return facts

    def pull(self, user_id: str, ranges: Sequence[Range], limit_bytes: int) -> list[Pulled]:
        owner = self._number(user_id)
        cursors = each(
            self._connection,
            f"WITH asked (place, owner, name, low, high, newest) AS (VALUES {{}}), {SPAN}"
            f" SELECT {MESSAGE_COLUMNS}, s.place, s.first, s.last FROM span s CROSS JOIN {MESSAGES}"
            " AND k.conversation = s.conversation AND k.name BETWEEN"
            " max(s.low, s.first, min(s.high, s.last) - s.newest + 1) AND min(s.high, s.last)",
            "(?, ?, ?, ?, ?, ?)",
            [value for place, asked in enumerate(ranges) for value in (place, owner, *asked)],
        )
        pulled: list[Pulled] = []
        messages: list[StoredMessage] = []
        current = -1
        for seq, body, is_read, place, begin, end in chain.from_iterable(cursors):
            if place != current:
                # One message is no answer that is full: whoever asks must see that there is more.
                if limit_bytes < 0 and (len(pulled) > 1 or len(messages) > 1):
                    break
                current, messages = place, []
                pulled.append(Pulled(place, begin, end, messages))
            messages.append(StoredMessage(seq, body, is_read == 1))
            limit_bytes -= len(body)
        for one in pulled:
            one.messages.sort(key=_seq)
        return pulled

    def messages_at(self, conversation_id: str, seqs: Sequence[int]) -> list[StoredMessage]:
        rows = self._connection.execute(
            f"SELECT {MESSAGE_COLUMNS} FROM json_each(?) j CROSS JOIN {MESSAGES} AND k.name = j.value AND"
            " k.conversation = (SELECT id FROM conversation WHERE conversation_id = ?) ORDER BY j.key",
            (json_list(seqs), conversation_id),
        )
        return [_message(row) for row in rows.fetchall()]

    def last_messages(self, spans: Mapping[str, int]) -> dict[str, StoredMessage]:
        rows = self._connection.execute(
            f"SELECT {MESSAGE_COLUMNS}, c.conversation_id FROM json_each(?) j CROSS JOIN conversation c"
            " ON c.conversation_id = json_extract(j.value, '$[0]') CROSS JOIN message m ON m.id ="
            " (SELECT message FROM message_key WHERE conversation = c.id AND sender = 0"
            " AND name <= json_extract(j.value, '$[1]') ORDER BY name DESC LIMIT 1)",
            (json_list(list(spans.items())),),
        )
        return {row[-1]: _message(row) for row in rows.fetchall()}

    def spans(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, Span]:
        owner = self._number(user_id)
        rows = many(
            self._connection,
            f"WITH asked (owner, name) AS (VALUES {{}}), {SPAN}"
            " SELECT name, first, last, max_seq FROM span WHERE last IS NOT NULL",
            "(?, ?)",
            [value for name in conversation_ids for value in (owner, name)],
        )
        return {row[0]: Span(*row[1:]) for row in rows}

    def newest_seqs(self, user_id: str) -> dict[str, int]:
        mine = "user u CROSS JOIN record r ON r.owner = u.id CROSS JOIN conversation {0} ON {0}.id = r.conversation"
        rows = self._connection.execute(
            f"SELECT c.conversation_id, {NEWEST_SEQ} FROM {mine.format('c')} WHERE u.user_id = ?1"
            f" UNION ALL SELECT c.conversation_id, {NEWEST_SEQ} FROM {mine.format('o')} CROSS JOIN conversation c"
            "   ON c.conversation_id = 'n' || substr(o.conversation_id, instr(o.conversation_id, '_'))"
            "   WHERE u.user_id = ?1"
            f" UNION ALL SELECT c.conversation_id, {NEWEST_SEQ} FROM user u CROSS JOIN conversation c"
            f"   ON c.conversation_id = {OWN_LOG.format('u.user_id')} WHERE u.user_id = ?1",
            (user_id,),
        )
        return {name: seq for name, seq in rows if seq}

    def seq_states(self, user_id: str, conversation_ids: Sequence[str] | None) -> dict[str, SeqState]:
        source = (
            "record r CROSS JOIN conversation c ON c.id = r.conversation"
            if conversation_ids is None
            else "json_each(:ids) j CROSS JOIN conversation c ON c.conversation_id = j.value"
            " CROSS JOIN record r ON r.conversation = c.id"
        )
        rows = self._with_number(
            user_id,
            "SELECT c.conversation_id, iif(r.max_seq, r.max_seq, coalesce(n.seq, 0)),"
            f" max(coalesce(d.seq, 0), coalesce({OWN_LAST_SEQ}, 0)), coalesce(n.send_time, 0) FROM {source}"
            f" LEFT JOIN {NEWEST} LEFT JOIN read d ON d.user = :user AND d.conversation = c.id WHERE r.owner = :user",
            ids=json_list(conversation_ids or ()),
        )
        return {row[0]: SeqState(*row[1:]) for row in rows}

    def read_seq(self, conversation_id: str, user_id: str) -> int:
        rows = self._with_number(
            user_id,
            f"SELECT max(coalesce(d.seq, 0), coalesce({OWN_LAST_SEQ}, 0)) FROM conversation c"
            f" LEFT JOIN {NEWEST} LEFT JOIN read d ON d.user = :user AND d.conversation = c.id"
            " WHERE c.conversation_id = :ids",
            ids=conversation_id,
        )
        return int(rows[0][0]) if rows else 0

    def reading(self, conversation_id: str, user_id: str) -> Reading | None:
        row = self._connection.execute(
            f"SELECT r.conversation_type, coalesce(p.user_id, ''), r.group_id,"
            f" max(coalesce(d.seq, 0), coalesce({OWN_LAST_SEQ.replace(':user', 'r.owner')}, 0)) FROM conversation c"
            " CROSS JOIN record r ON r.conversation = c.id AND r.owner = (SELECT id FROM user WHERE user_id = ?2)"
            f" LEFT JOIN user p ON p.id = r.peer LEFT JOIN {NEWEST}"
            " LEFT JOIN read d ON d.user = r.owner AND d.conversation = c.id"
            " WHERE c.conversation_id = ?1",
            (conversation_id, user_id),
        ).fetchone()
        return None if row is None else Reading(*row)

    def changes(self, log: LogKind, owner_id: str, since: int, *, limit: int) -> VersionLog:
        table, name = ("chat_group", "group_id") if log == "members" else ("user", "user_id")
        rows = self._connection.execute(
            "SELECT l.version, e.entry, e.state, e.version FROM version_log l LEFT JOIN (SELECT * FROM"
            f" version_entry WHERE log = ?1 AND owner = (SELECT id FROM {table} WHERE {name} = ?2)"
            " AND version > ?3 ORDER BY version LIMIT ?4) e ON true"
            f" WHERE l.log = ?1 AND l.owner = (SELECT id FROM {table} WHERE {name} = ?2)",
            (LOG_NUMBERS[log], owner_id, since, limit + 1),
        ).fetchall()
        identity = version_id(self._instance, log, owner_id)
        if not rows:
            return VersionLog(1, identity, [])
        changed = [row[1:] for row in rows if row[1] is not None]
        changed.sort(key=lambda row: row[2])
        return VersionLog(rows[0][0], identity, changed if len(changed) <= limit else None)

    def _with_number(self, user_id: str, statement: str, **values: Any) -> list[Any]:
        """Rows of a statement that names the user's number :user many times."""
        # A number once given stays, so two queries are as good as one.
        return self._connection.execute(statement, {"user": self._number(user_id), **values}).fetchall()

    def _number(self, user_id: str) -> int:
        """What stands for the user in the store; -1, which is nobody's, for one that is not named there."""
        found = self._connection.execute("SELECT id FROM user WHERE user_id = ?", (user_id,)).fetchone()
        return found[0] if found else -1


def json_list(values: Sequence[object]) -> str:
    """A parameter for json_each."""
    return msgspec.json.encode(list(values)).decode()


@lru_cache(FACTS_SHARED)
def _fact(level: int, global_opt: int, opt: int, blocks: bool, is_friend: bool) -> PairFact:
    return PairFact(True, level, global_opt, opt, blocks, is_friend)


def _message(row: Sequence[Any]) -> StoredMessage:
    return StoredMessage(row[0], row[1], bool(row[2]))


def user_info(row: Sequence[Any]) -> sdkws_pb2.UserInfo:
    return sdkws_pb2.UserInfo(
        userID=row[0],
        nickname=row[1],
        faceURL=row[2],
        ex=row[3],
        createTime=row[4],
        appMangerLevel=row[5],
        globalRecvMsgOpt=row[6],
    )
