"""Files and folders that only the node's own user may use, whatever the umask and whatever their mode was before."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from greenroom.persistence.errors import DataDirectoryUnsafe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["create_private", "is_open_to_others", "make_folder", "open_private", "tighten"]

_FOLDER: Final = 0o700
_FILE: Final = 0o600


def open_private(path: Path, flags: int) -> int:
    """Open or create a file, which is private from now on. A link is not followed.

    Raises DataDirectoryUnsafe if something else than a file is there, OSError.
    """
    if path.is_symlink():
        raise DataDirectoryUnsafe(f"{path} is a link, which the node does not follow: remove it")
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, _FILE)
    except IsADirectoryError:
        raise DataDirectoryUnsafe(f"{path} is not a file: remove it") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DataDirectoryUnsafe(f"{path} is not a file: remove it")
        _set(descriptor, _FILE)
    except OSError as error:
        os.close(descriptor)
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def create_private(path: Path) -> None:
    """Create an empty file, unless something is already there."""
    if not os.path.lexists(path):
        os.close(open_private(path, os.O_RDWR | os.O_CREAT))


def make_folder(path: Path) -> None:
    """Create a folder and its missing parents. They are on disk when this returns."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=_FOLDER, exist_ok=True)
        folder.chmod(_FOLDER)
        descriptor = os.open(folder.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def tighten(folder: Path, files: Iterable[Path]) -> tuple[list[str], list[str]]:
    """Make a folder and files in it private. Links are left alone. Returns descriptions, such as `secret (0644)`, of
    those that were changed, and of those that belong to another user and could not be changed."""
    changed: list[str] = []
    failed: list[str] = []
    for path, wanted in ((folder, _FOLDER), *((file, _FILE) for file in files)):
        try:
            mode = (path.stat() if path is folder else path.lstat()).st_mode
            if stat.S_IMODE(mode) == wanted or not (path is folder or stat.S_ISREG(mode)):
                continue
            path.chmod(wanted)
        except FileNotFoundError:
            continue
        except PermissionError:
            failed.append(f"{path.name} ({stat.S_IMODE(mode):04o})")
        else:
            changed.append(f"{path.name} ({stat.S_IMODE(mode):04o})")
    return changed, failed


def is_open_to_others(descriptor: int) -> bool:
    """Whether the mode of an open file lets its group or everyone use it."""
    return bool(os.fstat(descriptor).st_mode & 0o077)


def _set(descriptor: int, mode: int) -> None:
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
        os.fchmod(descriptor, mode)
