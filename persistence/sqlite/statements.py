"""SQLite connections: how they are opened, and statements for many rows at once."""

from __future__ import annotations

import os
from contextlib import closing
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import apsw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = [
    "BUSY_TIMEOUT_S",
    "MEMORY",
    "Cursor",
    "SqliteConnection",
    "connect",
    "copy_pages",
    "describe",
    "each",
    "is_damage",
    "many",
    "reserve_checksums",
    "verifies",
]  # fmt: skip

MEMORY: Final = ":memory:"

ROWS_LIMIT: Final = 128
"""Number of rows of the largest statement, a power of two. More rows are not measurably faster."""
STATEMENTS_LIMIT: Final = 512
"""Number of prepared statements in the cache: about 25 for `many` in 8 sizes each, and the others."""
BUSY_TIMEOUT_S: Final = 2.0
"""Limit for the wait for another connection's write lock. Apart from the writer, only openings and checks hold it."""
CHECKSUM_BYTES: Final = 8
"""Reserved bytes at the end of each page. The VFS needs exactly this number."""
COPIED_PAGES: Final = 1_024
"""Number of pages that one step of a copy copies."""
CACHE_KIB: Final = 32_768
"""Page cache of each connection: enough for the inner pages of all indexes of some ten million messages."""


class Cursor(Protocol):
    """The part of APSW's cursor that the store uses. Its rows are of any type."""

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

    def set_busy_timeout(self, milliseconds: int, /) -> None: ...

    def set_wal_hook(self, hook: Any, /) -> None: ...

    def reserve_bytes(self, schema: str | None = ..., reserve: int = ...) -> int: ...

    def close(self) -> None: ...


def connect(path: Path | str, *, read_only: bool = False, create: bool = True) -> SqliteConnection:
    """Open a connection in autocommit mode: transactions are explicit. It may move between threads. `create`: make the
    file if it is missing.

    Each page of the file ends in a checksum, which is set when the page is written and verified whenever it is read.
    After a wrong one the statement fails (see `is_damage`). The pages in the log have SQLite's own checksums, which are
    verified when the log is recovered.
    """
    access = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
    if create and not read_only:
        access |= apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), access, vfs=_checksums(), statementcachesize=STATEMENTS_LIMIT)
    try:
        connection.set_busy_timeout(int(1e3 * BUSY_TIMEOUT_S))
        # Without it SQLite prepares a statement again whenever a value changes on which its plan might depend.
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


def copy_pages(source: Path | str, target: Path | str, *, tell: Callable[[int, int], None]) -> None:
    """Copy a database into an empty file, as it was committed at one moment, with the checksums of its pages. `tell` is
    called with the number of bytes copied and their total. Others may write to the source meanwhile."""
    reader = connect(source, read_only=True)
    writer = apsw.Connection(str(target), apsw.SQLITE_OPEN_READWRITE, vfs=_checksums())
    try:
        writer.reserve_bytes(reserve=CHECKSUM_BYTES)
        for setting in ("journal_mode = OFF", "synchronous = OFF"):  # A copy that is interrupted is dropped.
            writer.execute(f"PRAGMA {setting}")
        # While this transaction lasts, the copy does not begin again when others write.
        reader.execute("BEGIN")
        (page,) = reader.execute("PRAGMA page_size").fetchone()
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        with writer.backup("main", cast("apsw.Connection", reader), "main") as copy:
            while not copy.done:
                copy.step(COPIED_PAGES)
                tell((copy.page_count - copy.remaining) * page, copy.page_count * page)
        # The source's header asks for a log. A copy has none, so that one file has it all.
        writer.execute("PRAGMA journal_mode = DELETE")
    finally:
        reader.close()
        writer.close()


def reserve_checksums(connection: SqliteConnection) -> None:
    """Reserve the bytes of the checksums in the pages of a new file, or (at the next VACUUM) of an old file."""
    connection.reserve_bytes(reserve=CHECKSUM_BYTES)


def verifies(connection: SqliteConnection) -> bool:
    """Whether each page is compared with its checksum when it is read from the file."""
    return bool(connection.execute("PRAGMA checksum_verification").fetchone() == ("1",))


def is_damage(error: BaseException) -> bool:
    """Whether the disk returned other bytes than those that were written."""
    code = getattr(error, "extendedresult", 0)
    return code == apsw.SQLITE_IOERR_DATA or code & 0xFF in {apsw.SQLITE_CORRUPT, apsw.SQLITE_NOTADB}


def describe(error: apsw.Error) -> str:
    """A text for the error, with SQLite's name of it and without content of rows."""
    code: int = getattr(error, "extendedresult", apsw.SQLITE_ERROR)
    name = apsw.mapping_extended_result_codes.get(code) or apsw.mapping_result_codes[code & 0xFF]
    return f"a page is damaged ({name})" if is_damage(error) else f"{name}: {error}"


@cache
def _checksums() -> str:
    """Load the VFS that keeps the checksums, an extension in the APSW package, and return its name."""
    connection = apsw.Connection(MEMORY)
    connection.enable_load_extension(True)
    connection.load_extension(os.path.join(os.path.dirname(apsw.__file__), "sqlite_extra_binaries", "cksumvfs"))
    connection.close()
    return "cksmvfs"


def many(
    connection: SqliteConnection, statement: str, row: str, values: Sequence[Any], *, first: tuple[Any, ...] = ()
) -> list[tuple[Any, ...]]:
    """The same as `each`, but returns the rows of all statements in one list."""
    found: list[tuple[Any, ...]] = []
    for cursor in each(connection, statement, row, values, first=first):
        found += cursor.fetchall()
    return found


def each(
    connection: SqliteConnection, statement: str, row: str, values: Sequence[Any], *, first: tuple[Any, ...] = ()
) -> Iterator[Cursor]:
    """Run `statement`, in which `{}` stands for rows of the form `row`, for all values (of all rows, in one flat list).
    `first` are values of parameters that come before the rows, in each statement.

    Each statement has a power of two as its number of rows, so a few prepared statements are enough for every total.
    A cursor is valid until the next one is requested.
    """
    width = row.count("?")
    remaining = len(values) // width
    start = 0
    while remaining:
        size = ROWS_LIMIT if remaining >= ROWS_LIMIT else 1 << (remaining.bit_length() - 1)
        end = start + size * width
        part = values if size == remaining and not start else values[start:end]
        with closing(connection.execute(_text(statement, row, size), (*first, *part) if first else part)) as cursor:
            yield cursor
        start = end
        remaining -= size


@lru_cache(STATEMENTS_LIMIT)
def _text(statement: str, row: str, size: int) -> str:
    return statement.format(", ".join([row] * size))
