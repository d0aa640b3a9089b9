"""The tables of a judgement: each event is a row of integers on disk. Memory is bounded.

Ids are stored as their 64-bit hashes. The probability that two of ten million ids have the same hash is three in a
million. A second reading of the history finds the names for the report.
"""

from __future__ import annotations

import sqlite3
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from greenroom.transport.load.judge.events import (
    DeviceDrained,
    DeviceStarted,
    Event,
    HistoryPart,
    MarkedRead,
    MemberJoined,
    MemberLeft,
    MessageReceived,
    SendAcked,
    SendFailed,
    SendStarted,
    SeqsAnswered,
    StoredSeen,
    StoreGrowing,
    StorePulled,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

__all__ = ["FOREVER", "HistoryTables"]

FOREVER: Final = 1 << 62
"""A seq that no conversation reaches."""
_BATCH_ROWS: Final = 5_000
_SEEN_BYTES: Final = 96
"""Memory for one claim in the set of recent claims."""

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
"""A claim says that a message has a certain seq: either it is stored with that seq, or a device received it with that
seq. The same claim by many receivers becomes one row, or a few."""

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
    # The first SendStarted of each message. (SQLite takes the bare columns from the row of the minimum.)
    """CREATE TABLE message (conv INT, msg INT, n INT, dev INT, user INT, at INT, stored INT,
        PRIMARY KEY (conv, msg)) WITHOUT ROWID""",
    """INSERT INTO message SELECT s.conv, s.msg, s.n, s.dev, d.user, s.at, s.stored FROM
        (SELECT conv, msg, min(n) AS n, dev, at, stored FROM sent GROUP BY conv, msg) s
        LEFT JOIN device d ON d.dev = s.dev""",
    """CREATE INDEX acked_by_message ON acked (conv, msg, server, send_time)""",
    """CREATE INDEX claim_by_message ON claim (conv, msg, seq)""",
    # The message at each seq: the stored one, or else the one that was first received with that seq.
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

_ROWS: Final[dict[type, tuple[str, Callable[[int, Any], tuple[int, ...]]]]] = {
    DeviceStarted: ("device", lambda n, e: (hash(e.device), hash(e.user_id), e.at, e.from_start, e.hears_itself)),
    DeviceDrained: ("drained", lambda n, e: (hash(e.device),)),
    MemberJoined: (
        "border",
        lambda n, e: (n, hash(e.conversation_id), hash(e.user_id), e.from_seq, e.maybe_from_seq, 0),
    ),
    MemberLeft: (
        "border",
        lambda n, e: (n, hash(e.conversation_id), hash(e.user_id), e.last_seq, e.maybe_last_seq, 1),
    ),
    SendStarted: (
        "sent",
        lambda n, e: (n, hash(e.conversation_id), hash(e.client_msg_id), hash(e.device), e.at, e.stored),
    ),
    SendAcked: (
        "acked",
        lambda n, e: (
            n, hash(e.conversation_id), hash(e.client_msg_id), e.at, hash(e.server_msg_id), e.send_time,
        ),
    ),
    StoredSeen: (
        "claim",
        lambda n, e: (
            n, hash(e.conversation_id), e.seq, hash(e.client_msg_id), hash(e.server_msg_id), hash(e.send_id),
            e.send_time, e.foreign, 1,
        ),
    ),
    StorePulled: ("pulled", lambda n, e: (hash(e.conversation_id),)),
    SeqsAnswered: (
        "answered",
        lambda n, e: (
            n, hash(e.conversation_id), hash(e.user_id), e.at, e.answered_at or e.at, e.max_seq, e.read_seq,
        ),
    ),
    MarkedRead: (
        "marked",
        lambda n, e: (n, hash(e.conversation_id), hash(e.user_id), e.at, e.answered_at, e.seq),
    ),
}  # fmt: skip
"""The table of each class of events, and its row for the n-th event of the history."""


class HistoryTables:
    """The rows of one history. Call `load`, then `derive`, then query with `rows`."""

    def __init__(self, folder: Path, *, memory_limit_bytes: int) -> None:
        self.failed = 0
        self.events = 0
        self.was_growing = False
        """Whether the server was still storing messages when the drain ended."""
        self._parts = 0
        self._parts_seen: set[int] = set()
        self.last_drain_at = -1
        """When the last device reached the end of the drain; -1 if no device did."""
        self._db = sqlite3.connect(folder / "judge.sqlite", isolation_level=None, check_same_thread=False)
        for pragma in (
            "page_size = 8192",
            "journal_mode = OFF",
            "synchronous = OFF",
            "locking_mode = EXCLUSIVE",
            "secure_delete = OFF",
            "temp_store = FILE",
            # A quarter of the memory is for the page cache; a sort takes the same amount again.
            f"cache_size = -{max(memory_limit_bytes // 4, 1 << 20) // 1024}",
        ):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        self._pending: dict[str, list[tuple[int, ...]]] = {table: [] for table in _INSERTS}
        self._seen: set[int] = set()
        self._seen_limit = max(memory_limit_bytes // 8 // _SEEN_BYTES, 1_000)

    def close(self) -> None:
        self._db.close()

    @property
    def missing_parts(self) -> list[int]:
        """Files of the history that were not given."""
        return [part for part in range(self._parts) if part not in self._parts_seen]

    def rows(self, query: str, *values: int) -> Iterator[Any]:
        return self._db.execute(query, values)

    def one(self, query: str, *values: int) -> Any:
        """The first row, or None."""
        return self._db.execute(query, values).fetchone()

    def number(self, query: str) -> int:
        """The number that is the only result of the query; 0 for NULL."""
        return int(self._db.execute(query).fetchone()[0] or 0)

    def load(self, events: Iterable[Event]) -> None:
        self._db.execute("BEGIN")
        pending = self._pending
        n = 0
        for n, event in enumerate(events, 1):
            if isinstance(event, MessageReceived):
                self._add_receipt(n, event)
            elif isinstance(event, SendFailed):
                self.failed += 1
            elif isinstance(event, StoreGrowing):
                self.was_growing = True
            elif isinstance(event, HistoryPart):
                self._parts_seen.add(event.part)
                self._parts = max(self._parts, event.parts)
            else:
                table, row = _ROWS[type(event)]
                pending[table].append(row(n, event))
                if isinstance(event, DeviceDrained):
                    self.last_drain_at = max(self.last_drain_at, event.at)
            if not n % _BATCH_ROWS:
                self._write()
        self.events = n
        self._write()
        # Only now does every device have its row.
        self._db.executemany(_INSERTS["drained"], pending["drained"])
        pending["drained"].clear()
        self._db.execute("COMMIT")
        self._seen.clear()

    def derive(self, *, is_whole: bool) -> None:
        """Make the tables that combine several events.

        is_whole: no event is missing from the history. So if any stored message of a conversation was seen, all were.
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

    def _add_receipt(self, n: int, event: MessageReceived) -> None:
        conv, msg, seq = hash(event.conversation_id), hash(event.client_msg_id), event.seq
        self._pending["received"].append((n, conv, hash(event.device), seq, msg))
        claim = hash((conv, seq, msg, event.server_msg_id, event.send_id, event.send_time, event.foreign))
        if claim not in self._seen:
            if len(self._seen) >= self._seen_limit:
                self._seen.clear()
            self._seen.add(claim)
            server, sender = hash(event.server_msg_id), hash(event.send_id)
            self._pending["claim"].append((n, conv, seq, msg, server, sender, event.send_time, event.foreign, 0))

    def _write(self) -> None:
        for table, rows in self._pending.items():
            if rows and table != "drained":
                self._db.executemany(_INSERTS[table], rows)
                rows.clear()

    def _spans(self) -> Iterator[tuple[int, ...]]:
        """The rows of `span`: the memberships of each user in each conversation."""
        borders = self._db.execute("SELECT conv, user, seq, maybe, leaves FROM border ORDER BY conv, user")
        for (conv, user), group in groupby(borders, key=itemgetter(0, 1)):
            joins: list[tuple[int, int]] = []
            leaves: list[tuple[int, int]] = []
            for _, _, seq, maybe, is_leave in group:
                (leaves if is_leave else joins).append((seq, maybe))
            yield from _paired(conv, user, joins, leaves)


def _paired(
    conv: int, user: int, joins: list[tuple[int, int]], leaves: list[tuple[int, int]]
) -> Iterator[tuple[int, ...]]:
    """Rows of `span`. The n-th membership begins with the n-th joining and ends with the n-th leaving."""
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
