"""One SQLite connection: how it is opened, and statements over many rows at once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["MEMORY", "connect", "each", "many"]

MEMORY: Final = ":memory:"

ROWS_LIMIT: Final = 128
"""Rows of the largest statement; a power of two. More gains nothing measurable."""
STATEMENTS_LIMIT: Final = 512
"""Prepared statements kept: about 25 of `many`, in 8 sizes each, and the single ones."""
BUSY_TIMEOUT_S: Final = 2.0
"""Wait for another connection's write lock; only openings and checks hold it beside the writer."""
CACHE_KIB: Final = 32_768
"""Pages kept by each connection; the interior of all indexes of some ten million messages."""


def connect(path: Path | str, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode; transactions are written out. It may move between threads."""
    if str(path) == MEMORY:
        source, uri = MEMORY, False
    else:
        quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        source, uri = f"file:{quoted}?mode={'ro' if read_only else 'rwc'}", True
    connection = sqlite3.connect(
        source,
        uri=uri,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        cached_statements=STATEMENTS_LIMIT,
        check_same_thread=False,
    )
    try:
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def many(
    connection: sqlite3.Connection, statement: str, row: str, values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """As `each`, with all that the statements return as one list."""
    found: list[tuple[Any, ...]] = []
    for cursor in each(connection, statement, row, values):
        found += cursor.fetchall()
    return found


def each(
    connection: sqlite3.Connection, statement: str, row: str, values: Sequence[Any]
) -> Iterator[sqlite3.Cursor]:
    """Run `statement`, in which `{}` stands for rows of the shape `row`, over all values (rows laid flat).

    It runs in sizes that are powers of two, so that a few prepared statements serve every number of rows.
    A cursor is good until the next one is asked for.
    """
    width = row.count("?")
    left = len(values) // width
    start = 0
    while left:
        size = ROWS_LIMIT if left >= ROWS_LIMIT else 1 << (left.bit_length() - 1)
        end = start + size * width
        part = values if size == left and not start else values[start:end]
        with closing(connection.execute(_text(statement, row, size), part)) as cursor:
            yield cursor
        start = end
        left -= size


@lru_cache(STATEMENTS_LIMIT)
def _text(statement: str, row: str, size: int) -> str:
    return statement.format(", ".join([row] * size))
