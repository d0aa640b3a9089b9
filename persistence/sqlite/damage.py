"""Finds damaged files when the store is opened, and makes the store's errors from those of reads.

Each page is also verified whenever it is read: see `statements.connect`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import apsw

from greenroom.persistence.errors import StoreDamaged, StoreError, StoreUnavailable
from greenroom.persistence.sqlite.mark import read_mark
from greenroom.persistence.sqlite.schema import instance_of, stored_commits
from greenroom.persistence.sqlite.statements import connect, describe, is_damage

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DamageMet", "copy_advice", "examine", "is_unmade", "store_error"]

log = logging.getLogger("greenroom.persistence")

_NAMED_LIMIT: Final = 1_000
"""Number of log lines about damage. Further lines would contain nothing new."""
_ADVICE: Final = (
    " (if this is a copy that another tool has made: `greenroom backup` copies a node that runs, and"
    " `greenroom restore` puts such a copy in its place)"
)
_FRAME_HEAD_BYTES: Final = 24
_PAGE_BYTES_MIN: Final = 512


def examine(database: Path) -> None:
    """Raises StoreDamaged if committed data is missing in the files. It runs before the first write to them. Its cost
    does not grow with the store, except for the recovery of the log, which every opening needs."""
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
    if not is_unmade(database):
        _find_cut(database, size, log)
    if mark is None:
        return
    connection = connect(database, read_only=True)
    try:
        instance, commits = instance_of(connection), stored_commits(connection)
    except apsw.Error as error:
        if is_damage(error) or isinstance(error, apsw.SQLError):
            told = f"{database} or {log.name}: {describe(error)}; they should hold {mark[1]} commits"
            raise StoreDamaged(f"{told}{_ADVICE}") from error
        raise
    finally:
        connection.close()
    if instance != mark[0]:
        raise StoreDamaged(f"{database} is another database than {database.name}-mark says{_ADVICE}")
    if commits < mark[1]:
        raise StoreDamaged(f"{log} is damaged: {commits} of {mark[1]} commits can be recovered{_ADVICE}")


def copy_advice(database: Path) -> str:
    """What to do if a damaged database may be a copy that another tool has made of a running node."""
    if read_mark(database) is not None:
        return ""
    return f"; {database.name}-mark is missing{_ADVICE}"


def is_unmade(database: Path) -> bool:
    """Whether the creation of the file was interrupted before its first page was complete. That page may then contain
    any bytes, and SQLite undoes it at the next opening. A complete file has a log and never a journal."""
    return database.with_name(f"{database.name}-journal").exists()


def store_error(what: str, error: apsw.Error) -> StoreError:
    """The store's error for a failed statement. `what` names the file and the read."""
    kind = StoreDamaged if is_damage(error) else StoreUnavailable
    return kind(f"{what}: {describe(error)}")


class DamageMet:
    """Counts the reads of one store that fail because of damage, and logs each damage once."""

    def __init__(self) -> None:
        self.met = 0
        """Number of reads that have failed because of damage."""
        self._named: set[str] = set()

    def note(self, error: StoreError) -> None:
        """Count and log an error if it is damage. Other errors are ignored."""
        if not isinstance(error, StoreDamaged):
            return
        self.met += 1
        told = str(error)
        if told not in self._named and len(self._named) < _NAMED_LIMIT:
            self._named.add(told)
            log.error("the store is damaged (`greenroom check` lists the damage): %s", told)


def _find_cut(database: Path, size: int, log: Path) -> None:
    """Raises StoreDamaged if pages are missing at the end of the database. SQLite would read zeros instead of them."""
    with database.open("rb") as file:
        header = file.read(100)
    page = int.from_bytes(header[16:18], "big")
    page = 65_536 if page == 1 else max(page, _PAGE_BYTES_MIN)
    pages = int.from_bytes(header[28:32], "big")
    there = size // page
    if len(header) == 100 and there >= pages:
        return
    # After an interrupted checkpoint, the log still contains the pages that were not copied.
    logged = {number for number in _logged_pages(log) if there < number <= pages}
    if len(header) < 100 or len(logged) < pages - there:
        raise StoreDamaged(f"{database} is cut: {size} bytes, where its header says {pages} pages of {page}")


def _logged_pages(log: Path) -> set[int]:
    """Numbers of the pages in the log, damaged or not."""
    try:
        content = log.read_bytes()
    except FileNotFoundError:
        return set()
    step = _FRAME_HEAD_BYTES + int.from_bytes(content[8:12], "big")
    # Frames with another salt are left from before the last restart of the log.
    return {
        int.from_bytes(content[start : start + 4], "big")
        for start in range(32, len(content), step)
        if content[start + 8 : start + 16] == content[16:24]
    }
