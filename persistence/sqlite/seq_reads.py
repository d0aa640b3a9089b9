"""Reads of seqs: the newest seqs of a key or of a user, and a user's read seqs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from greenroom.persistence.sqlite.read import Reads, json_list, read
from greenroom.persistence.sqlite.schema import NEWEST_SEQ
from greenroom.persistence.store import CHATS_OF, ConversationState, KeyState, Reading, RecordPlace, SeqState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.store import KeyKind

__all__ = ["MESSAGES", "SeqReads"]

UNREAD_WALK_MAX: Final = 64
"""Up to this number of unread messages, a user's last own message is searched among them, newest first. Beyond it, the
index of the user's own messages is read, whose cost grows with all messages that they have sent there."""

_ABOVE_ALL_PLACES: Final = 2**63 - 1

MESSAGES: Final = "message_key k CROSS JOIN message m ON m.id = k.message AND k.sender = 0"
"""Messages m. They are selected by conditions on k.conversation and k.name (the seq)."""

NEWEST: Final = """message n ON n.id = (
    SELECT message FROM message_key WHERE conversation = c.id AND sender = 0 ORDER BY name DESC LIMIT 1)"""
"""The newest message n of conversation c."""

OWN_LAST_SEQ: Final = f"""CASE
    WHEN n.seq <= coalesce(d.seq, 0) THEN 0
    WHEN n.seq - coalesce(d.seq, 0) <= {UNREAD_WALK_MAX} THEN (
        SELECT k.name FROM {MESSAGES} WHERE k.conversation = c.id AND k.name > coalesce(d.seq, 0)
        AND m.sender = :user ORDER BY k.name DESC LIMIT 1)
    ELSE (SELECT m.seq FROM message m WHERE m.id = (
        SELECT max(k.message) FROM message_key k WHERE k.conversation = c.id AND k.sender = :user))
    END"""
"""Seq of the last message of :user in conversation c, whose newest message is n. If the message is not above the user's
stored read seq d, the result may be 0 or NULL."""

KEY_OF_RECORD: Final = """key y ON y.name = substr(o.conversation_id, 4)
    AND y.kind = iif(o.conversation_id GLOB 'sg_*', 'group', 'pair')"""
"""The key y of a chat o."""


class SeqReads(Reads):
    @read("key")
    def key(self, kind: KeyKind, name: str) -> KeyState | None:
        rows = self._db.execute(
            "SELECT y.first, y.second, c.id IS y.twin, c.conversation_id, n.seq, n.send_time FROM key y"
            " LEFT JOIN conversation c ON c.conversation_id IN (?3 || ?2, ?4 || ?2) OR c.id = y.twin"
            f" LEFT JOIN {NEWEST} WHERE y.kind = ?1 AND y.name = ?2",
            (kind, name, *CHATS_OF[kind]),
        ).fetchall()
        if not rows:
            return None
        members = rows[0][:2] if kind == "pair" else ()
        twin = next((row[3] for row in rows if row[2] and row[3]), "")
        return KeyState(
            kind, members, twin, {row[3]: ConversationState(*row[4:]) for row in rows if row[4] is not None}
        )

    @read("seqs of")
    def newest_seqs(
        self, user_id: str, after: RecordPlace | None, limit: int
    ) -> tuple[dict[str, int], RecordPlace | None]:
        end = self._end_of(user_id, after, limit)
        mine = (
            "user u CROSS JOIN record r ON r.owner = u.id AND r.conversation > ?2 AND r.conversation <= ?3"
            " CROSS JOIN conversation {0} ON {0}.id = r.conversation"
        )
        rows = self._db.execute(
            f"SELECT c.conversation_id, {NEWEST_SEQ} FROM {mine.format('c')} WHERE u.user_id = ?1"
            f" UNION ALL SELECT c.conversation_id, {NEWEST_SEQ} FROM {mine.format('o')}"
            f"   CROSS JOIN {KEY_OF_RECORD} CROSS JOIN conversation c ON c.id = y.twin WHERE u.user_id = ?1"
            f" UNION ALL SELECT c.conversation_id, {NEWEST_SEQ} FROM key y CROSS JOIN conversation c ON c.id = y.twin"
            "   WHERE y.kind = 'pair' AND y.name = ?1 || '_' || ?1 AND y.first = ?1 AND y.second = ?1",
            (user_id, after or 0, end or _ABOVE_ALL_PLACES),
        )
        return {name: seq for name, seq in rows if seq}, end

    @read("seqs of")
    def seq_states(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, SeqState]:
        source = (
            "json_each(:ids) j CROSS JOIN conversation c ON c.conversation_id = j.value"
            " CROSS JOIN record r ON r.conversation = c.id AND r.owner = :user"
        )
        return self._states(user_id, source, ids=json_list(conversation_ids))

    @read("seqs of")
    def all_seq_states(
        self, user_id: str, after: RecordPlace | None, limit: int
    ) -> tuple[dict[str, SeqState], RecordPlace | None]:
        end = self._end_of(user_id, after, limit)
        source = (
            "record r CROSS JOIN conversation c ON c.id = r.conversation"
            " AND r.owner = :user AND r.conversation > :after AND r.conversation <= :end"
        )
        return self._states(user_id, source, after=after or 0, end=end or _ABOVE_ALL_PLACES), end

    @read("read seq of")
    def read_seq(self, conversation_id: str, user_id: str) -> int:
        rows = self._with_number(
            user_id,
            f"SELECT max(coalesce(d.seq, 0), coalesce({OWN_LAST_SEQ}, 0)) FROM conversation c"
            f" LEFT JOIN {NEWEST} LEFT JOIN read d ON d.user = :user AND d.conversation = c.id"
            " WHERE c.conversation_id = :ids",
            ids=conversation_id,
        )
        return int(rows[0][0]) if rows else 0

    @read("read seq of")
    def reading(self, conversation_id: str, user_id: str) -> Reading | None:
        row = self._db.execute(
            f"SELECT r.conversation_type, coalesce(p.user_id, ''), r.group_id,"
            f" max(coalesce(d.seq, 0), coalesce({OWN_LAST_SEQ.replace(':user', 'r.owner')}, 0)),"
            " max(iif(r.max_seq, min(r.max_seq, coalesce(n.seq, 0)), coalesce(n.seq, 0)), 0), coalesce(n.seq, 0)"
            " FROM conversation c"
            " CROSS JOIN record r ON r.conversation = c.id AND r.owner = (SELECT id FROM user WHERE user_id = ?2)"
            f" LEFT JOIN user p ON p.id = r.peer LEFT JOIN {NEWEST}"
            " LEFT JOIN read d ON d.user = r.owner AND d.conversation = c.id"
            " WHERE c.conversation_id = ?1",
            (conversation_id, user_id),
        ).fetchone()
        return None if row is None else Reading(*row)

    def _end_of(self, user_id: str, after: RecordPlace | None, limit: int) -> RecordPlace | None:
        """The place of the last one of the user's next `limit` records; None if there are fewer."""
        rows = self._with_number(
            user_id,
            "SELECT conversation FROM record WHERE owner = :user AND conversation > :after"
            " ORDER BY conversation LIMIT 1 OFFSET :limit - 1",
            after=after or 0,
            limit=limit,
        )
        return RecordPlace(rows[0][0]) if rows else None

    def _states(self, user_id: str, source: str, **values: Any) -> dict[str, SeqState]:
        """The states of records r and their conversations c."""
        rows = self._with_number(
            user_id,
            "SELECT c.conversation_id, iif(r.max_seq, r.max_seq, coalesce(n.seq, 0)),"
            f" max(coalesce(d.seq, 0), coalesce({OWN_LAST_SEQ}, 0)), coalesce(n.send_time, 0) FROM {source}"
            f" LEFT JOIN {NEWEST} LEFT JOIN read d ON d.user = :user AND d.conversation = c.id",
            **values,
        )
        return {row[0]: SeqState(*row[1:]) for row in rows}

    def _with_number(self, user_id: str, statement: str, **values: Any) -> list[Any]:
        """Rows of a statement that uses the user's number several times, as :user."""
        # A user's number never changes, so two queries have the same result as one.
        return self._db.execute(statement, {"user": self._number(user_id), **values}).fetchall()
