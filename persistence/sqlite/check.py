"""Checks whether a data directory keeps the store's promises. It only reads, so the node may run meanwhile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import apsw

from greenroom.persistence.errors import StoreDamaged, StoreUnavailable
from greenroom.persistence.sqlite.damage import copy_advice, examine, is_unmade
from greenroom.persistence.sqlite.place import LAST_EVENT, LAST_MESSAGE
from greenroom.persistence.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION
from greenroom.persistence.sqlite.statements import connect, describe, is_damage, verifies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenroom.persistence.sqlite.statements import SqliteConnection

__all__ = ["FINDINGS_LIMIT", "Finding", "check", "check_connection", "check_pages"]

FINDINGS_LIMIT: Final = 1_000
"""The check stops after this number of findings."""


class Finding(NamedTuple):
    subject: str
    """The subject of the problem: a conversation, a log, a table, the file."""
    detail: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.detail}"


RULES: Final[tuple[tuple[str, str], ...]] = (
    (
        # A key belongs to one message, so no message is stored twice. The "+" removes the column's affinity. With the
        # affinity, SQLite would compare the name with every key of the conversation instead of using the index.
        "a message is not found by its seq, or not by its client message id",
        """SELECT 'conversation ' || coalesce(c.conversation_id, m.conversation), 'seq ' || m.seq
            FROM message m LEFT JOIN conversation c ON c.id = m.conversation
            WHERE m.id IS NOT (SELECT message FROM message_key
                WHERE conversation = m.conversation AND sender = 0 AND name = +m.seq)
            OR m.id IS NOT (SELECT message FROM message_key
                WHERE conversation = m.conversation AND sender = m.sender AND name = coalesce(m.client, m.seq))""",
    ),
    (
        "a key of no message",
        """SELECT 'conversation ' || coalesce(c.conversation_id, k.conversation), iif(k.sender, 'a client id', k.name)
            FROM message_key k LEFT JOIN message m ON m.id = k.message
            LEFT JOIN conversation c ON c.id = k.conversation
            WHERE m.conversation IS NOT k.conversation OR k.sender NOT IN (0, m.sender)
            OR k.name IS NOT iif(k.sender, coalesce(m.client, m.seq), m.seq)""",
    ),
    (
        "messages of an unknown conversation",
        """SELECT 'conversation ' || conversation, count(*) FROM message_key
            WHERE conversation NOT IN (SELECT id FROM conversation) AND sender = 0 GROUP BY conversation""",
    ),
    (
        "messages of an unknown sender",
        """SELECT 'conversation ' || conversation, 'seq ' || seq FROM message
            WHERE sender NOT IN (SELECT id FROM user)""",
    ),
    (
        "notifications that belong to no key",
        """SELECT 'conversation ' || c.conversation_id, '' FROM conversation c WHERE c.conversation_id GLOB 'n_*'
            AND c.id NOT IN (SELECT twin FROM key WHERE twin IS NOT NULL)
            AND EXISTS (SELECT 1 FROM message_key WHERE conversation = c.id AND sender = 0)""",
    ),
    (
        "a key has other notifications than its own",
        """SELECT y.kind || ' ' || y.name, coalesce(c.conversation_id, y.twin) FROM key y
            LEFT JOIN conversation c ON c.id = y.twin
            WHERE y.twin IS NOT NULL AND (c.id IS NULL OR c.conversation_id NOT GLOB 'n_*')""",
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
        "the member count is wrong",
        """SELECT 'group ' || g.group_id, g.member_count || ' is stored' FROM chat_group g
            WHERE g.member_count <> (SELECT count(*) FROM member m WHERE m.chat_group = g.id)""",
    ),
    (
        "the owner is wrong",
        """SELECT 'group ' || g.group_id, g.owner_user_id || ' is stored' FROM chat_group g
            WHERE g.owner_user_id <> coalesce((SELECT u.user_id FROM member m JOIN user u ON u.id = m.user
                WHERE m.chat_group = g.id AND m.role_level = 100), '')""",
    ),
    (
        "an event was noted after a message that was never stored",
        f"SELECT 'event ' || id, kind FROM event WHERE message > {LAST_MESSAGE}",
    ),
    (
        "a subscriber is ahead of all events",
        f"""SELECT 'subscriber ' || name, message || '.' || event FROM subscriber
            WHERE message > {LAST_MESSAGE} OR event > {LAST_EVENT}""",
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
"""(broken rule, query for subject and detail). In a sound store, each query returns no rows."""


def check(path: Path | str) -> list[Finding]:
    """All problems of a data directory (or of a database file), at most FINDINGS_LIMIT findings.

    The memory that it needs does not grow with the store. Raises StoreUnavailable if there is no database to check.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "greenroom.db"
    if not file.is_file():
        raise StoreUnavailable(f"{file}: no database")
    if is_unmade(file):
        raise StoreUnavailable(f"{file}: was not made completely; the next start makes it again")
    try:
        examine(file)
    except StoreDamaged as damage:
        return [Finding("database", str(damage))]
    except apsw.Error as error:
        return [_unreadable("database", error)]
    try:
        connection = connect(file, read_only=True)
    except apsw.Error as error:
        if is_damage(error):
            return [Finding("database", f"cannot be read: {describe(error)}{copy_advice(file)}")]
        raise StoreUnavailable(f"{file}: {error}") from error
    try:
        # All queries read the same snapshot, even if the node writes meanwhile.
        connection.execute("BEGIN")
        found = check_connection(connection)
        if not found and not verifies(connection):
            found.append(Finding("database", "its header hides the checksums of its pages"))
        return found
    finally:
        connection.close()


def check_connection(connection: SqliteConnection) -> list[Finding]:
    """The same as `check` for an open database, which may be in memory."""
    findings: list[Finding] = []
    try:
        for finding in _findings(connection):
            findings.append(finding)
            if len(findings) == FINDINGS_LIMIT:
                break
    except apsw.Error as error:
        findings.append(_unreadable("database", error))
    return findings


def _findings(connection: SqliteConnection) -> Iterator[Finding]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
        yield Finding("database", f"schema {version} of program {application:#x}, not {SCHEMA_VERSION}")
        return
    damaged = False
    for finding in check_pages(connection):
        damaged = True
        yield finding
    if damaged:
        yield from _lost_messages(connection)
    try:
        yield from _seqs(connection)
    except apsw.Error as error:
        yield _unreadable("table message or conversation", error)
    for rule, query in RULES:
        try:
            for subject, detail in connection.execute(query):
                yield Finding(str(subject), f"{rule}: {detail}" if detail != "" else rule)
        except apsw.Error as error:
            yield _unreadable(f"rule ({rule})", error)


def _unreadable(subject: str, error: apsw.Error) -> Finding:
    return Finding(subject, f"cannot be read: {describe(error)}")


def check_pages(connection: SqliteConnection) -> Iterator[Finding]:
    """Problems that SQLite's own check finds: it verifies the checksum of every page, and the links between pages."""
    tables = dict(connection.execute("SELECT rootpage, tbl_name FROM sqlite_schema WHERE rootpage"))
    for (verdict,) in connection.execute("PRAGMA integrity_check"):
        for line in verdict.splitlines():
            if line != "ok" and not line.startswith("***"):
                tree = re.match(r"Tree (\d+) ", line)
                table = tables.get(int(tree[1])) if tree else None
                yield Finding(f"table {table}" if table else "database", line)


def _lost_messages(connection: SqliteConnection) -> Iterator[Finding]:
    """One finding for each conversation with messages on damaged pages."""
    for number, name in connection.execute("SELECT id, conversation_id FROM conversation").fetchall():
        if _can_read(connection, number, "1"):
            continue
        try:
            asked = connection.execute(
                "SELECT name FROM message_key WHERE conversation = ? AND sender = 0 ORDER BY name", (number,)
            )
            lost = [seq for (seq,) in asked.fetchall() if not _can_read(connection, number, f"name = {seq}")]
        except apsw.Error as error:
            yield _unreadable(f"conversation {name}", error)
            continue
        if lost:
            yield Finding(f"conversation {name}", f"{len(lost)} messages cannot be read, the first is {lost[0]}")


def _can_read(connection: SqliteConnection, conversation: int, which: str) -> bool:
    asked = (
        "SELECT m.* FROM message_key k CROSS JOIN message m ON m.id = k.message"
        f" WHERE k.conversation = ? AND k.sender = 0 AND {which}"
    )
    try:
        for _ in connection.execute(asked, (conversation,)):
            pass
    except apsw.Error:
        return False
    return True


def _seqs(connection: SqliteConnection) -> Iterator[Finding]:
    """Check that the seqs of each conversation have no gap, and that their times never go back."""
    rows = connection.execute(
        "SELECT c.conversation_id, max(c.min_seq, 1), k.name, m.seq, m.send_time FROM conversation c"
        " CROSS JOIN message_key k ON k.conversation = c.id AND k.sender = 0 LEFT JOIN message m ON m.id = k.message"
        " ORDER BY c.id, k.name"
    )
    name: str | None = None
    seq = time = 0
    for row in rows:
        if row[0] != name:
            name, seq, time = row[0], row[1] - 1, 0
        subject = f"conversation {name}"
        if row[2] != seq + 1:
            yield Finding(subject, f"seq {row[2]} comes after {seq}")
        seq = row[2]
        if row[3] != seq:
            yield Finding(subject, f"seq {seq} is missing")
            continue
        if row[4] < time:
            yield Finding(subject, f"seq {seq} is of {row[4]}, before {time}")
        time = row[4]
