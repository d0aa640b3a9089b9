"""The tables of a judgement: every event as a row of small integers, on disk, in bounded memory.

Ids are kept as their 64-bit hash: two of ten million ids share one with a probability of three in a million, and
a second look at the history gives the names back for what is reported.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Final

from greenroom.transport.load.judge.events import (
    Acked,
    Begun,
    Drained,
    Event,
    Failed,
    Joined,
    Left,
    MarkedRead,
    Received,
    Sent,
    SeqsAnswered,
    StoredSeen,
    StorePulled,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

__all__ = ["FOREVER", "Tables"]

FOREVER: Final = 1 << 62
"""A seq that no conversation reaches."""
_BATCH_ROWS: Final = 5_000
_SEEN_BYTES: Final = 96
"""A remembered receipt in a set of integers."""

_SCHEMA: Final = """
CREATE TABLE device (dev INTEGER PRIMARY KEY, user INT, at INT, from_start INT, hears_itself INT,
    drained INT DEFAULT 0);
CREATE TABLE border (n INTEGER PRIMARY KEY, conv INT, user INT, seq INT, maybe INT, leaves INT);
CREATE TABLE sent (n INTEGER PRIMARY KEY, conv INT, msg INT, dev INT, at INT, stored INT);
CREATE TABLE acked (n INTEGER PRIMARY KEY, conv INT, msg INT, at INT, server INT, send_time INT);
CREATE TABLE received (n INTEGER PRIMARY KEY, conv INT, dev INT, seq INT, msg INT);
CREATE TABLE claim (n INTEGER PRIMARY KEY, conv INT, seq INT, msg INT, server INT, sender INT, send_time INT,
    is_foreign INT, from_store INT);
CREATE TABLE answered (n INTEGER PRIMARY KEY, conv INT, user INT, at INT, answered_at INT, max_seq INT,
    read_seq INT);
CREATE TABLE marked (n INTEGER PRIMARY KEY, conv INT, user INT, at INT, answered_at INT, seq INT);
CREATE TABLE pulled (conv INTEGER PRIMARY KEY);
"""
"""A claim is what somebody said of a message: that the store has it at a seq, or that it was received there.
The same claim by many receivers is one row (or a few)."""

_INSERTS: Final = {
    "device": "INSERT OR IGNORE INTO device (dev, user, at, from_start, hears_itself) VALUES (?,?,?,?,?)",
    "drained": "UPDATE device SET drained = 1 WHERE dev = ?",
    "border": "INSERT INTO border VALUES (?,?,?,?,?,?)",
    "sent": "INSERT INTO sent VALUES (?,?,?,?,?,?)",
    "acked": "INSERT INTO acked VALUES (?,?,?,?,?,?)",
    "received": "INSERT INTO received VALUES (?,?,?,?,?)",
    "claim": "INSERT INTO claim VALUES (?,?,?,?,?,?,?,?,?)",
    "answered": "INSERT INTO answered VALUES (?,?,?,?,?,?,?)",
    "marked": "INSERT INTO marked VALUES (?,?,?,?,?,?)",
    "pulled": "INSERT OR IGNORE INTO pulled VALUES (?)",
}

_DERIVED: Final = (
    # What was sent: the first Sent of each message (SQLite takes the bare columns from the row of the minimum).
    """CREATE TABLE message (conv INT, msg INT, n INT, dev INT, user INT, at INT, stored INT,
        PRIMARY KEY (conv, msg)) WITHOUT ROWID""",
    """INSERT INTO message SELECT s.conv, s.msg, s.n, s.dev, d.user, s.at, s.stored FROM
        (SELECT conv, msg, min(n) AS n, dev, at, stored FROM sent GROUP BY conv, msg) s
        LEFT JOIN device d ON d.dev = s.dev""",
    """CREATE INDEX acked_by_message ON acked (conv, msg, server, send_time)""",
    """CREATE INDEX claim_by_message ON claim (conv, msg, seq)""",
    # What stands at a seq: what the store says, else what was received there first.
    """CREATE TABLE slot (conv INT, seq INT, msg INT, n INT, server INT, sender INT, send_time INT, from_store INT,
        required INT, acked INT, sent_dev INT, sent_at INT, PRIMARY KEY (conv, seq)) WITHOUT ROWID""",
    """INSERT OR IGNORE INTO slot SELECT c.conv, c.seq, c.msg, c.n, c.server, c.sender, c.send_time, c.from_store,
        coalesce(m.stored, 0) AND NOT c.is_foreign
            AND (c.from_store OR NOT EXISTS (SELECT 1 FROM pulled p WHERE p.conv = c.conv)),
        EXISTS (SELECT 1 FROM acked a WHERE a.conv = c.conv AND a.msg = c.msg), m.dev, m.at
        FROM claim c LEFT JOIN message m ON m.conv = c.conv AND m.msg = c.msg WHERE c.seq > 0
        ORDER BY c.conv, c.seq, c.from_store DESC, c.n""",
    """CREATE INDEX slot_by_message ON slot (conv, msg)""",
    """CREATE TABLE span (conv INT, user INT, must_from INT, must_to INT, may_from INT, may_to INT)""",
)


class Tables:
    """The rows of one history. `load`, then `derive`, then ask with `rows`."""

    def __init__(self, folder: Path, *, memory_limit_bytes: int) -> None:
        self.failed = 0
        self.events = 0
        self._db = sqlite3.connect(folder / "judge.sqlite", isolation_level=None, check_same_thread=False)
        for pragma in (
            "page_size = 8192",
            "journal_mode = OFF",
            "synchronous = OFF",
            "locking_mode = EXCLUSIVE",
            "secure_delete = OFF",
            "temp_store = FILE",
            # The page cache, and as much again for a sort under way.
            f"cache_size = -{max(memory_limit_bytes // 4, 1 << 20) // 1024}",
        ):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        self._pending: dict[str, list[tuple[int, ...]]] = {table: [] for table in _INSERTS}
        self._seen: set[int] = set()
        self._seen_limit = max(memory_limit_bytes // 8 // _SEEN_BYTES, 1_000)

    def close(self) -> None:
        self._db.close()

    def rows(self, query: str, *values: int) -> Iterator[Any]:
        return self._db.execute(query, values)

    def one(self, query: str, *values: int) -> Any:
        """The first row, or None."""
        return self._db.execute(query, values).fetchone()

    def number(self, query: str) -> int:
        """The one number that the query gives."""
        return int(self._db.execute(query).fetchone()[0] or 0)

    def load(self, events: Iterable[Event]) -> None:
        self._db.execute("BEGIN")
        taken: dict[type, Callable[[int, Any], None]] = {
            Begun: self._begun,
            Joined: self._joined,
            Left: self._left,
            Sent: self._sent,
            Acked: self._acked,
            Failed: self._failed,
            SeqsAnswered: self._seqs_answered,
            StoredSeen: self._stored_seen,
            Drained: self._drained,
            MarkedRead: self._marked_read,
            StorePulled: self._store_pulled,
        }
        drained = self._pending["drained"]
        add_receipt, add_claim, seen = self._pending["received"].append, self._pending["claim"].append, self._seen
        n = 0
        for n, event in enumerate(events, 1):
            if type(event) is Received:  # Nine of ten events: no call for it.
                conv, msg, seq = hash(event.conversation_id), hash(event.client_msg_id), event.seq
                add_receipt((n, conv, hash(event.device), seq, msg))
                claim = hash(
                    (conv, seq, msg, event.server_msg_id, event.send_id, event.send_time, event.foreign)
                )
                if claim not in seen:
                    if len(seen) >= self._seen_limit:
                        seen.clear()
                    seen.add(claim)
                    server, sender = hash(event.server_msg_id), hash(event.send_id)
                    add_claim((n, conv, seq, msg, server, sender, event.send_time, event.foreign, 0))
            else:
                taken[type(event)](n, event)
            if not n % _BATCH_ROWS:
                self._write()
        self.events = n
        self._write()
        self._db.executemany(_INSERTS["drained"], drained)
        drained.clear()
        self._db.execute("COMMIT")
        self._seen.clear()

    def derive(self, *, is_whole: bool) -> None:
        """Make the tables that are questions to more than one event.

        is_whole: nothing is missing from the history, so a store of which something was seen was seen whole.
        """
        self._db.execute("BEGIN")
        if is_whole:
            self._db.execute("INSERT OR IGNORE INTO pulled SELECT DISTINCT conv FROM claim WHERE from_store")
        for statement in _DERIVED:
            self._db.execute(statement)
        self._db.executemany("INSERT INTO span VALUES (?,?,?,?,?,?)", self._spans())
        self._db.execute("CREATE INDEX span_by_user ON span (conv, user, must_from)")
        self._db.execute("CREATE INDEX device_by_user ON device (user)")
        self._db.execute("COMMIT")
        self._db.execute("ANALYZE")

    def _write(self) -> None:
        for table, rows in self._pending.items():
            if rows and table != "drained":
                self._db.executemany(_INSERTS[table], rows)
                rows.clear()

    def _spans(self) -> Iterator[tuple[int, ...]]:
        """Memberships: the borders of a user in a conversation, in turn."""
        group: tuple[int, int] | None = None
        joins: list[tuple[int, int]] = []
        leaves: list[tuple[int, int]] = []
        for conv, user, seq, maybe, is_leave in self._db.execute(
            "SELECT conv, user, seq, maybe, leaves FROM border ORDER BY conv, user"
        ):
            if (conv, user) != group:
                if group is not None:
                    yield from _paired(*group, joins, leaves)
                group, joins, leaves = (conv, user), [], []
            (leaves if is_leave else joins).append((seq, maybe))
        if group is not None:
            yield from _paired(*group, joins, leaves)

    def _begun(self, n: int, event: Begun) -> None:
        self._pending["device"].append(
            (hash(event.device), hash(event.user_id), event.at, event.from_start, event.hears_itself)
        )

    def _drained(self, n: int, event: Drained) -> None:
        self.last_drain_at = max(self.last_drain_at, event.at)
        self._pending["drained"].append((hash(event.device),))

    last_drain_at = -1
    """When the last device ended its drain; -1: none did."""

    def _joined(self, n: int, event: Joined) -> None:
        self._pending["border"].append(
            (n, hash(event.conversation_id), hash(event.user_id), event.from_seq, event.maybe_from_seq, 0)
        )

    def _left(self, n: int, event: Left) -> None:
        self._pending["border"].append(
            (n, hash(event.conversation_id), hash(event.user_id), event.last_seq, event.maybe_last_seq, 1)
        )

    def _sent(self, n: int, event: Sent) -> None:
        self._pending["sent"].append(
            (
                n,
                hash(event.conversation_id),
                hash(event.client_msg_id),
                hash(event.device),
                event.at,
                event.stored,
            )
        )

    def _acked(self, n: int, event: Acked) -> None:
        self._pending["acked"].append(
            (
                n,
                hash(event.conversation_id),
                hash(event.client_msg_id),
                event.at,
                hash(event.server_msg_id),
                event.send_time,
            )
        )

    def _failed(self, n: int, event: Failed) -> None:
        self.failed += 1

    def _stored_seen(self, n: int, event: StoredSeen) -> None:
        self._pending["claim"].append(
            (
                n,
                hash(event.conversation_id),
                event.seq,
                hash(event.client_msg_id),
                hash(event.server_msg_id),
                hash(event.send_id),
                event.send_time,
                event.foreign,
                1,
            )
        )

    def _store_pulled(self, n: int, event: StorePulled) -> None:
        self._pending["pulled"].append((hash(event.conversation_id),))

    def _seqs_answered(self, n: int, event: SeqsAnswered) -> None:
        self._pending["answered"].append(
            (
                n,
                hash(event.conversation_id),
                hash(event.user_id),
                event.at,
                event.answered_at or event.at,
                event.max_seq,
                event.read_seq,
            )
        )

    def _marked_read(self, n: int, event: MarkedRead) -> None:
        self._pending["marked"].append(
            (n, hash(event.conversation_id), hash(event.user_id), event.at, event.answered_at, event.seq)
        )


def _paired(
    conv: int, user: int, joins: list[tuple[int, int]], leaves: list[tuple[int, int]]
) -> Iterator[tuple[int, ...]]:
    """Conversation, user, must from, must to, may from, may to: the n-th joining ends with the n-th leaving."""
    joins.sort()
    leaves.sort()
    if len(leaves) > len(joins):
        joins.insert(0, (0, -1))
    for number, (begin, maybe_begin) in enumerate(joins):
        end, maybe_end = leaves[number] if number < len(leaves) else (FOREVER, -1)
        yield (
            conv,
            user,
            begin,
            end,
            begin if maybe_begin < 0 else min(begin, maybe_begin),
            max(end, maybe_end),
        )
