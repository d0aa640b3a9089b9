"""The promises about each message and each seq of a conversation, on any device. There is one query for each promise.

A query returns a row for each breach: n, conversation, seq, message and detail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from greenroom.transport.load.judge.verdict import Breach

if TYPE_CHECKING:
    from greenroom.transport.load.judge.history_tables import HistoryTables
    from greenroom.transport.load.judge.verdict import Breaches

__all__ = ["check_messages"]

_CHECKS: Final[tuple[tuple[str, str], ...]] = (
    (
        "acked_not_stored",
        """SELECT min(a.n), a.conv, 0, a.msg, 'acked, but not stored' FROM acked a
        JOIN pulled p ON p.conv = a.conv
        LEFT JOIN message m ON m.conv = a.conv AND m.msg = a.msg
        WHERE coalesce(m.stored, 1) AND NOT EXISTS (
            SELECT 1 FROM claim c WHERE c.conv = a.conv AND c.msg = a.msg AND c.from_store)
        GROUP BY a.conv, a.msg""",
    ),
    (
        # If the store was not pulled, a device of a user who was always a member must have received the message.
        "acked_never_seen",
        """SELECT min(a.n), a.conv, 0, a.msg, 'acked, but no device of any member received it' FROM acked a
        JOIN message m ON m.conv = a.conv AND m.msg = a.msg
        WHERE m.stored AND a.conv NOT IN (SELECT conv FROM pulled)
        AND NOT EXISTS (SELECT 1 FROM claim c WHERE c.conv = a.conv AND c.msg = a.msg)
        AND EXISTS (SELECT 1 FROM span s JOIN device d ON d.user = s.user
            WHERE s.conv = a.conv AND s.must_from <= 1 AND s.must_to = 1 << 62 AND d.drained
            AND (d.hears_itself OR d.dev <> m.dev) AND (d.from_start OR d.at < m.at))
        GROUP BY a.conv, a.msg""",
    ),
    (
        "received_not_stored",
        """SELECT s.n, s.conv, s.seq, s.msg, 'received with seq ' || s.seq || ', but no message is stored with that seq'
        FROM slot s JOIN pulled p ON p.conv = s.conv WHERE NOT s.from_store""",
    ),
    (
        "seq_gap",
        """SELECT n, conv, before + 1, NULL, CASE WHEN seq = before + 2 THEN 'seq ' || (before + 1) || ' has no message'
            ELSE 'seqs ' || (before + 1) || ' to ' || (seq - 1) || ' have no message' END
        FROM (SELECT s.n, s.conv, s.seq, lag(s.seq, 1, 0) OVER (PARTITION BY s.conv ORDER BY s.seq) AS before
            FROM slot s WHERE s.conv IN (SELECT conv FROM pulled)) WHERE seq > before + 1""",
    ),
    (
        "seq_reused",
        """SELECT min(c.n), c.conv, c.seq, c.msg, 'seq ' || c.seq || ' also belongs to another message' FROM claim c
        JOIN slot s ON s.conv = c.conv AND s.seq = c.seq WHERE c.msg <> s.msg GROUP BY c.conv, c.seq, c.msg""",
    ),
    (
        "stored_twice",
        """SELECT max(n), conv, max(seq), msg, 'has seq ' || min(seq) || ' and seq ' || max(seq) FROM slot
        WHERE msg <> 0 GROUP BY conv, msg HAVING count(*) > 1""",
    ),
    (
        "differs",
        """SELECT min(c.n), c.conv, c.seq, c.msg,
            CASE WHEN c.server <> s.server THEN 'another server_msg_id'
                WHEN c.sender <> s.sender THEN 'another sender'
                ELSE 'sendTime ' || c.send_time || ', elsewhere ' || s.send_time END
        FROM claim c JOIN slot s ON s.conv = c.conv AND s.seq = c.seq
        WHERE c.msg = s.msg AND (c.server <> s.server OR c.sender <> s.sender OR c.send_time <> s.send_time)
        GROUP BY c.conv, c.seq, c.msg""",
    ),
    (
        "answers_differ",
        """SELECT max(n), conv, 0, msg, count(*) || ' acks, not all the same' FROM acked
        GROUP BY conv, msg HAVING min(server) <> max(server) OR min(send_time) <> max(send_time)""",
    ),
    (
        "ack_differs",
        # Only for a message with one answer, and at its lowest seq. Other cases have kinds of their own.
        """SELECT min(a.n), a.conv, s.seq, a.msg, CASE WHEN a.server <> s.server THEN 'acked with another server_msg_id'
            ELSE 'acked with sendTime ' || a.send_time || ', has ' || s.send_time END
        FROM slot s JOIN acked a ON a.conv = s.conv AND a.msg = s.msg
        WHERE (a.server <> s.server OR a.send_time <> s.send_time)
        AND NOT EXISTS (SELECT 1 FROM acked b WHERE b.conv = a.conv AND b.msg = a.msg
            AND (b.server <> a.server OR b.send_time <> a.send_time))
        AND NOT EXISTS (SELECT 1 FROM slot t WHERE t.conv = s.conv AND t.msg = s.msg AND t.seq < s.seq)
        GROUP BY a.conv, a.msg""",
    ),
    (
        "time_back",
        """SELECT n, conv, seq, msg, 'sendTime ' || send_time || ' after ' || before
        FROM (SELECT n, conv, seq, msg, send_time,
            lag(send_time) OVER (PARTITION BY conv ORDER BY seq) AS before FROM slot) WHERE send_time < before""",
    ),
    (
        "phantom",
        """SELECT min(c.n), c.conv, min(c.seq), c.msg, 'no device of this history sent it' FROM claim c
        LEFT JOIN message m ON m.conv = c.conv AND m.msg = c.msg
        WHERE m.conv IS NULL AND NOT c.is_foreign GROUP BY c.conv, c.msg""",
    ),
    (
        "wrong_sender",
        """SELECT min(c.n), c.conv, min(c.seq), c.msg, 'its sender is not the user who sent it' FROM claim c
        JOIN message m ON m.conv = c.conv AND m.msg = c.msg
        WHERE c.sender <> m.user AND NOT c.is_foreign GROUP BY c.conv, c.msg""",
    ),
    (
        "wrong_storage",
        """SELECT min(c.n), c.conv, max(c.seq), c.msg,
            CASE WHEN m.stored THEN 'to be stored, but has no seq'
                ELSE 'not to be stored, but has a seq' END FROM claim c
        JOIN message m ON m.conv = c.conv AND m.msg = c.msg
        WHERE NOT c.is_foreign AND m.stored <> (c.seq > 0) GROUP BY c.conv, c.msg""",
    ),
)


def check_messages(tables: HistoryTables, breaches: Breaches) -> None:
    for kind, query in _CHECKS:
        for n, conversation, seq, message, detail in tables.rows(query):
            breaches.add(Breach(kind, n, conversation, seq=seq, message=message, detail=detail))
