"""Whether a data directory holds what the store promises. Reads only; a running node may go on meanwhile."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from greenroom.persistence.damage import examine, verify
from greenroom.persistence.errors import StoreDamaged, StoreUnavailable
from greenroom.persistence.schema import APPLICATION_ID, SCHEMA_VERSION
from greenroom.persistence.statements import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FINDINGS_LIMIT", "Finding", "check", "check_connection"]

FINDINGS_LIMIT: Final = 1_000
"""The check ends here: what is broken so often is broken."""


class Finding(NamedTuple):
    subject: str
    """What is wrong: a conversation, a log, the file."""
    detail: str


RULES: Final[tuple[tuple[str, str], ...]] = (
    (
        "a client message id is stored twice in a conversation",
        """SELECT 'conversation ' || c.conversation_id, 'sender ' || u.user_id FROM (
            SELECT conversation, sender FROM message WHERE client IS NOT NULL
            GROUP BY conversation, sender, client HAVING count(*) > 1) m
            LEFT JOIN conversation c ON c.id = m.conversation LEFT JOIN user u ON u.id = m.sender""",
    ),
    (
        "messages of an unknown conversation",
        """SELECT 'conversation ' || conversation, count(*) FROM message
            WHERE conversation NOT IN (SELECT id FROM conversation) GROUP BY conversation""",
    ),
    (
        "messages of an unknown sender",
        """SELECT 'conversation ' || conversation, 'seq ' || seq FROM message
            WHERE sender NOT IN (SELECT id FROM user)""",
    ),
    (
        "an entry is newer than its log",
        """SELECT 'log ' || e.log || ' of ' || e.owner, e.entry || ' at ' || e.version FROM version_entry e
            LEFT JOIN version_log l ON l.log = e.log AND l.owner = e.owner
            WHERE l.version IS NULL OR e.version > l.version""",
    ),
    (
        "a log of an unknown owner",
        """SELECT 'log ' || log || ' of ' || owner, version FROM version_log
            WHERE owner NOT IN (SELECT id FROM user) AND log <> 2
            OR owner NOT IN (SELECT id FROM chat_group) AND log = 2""",
    ),
    (
        "a member of an unknown group, or an unknown user as one",
        """SELECT 'group ' || chat_group, 'user ' || user FROM member
            WHERE chat_group NOT IN (SELECT id FROM chat_group) OR user NOT IN (SELECT id FROM user)""",
    ),
    (
        "the member count is another",
        """SELECT 'group ' || g.group_id, g.member_count || ' is stored' FROM chat_group g
            WHERE g.member_count <> (SELECT count(*) FROM member m WHERE m.chat_group = g.id)""",
    ),
    (
        "a record of an unknown owner, peer or conversation",
        """SELECT 'record of ' || owner, 'conversation ' || conversation FROM record
            WHERE owner NOT IN (SELECT id FROM user) OR conversation NOT IN (SELECT id FROM conversation)
            OR peer NOT IN (SELECT id FROM user)""",
    ),
    (
        "a read seq of an unknown user or conversation",
        """SELECT 'user ' || user, 'conversation ' || conversation FROM read
            WHERE user NOT IN (SELECT id FROM user) OR conversation NOT IN (SELECT id FROM conversation)""",
    ),
    (
        "a token, friend or black of an unknown user",
        """SELECT 'user ' || owner, '' FROM (SELECT user AS owner FROM token
            UNION SELECT owner FROM friend UNION SELECT friend FROM friend
            UNION SELECT owner FROM black UNION SELECT blocked FROM black)
            WHERE owner NOT IN (SELECT id FROM user)""",
    ),
    (
        "the numbers of registered users have a gap",
        """SELECT 'users', count(*) || ' of ' || max(registered) FROM user WHERE registered IS NOT NULL
            HAVING count(*) <> max(registered)""",
    ),
)
"""What must give no rows: (rule, query of subject and detail)."""


def check(path: Path | str) -> list[Finding]:
    """Everything that is wrong with a data directory (or a database file), at most FINDINGS_LIMIT findings.

    It streams: memory does not grow with the store. Raises StoreUnavailable if there is nothing to check.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "greenroom.db"
    if not file.is_file():
        raise StoreUnavailable(f"{file}: no database")
    try:
        examine(file)
    except StoreDamaged as damage:
        return [Finding("database", str(damage))]
    except sqlite3.DatabaseError as error:
        return [Finding("database", f"{type(error).__name__}: {error}")]
    try:
        connection = connect(file, read_only=True)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{file}: {error}") from error
    try:
        # One moment for all queries, whatever is written meanwhile.
        connection.execute("BEGIN")
        return check_connection(connection)
    finally:
        connection.close()


def check_connection(connection: sqlite3.Connection) -> list[Finding]:
    """The same of an open database, which may be in memory."""
    findings: list[Finding] = []
    try:
        for finding in _findings(connection):
            findings.append(finding)
            if len(findings) == FINDINGS_LIMIT:
                break
    except sqlite3.Error as error:
        findings.append(Finding("database", f"{type(error).__name__}: {error}"))
    return findings


def _findings(connection: sqlite3.Connection) -> Iterator[Finding]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
        yield Finding("database", f"schema {version} of program {application:#x}, not {SCHEMA_VERSION}")
        return
    for (verdict,) in connection.execute("PRAGMA integrity_check"):
        if verdict != "ok":
            yield Finding("database", verdict)
    yield from _sums(connection)
    yield from _seqs(connection)
    for rule, query in RULES:
        for subject, detail in connection.execute(query):
            yield Finding(str(subject), f"{rule}: {detail}" if detail != "" else rule)


def _sums(connection: sqlite3.Connection) -> Iterator[Finding]:
    rows = connection.execute(
        "SELECT conversation, seq, sender, client, server, send_time, content_type, body, sum FROM message"
    )
    for row in rows:
        try:
            verify(f"{row[0]}", row)
        except StoreDamaged as damage:
            yield Finding(f"conversation {row[0]}", str(damage))


def _seqs(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Each conversation's messages: seqs without a gap up to its max seq, times that never go back."""
    rows = connection.execute(
        "SELECT c.conversation_id, c.max_seq, max(c.min_seq, 1), c.max_seq_time, m.seq, m.send_time"
        " FROM conversation c LEFT JOIN message m ON m.conversation = c.id ORDER BY c.id, m.seq"
    )
    name: str | None = None
    seq = max_seq = time = max_seq_time = 0
    for row in rows:
        if row[0] != name:
            if name is not None:
                yield from _end(name, seq, max_seq, time, max_seq_time)
            name, max_seq, first, max_seq_time = row[:4]
            seq, time = first - 1, 0
        if row[4] is None:
            continue
        if row[4] != seq + 1:
            yield Finding(f"conversation {name}", f"seq {row[4]} comes after {seq}")
        if row[5] < time:
            yield Finding(f"conversation {name}", f"seq {row[4]} is of {row[5]}, before {time}")
        seq, time = row[4], row[5]
    if name is not None:
        yield from _end(name, seq, max_seq, time, max_seq_time)


def _end(name: str, seq: int, max_seq: int, time: int, max_seq_time: int) -> Iterator[Finding]:
    if max_seq and seq != max_seq:
        yield Finding(f"conversation {name}", f"max seq {max_seq}, but its last message is {seq}")
    if not max_seq and seq:
        yield Finding(f"conversation {name}", f"max seq 0, but its last message is {seq}")
    if seq == max_seq and time != max_seq_time:
        yield Finding(
            f"conversation {name}", f"max seq time {max_seq_time}, but its last message is of {time}"
        )
