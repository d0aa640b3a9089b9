"""Reads messages, and the range of seqs of a conversation that a user may see."""

from __future__ import annotations

from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from greenroom.persistence.sqlite.read import Reads, json_list, read
from greenroom.persistence.sqlite.schema import NEWEST_SEQ
from greenroom.persistence.sqlite.seq_reads import MESSAGES
from greenroom.persistence.sqlite.statements import each, many
from greenroom.persistence.store import Pulled, SeqState, Span, StoredMessage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from greenroom.persistence.store import Range

__all__ = ["MessageReads"]

_seq: Final = attrgetter("seq")

MESSAGE_COLUMNS: Final = "m.seq, m.body, m.is_read"

SPAN: Final = f"""span AS MATERIALIZED (
    SELECT a.*, c.id AS conversation, {NEWEST_SEQ} AS max_seq, max(1, c.min_seq, coalesce(r.min_seq, 1)) AS first, CASE
    WHEN r.owner THEN iif(r.max_seq, min({NEWEST_SEQ}, r.max_seq), {NEWEST_SEQ})
    WHEN a.name NOT GLOB 'n_*' THEN NULL
    ELSE (
        SELECT CASE
        WHEN y.first = y.second AND y.first = (SELECT user_id FROM user WHERE id = a.owner) THEN {NEWEST_SEQ}
        ELSE (
            SELECT iif(min(t.notification_max_seq) = 0, {NEWEST_SEQ}, min({NEWEST_SEQ}, max(t.notification_max_seq)))
            FROM conversation o CROSS JOIN record t ON t.owner = a.owner AND t.conversation = o.id
            WHERE o.conversation_id IN (
                iif(y.kind = 'group', 'sg_', 'si_') || y.name, iif(y.kind = 'group', 'sg_', 'sn_') || y.name))
        END FROM key y WHERE y.twin = c.id)
    END AS last
    FROM asked a CROSS JOIN conversation c ON c.conversation_id = a.name
    LEFT JOIN record r ON r.owner = a.owner AND r.conversation = c.id)"""
"""The first and the last seq that a user may see, for each row of `asked` (the user as owner, the conversation as name,
...). The last one is NULL if they may not see the conversation. The notifications of a key are visible up to the
bound in the user's record of a chat of this key (0: no bound), and those of the user's key with themselves in full."""


class MessageReads(Reads):
    @read("conversations", of=1)
    def pull(self, user_id: str, ranges: Sequence[Range], limit_bytes: int) -> list[Pulled]:
        owner = self._number(user_id)
        cursors = each(
            self._db,
            f"WITH asked (place, owner, name, low, high, newest_count) AS (VALUES {{}}), {SPAN}"
            f" SELECT {MESSAGE_COLUMNS}, s.place, s.first, s.last FROM span s CROSS JOIN {MESSAGES}"
            " AND k.conversation = s.conversation AND k.name BETWEEN"
            " max(s.low, s.first, min(s.high, s.last) - s.newest_count + 1) AND min(s.high, s.last)",
            "(?, ?, ?, ?, ?, ?)",
            [value for place, asked in enumerate(ranges) for value in (place, owner, *asked)],
        )
        pulled: list[Pulled] = []
        messages: list[StoredMessage] = []
        current = -1
        for seq, body, is_read, place, begin, end in chain.from_iterable(cursors):
            if place != current:
                # Past the limit, reading stops at the next range. But if only one message was read so far, one more
                # range is read: otherwise the caller could not tell that there are more messages.
                if limit_bytes < 0 and (len(pulled) > 1 or len(messages) > 1):
                    break
                current, messages = place, []
                pulled.append(Pulled(place, begin, end, messages))
            messages.append(StoredMessage(seq, body, is_read == 1))
            limit_bytes -= len(body)
        for found in pulled:
            found.messages.sort(key=_seq)
        return pulled

    @read("conversation")
    def messages_at(self, conversation_id: str, seqs: Sequence[int]) -> list[StoredMessage]:
        rows = self._db.execute(
            f"SELECT {MESSAGE_COLUMNS} FROM json_each(?) j CROSS JOIN {MESSAGES} AND k.name = j.value AND"
            " k.conversation = (SELECT id FROM conversation WHERE conversation_id = ?) ORDER BY j.key",
            (json_list(seqs), conversation_id),
        )
        return [_message(row) for row in rows.fetchall()]

    @read("conversations")
    def last_messages(self, spans: Mapping[str, int]) -> dict[str, StoredMessage]:
        rows = self._db.execute(
            f"SELECT {MESSAGE_COLUMNS}, c.conversation_id FROM json_each(?) j CROSS JOIN conversation c"
            " ON c.conversation_id = json_extract(j.value, '$[0]') CROSS JOIN message m ON m.id ="
            " (SELECT message FROM message_key WHERE conversation = c.id AND sender = 0"
            " AND name <= json_extract(j.value, '$[1]') ORDER BY name DESC LIMIT 1)",
            (json_list(list(spans.items())),),
        )
        return {row[-1]: _message(row) for row in rows.fetchall()}

    @read("spans of")
    def spans(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, Span]:
        owner = self._number(user_id)
        rows = many(
            self._db,
            f"WITH asked (owner, name) AS (VALUES {{}}), {SPAN}"
            " SELECT name, first, last, max_seq FROM span WHERE last IS NOT NULL",
            "(?, ?)",
            [value for name in conversation_ids for value in (owner, name)],
        )
        return {row[0]: Span(*row[1:]) for row in rows}

    @read("states of")
    def notification_states(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, SeqState]:
        owner = self._number(user_id)
        rows = many(
            self._db,
            f"WITH asked (owner, name) AS (VALUES {{}}), {SPAN}"
            " SELECT s.name, max(s.last, 0), coalesce((SELECT m.send_time FROM message m WHERE m.id = ("
            "   SELECT message FROM message_key WHERE conversation = s.conversation AND sender = 0 AND name <= s.last"
            "   ORDER BY name DESC LIMIT 1)), 0)"
            " FROM span s WHERE s.last IS NOT NULL AND s.name GLOB 'n_*'",
            "(?, ?)",
            [value for name in conversation_ids for value in (owner, name)],
        )
        return {name: SeqState(seq, 0, time) for name, seq, time in rows}


def _message(row: Sequence[Any]) -> StoredMessage:
    return StoredMessage(row[0], row[1], bool(row[2]))
