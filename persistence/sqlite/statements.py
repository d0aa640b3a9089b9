"""One SQLite connection: how it is opened, and statements over many rows at once."""

from __future__ import annotations

import os
from contextlib import closing
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import apsw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = [
    "MEMORY",
    "Cursor",
    "SqliteConnection",
    "connect",
    "describe",
    "each",
    "is_damage",
    "many",
    "reserve_checksums",
    "verifies",
]  # fmt: skip

MEMORY: Final = ":memory:"

ROWS_LIMIT: Final = 128
"""Rows of the largest statement, a power of two. More rows gain nothing measurable."""
STATEMENTS_LIMIT: Final = 512
"""Prepared statements kept: about 25 of `many` in 8 sizes each, and the single ones."""
BUSY_TIMEOUT_S: Final = 2.0
"""How long to wait for another connection's write lock. Beside the writer only openings and checks hold it."""
CHECKSUM_BYTES: Final = 8
"""Room at the end of each page; the VFS needs exactly so many."""
CACHE_KIB: Final = 32_768
"""Pages that each connection keeps: the inner pages of all indexes of some ten million messages."""


class Cursor(Protocol):
    """The part of APSW's cursor that is used. Its rows are of any type."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def close(self) -> None: ...

    def __iter__(self) -> Iterator[Any]: ...


class SqliteConnection(Protocol):
    @property
    def filename(self) -> str: ...

    @property
    def in_transaction(self) -> bool: ...

    def execute(self, statement: str, values: Any = ..., /) -> Cursor: ...

    def executemany(self, statement: str, rows: Any, /) -> Cursor: ...

    def changes(self) -> int: ...

    def set_wal_hook(self, hook: Any, /) -> None: ...

    def reserve_bytes(self, schema: str | None = ..., reserve: int = ...) -> int: ...

    def close(self) -> None: ...


def connect(path: Path | str, *, read_only: bool = False) -> SqliteConnection:
    """A connection in autocommit mode; transactions are written out. It may move between threads.

    Each page of a file ends in a checksum, made when the page is written to it and verified whenever it is read
    from it; one that is wrong ends the statement with an error (see `is_damage`). The pages of the log have
    SQLite's own, which are verified when the log is recovered.
    """
    access = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), access, vfs=_checksums(), statementcachesize=STATEMENTS_LIMIT)
    try:
        connection.set_busy_timeout(int(1e3 * BUSY_TIMEOUT_S))
        # Otherwise SQLite prepares a statement again whenever a value changes that its plan might depend on.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        if not read_only:
            reserve_checksums(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def reserve_checksums(connection: SqliteConnection) -> None:
    """Make room for checksums in the pages of a new file, or of an old one at the next VACUUM."""
    connection.reserve_bytes(reserve=CHECKSUM_BYTES)


def verifies(connection: SqliteConnection) -> bool:
    """Whether pages that are read from the file are compared with their checksums."""
    return bool(connection.execute("PRAGMA checksum_verification").fetchone() == ("1",))


def is_damage(error: BaseException) -> bool:
    """Whether the disk answered, but with other bytes than were written."""
    code = getattr(error, "extendedresult", 0)
    return code == apsw.SQLITE_IOERR_DATA or code & 0xFF in {apsw.SQLITE_CORRUPT, apsw.SQLITE_NOTADB}


def describe(error: apsw.Error) -> str:
    """The error with SQLite's name for it. Holds no content of rows."""
    code: int = getattr(error, "extendedresult", apsw.SQLITE_ERROR)
    name = apsw.mapping_extended_result_codes.get(code) or apsw.mapping_result_codes[code & 0xFF]
    return f"a page is damaged ({name})" if is_damage(error) else f"{name}: {error}"


@cache
def _checksums() -> str:
    """The name of the VFS that keeps the checksums; it comes with APSW as an extension."""
    connection = apsw.Connection(MEMORY)
    connection.enable_load_extension(True)
    connection.load_extension(os.path.join(os.path.dirname(apsw.__file__), "sqlite_extra_binaries", "cksumvfs"))
    connection.close()
    return "cksmvfs"


def many(
    connection: SqliteConnection, statement: str, row: str, values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """As `each`, but gives all rows that the statements return, in one list."""
    found: list[tuple[Any, ...]] = []
    for cursor in each(connection, statement, row, values):
        found += cursor.fetchall()
    return found


def each(
    connection: SqliteConnection, statement: str, row: str, values: Sequence[Any]
) -> Iterator[Cursor]:
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
