"""What tells a damaged file from a sound one, cheaply enough for each start and each read."""

from __future__ import annotations

import sqlite3
import zlib
from typing import TYPE_CHECKING, Any

from greenroom.persistence.errors import StoreDamaged
from greenroom.persistence.mark import read_mark
from greenroom.persistence.schema import instance_of, stored_commits
from greenroom.persistence.statements import connect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["examine", "message_sum", "verify"]


def message_sum(
    conversation: int, seq: int, sender: int, client: bytes | None, server: bytes | str, send_time: int,
    content_type: int, body: bytes,
) -> int:  # fmt: skip
    """Over everything of a message that never changes."""
    if isinstance(server, str):
        server = server.encode()
    rest = b"%d %d %d %d %d %b %b" % (conversation, seq, sender, send_time, content_type, client or b"", server)
    return zlib.crc32(body, zlib.crc32(rest))


def examine(database: Path) -> None:
    """Raises StoreDamaged if the files cannot hold what was committed, before anything is written to them.
    Its cost does not grow with the store, but for a recovery of the log that any opening needs."""
    mark = read_mark(database)
    try:
        size = database.stat().st_size
    except FileNotFoundError:
        size = 0
    if not size:
        if mark is not None:
            raise StoreDamaged(f"{database} is missing or empty; it should hold {mark[1]} commits")
        return
    log = database.with_name(f"{database.name}-wal")
    with database.open("rb") as file:
        header = file.read(100)
    page = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    if not (log.exists() and log.stat().st_size) and size < pages * (65_536 if page == 1 else page):
        raise StoreDamaged(f"{database} is cut: {size} bytes, where its header says {pages} pages of {page}")
    if mark is None:
        return
    connection = connect(database, read_only=True)
    try:
        instance, commits = instance_of(connection), stored_commits(connection)
    except sqlite3.OperationalError as error:
        raise StoreDamaged(f"{database} or {log.name}: {error}; they should hold {mark[1]} commits") from error
    finally:
        connection.close()
    if instance != mark[0]:
        raise StoreDamaged(f"{database} is another database than {database.name}-mark says")
    if commits < mark[1]:
        raise StoreDamaged(f"{log} is damaged: {commits} of {mark[1]} commits can be recovered")


def verify(conversation_id: str, row: Sequence[Any]) -> None:
    """A row of (conversation, seq, sender, client, server, send_time, content_type, body, sum)."""
    if row[8] is not None:
        try:
            sound = message_sum(*row[:8]) == row[8]
        except (TypeError, AttributeError):
            sound = False
        if not sound:
            raise StoreDamaged(f"conversation {conversation_id}: message {row[1]} is damaged")
