"""Copies of a store: `back_up` copies that of a node, which may run meanwhile; `restore` makes a data directory of one.

A copy is a folder with the database as one file, the mark that says what it must contain, and the node's secret.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import apsw

from greenroom.persistence.data_directory import DataDirectory
from greenroom.persistence.errors import StoreDamaged, StoreUnavailable, TargetInUse
from greenroom.persistence.sqlite.check import check_connection, check_pages
from greenroom.persistence.sqlite.damage import examine, store_error
from greenroom.persistence.sqlite.mark import Mark, mark_path, read_mark
from greenroom.persistence.sqlite.schema import (
    SCHEMA_VERSION,
    add_checksums,
    instance_of,
    lacks_checksums,
    migrate,
    stored_commits,
    take_instance,
)
from greenroom.persistence.sqlite.statements import connect, copy_pages

if TYPE_CHECKING:
    from greenroom.persistence.sqlite.statements import SqliteConnection

__all__ = ["Copied", "back_up", "restore"]

_SECRET: Final = "secret"
_CHUNK_BYTES: Final = 4 << 20
_BESIDE: Final = ("-journal", "-wal", "-shm")
"""Endings of the files that SQLite makes beside a database."""

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it is done, and how much there is."""


class Copied(NamedTuple):
    size: int
    """Bytes of the database."""
    commits: int
    """Number of commits that it contains."""


def back_up(data_dir: Path, target: Path, *, tell: Progress) -> Copied:
    """Copy the store of a data directory into a new folder. The copy is what was committed at one moment, and is
    checked before it gets its name. The node may run; its log grows meanwhile by what it writes. If this fails, the
    target is what it was before.

    Raises TargetInUse, StoreUnavailable, StoreDamaged, OSError.
    """
    database = data_dir / "greenroom.db"
    if not database.is_file():
        raise StoreUnavailable(f"{database}: no database")
    if target.exists() and any(target.iterdir()):
        raise TargetInUse(f"{target} is not empty: name a new folder for the copy")
    draft, made = target / "greenroom.db.new", _Made()
    try:
        examine(database)
        made.folder(target)
        made.file(draft)
        copy_pages(database, draft, tell=lambda done, total: tell("copied", done, total))
        tell("check", 0, 0)
        connection = connect(draft, read_only=True)
        try:
            _demand_sound(draft, connection)
            instance, commits = instance_of(connection), stored_commits(connection)
        finally:
            connection.close()
        _finish(draft, made, instance, commits, secret=data_dir / _SECRET)
    except BaseException as error:
        made.remove()
        if isinstance(error, apsw.Error):
            raise store_error(f"{database}", error) from error
        raise
    return Copied((target / "greenroom.db").stat().st_size, commits)


def restore(copy: Path, data_dir: Path, *, entropy: Callable[[int], bytes] = os.urandom, tell: Progress) -> Copied:
    """Make a data directory from a copy. No node may use it, and it may have no store yet.

    The new store has another id, so clients read their lists (friends, groups, conversations) from the start: their
    versions may be above those of the copy. If this fails, only the data directory's lock is new.

    Raises DataDirectoryInUse, TargetInUse, StoreUnavailable, StoreDamaged, StoreTooNew, NotAStore, OSError.
    """
    source, database = copy / "greenroom.db", data_dir / "greenroom.db"
    if not source.is_file():
        raise StoreUnavailable(f"{source}: no database")
    if (log := source.with_name("greenroom.db-wal")).exists():
        raise StoreUnavailable(
            f"{copy} is the folder of a node, or a copy of its files, as it has {log.name}: "
            "a copy that `greenroom backup` has made has not"
        )
    mark = _mark_of_copy(source)
    with DataDirectory(data_dir):
        if found := sorted(path.name for path in data_dir.glob("greenroom.db*")):
            names = ", ".join(found)
            raise TargetInUse(f"{data_dir} has a store ({names}): move these files away, or name a new folder")
        draft, made = data_dir / "greenroom.db.new", _Made()
        try:
            made.file(draft)
            _copy_file(source, draft, tell)
            tell("check", 0, 0)
            examine(draft)
            instance = entropy(16)
            commits = _bring_forward(draft, mark, instance)
            _finish(draft, made, instance, commits, secret=copy / _SECRET)
        except BaseException:
            made.remove()
            raise
    return Copied(database.stat().st_size, commits)


def _mark_of_copy(source: Path) -> tuple[bytes, int]:
    """The mark of a copy. Every release that makes copies gives them one. Raises StoreDamaged if there is none, because
    nothing else shows that the last commits are missing."""
    mark = read_mark(source)
    if mark is None:
        file = Path(mark_path(source))
        problem = "is damaged" if file.exists() else "is missing"
        raise StoreDamaged(
            f"{file} {problem}: it says how many commits the copy must have, so without it the copy may be incomplete"
        )
    return mark


def _bring_forward(draft: Path, mark: tuple[bytes, int], instance: bytes) -> int:
    """Check the copy against its mark, migrate it and give it its own id. Returns the number of its commits."""
    try:
        connection = connect(draft, create=False)
        try:
            if mark != (instance_of(connection), stored_commits(connection)):
                raise StoreDamaged(f"{draft.name} is not what its mark says: {mark[1]} commits")
            if lacks_checksums(connection):
                add_checksums(connection)
                connection.close()
                connection = connect(draft, create=False)
            migrate(connection, instance=instance)
            take_instance(connection, instance)
            connection.execute("PRAGMA journal_mode = DELETE")  # One file has it all, until a node opens it.
            _demand_sound(draft, connection)
            return stored_commits(connection)
        finally:
            connection.close()
    except apsw.Error as error:
        raise store_error(f"{draft}", error) from error


def _demand_sound(draft: Path, connection: SqliteConnection) -> None:
    """Raises StoreDamaged if the check finds anything. Of an earlier release only the pages are checked."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    findings = list(check_pages(connection)) if version < SCHEMA_VERSION else check_connection(connection)
    if findings:
        more = f", and {len(findings) - 1} more findings" if len(findings) > 1 else ""
        raise StoreDamaged(f"{draft.parent}: the copy is not sound: {findings[0]}{more}")


def _copy_file(source: Path, target: Path, tell: Progress) -> None:
    done, total = 0, source.stat().st_size
    with source.open("rb") as reader, target.open("r+b") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            done += len(chunk)
            tell("copied", done, total)


def _finish(draft: Path, made: _Made, instance: bytes, commits: int, *, secret: Path) -> None:
    """Put the copy on disk, with its mark and the secret, and give it its name. The secret is not copied if there is
    one in the target already, or none in the source: it is then in the settings."""
    database = draft.with_name("greenroom.db")
    _sync(draft)
    made.file(Path(mark_path(database)))
    mark = Mark(database, instance)
    try:
        mark.set(commits)
    finally:
        mark.close()
    _sync(mark_path(database))
    if secret.is_file() and not (copied := draft.with_name(_SECRET)).exists():
        made.file(copied)
        shutil.copyfile(secret, copied)
        _sync(copied)
    made.rename(draft, database)
    _sync(database.parent)


def _sync(path: Path | str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class _Made:
    """The files and folders that a copy has made so far."""

    def __init__(self) -> None:
        self._files: list[Path] = []
        self._folders: list[Path] = []

    def folder(self, path: Path) -> None:
        """Make a folder for its owner only, and its missing parents."""
        missing = [one for one in (path, *path.parents) if not one.exists()]
        for one in reversed(missing):
            one.mkdir(mode=0o700 if one == path else 0o777)
            self._folders.append(one)

    def file(self, path: Path) -> None:
        """Make an empty file for its owner only. Whatever fills it keeps its mode. Raises FileExistsError."""
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._files.append(path)

    def rename(self, old: Path, new: Path) -> None:
        self._files.append(new)
        old.rename(new)

    def remove(self) -> None:
        """Remove them all, with the files that SQLite keeps beside a database. What cannot be removed stays: the first
        error says more than one of this."""
        for path in self._files:
            for one in (path, *(path.with_name(path.name + end) for end in _BESIDE)):
                with contextlib.suppress(OSError):
                    one.unlink()
        for path in reversed(self._folders):
            with contextlib.suppress(OSError):
                path.rmdir()
