"""The data directory of a node: its lock, and the path of its database."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from greenroom.persistence.errors import DataDirectoryInUse

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["DataDirectory"]


class DataDirectory:
    """The folder is locked by one process at a time, from `acquire` to `release` or to the end of the process.

    The lock is the kernel's (flock), so it ends with the process, even in a crash. The lock file contains the owner's
    process id, which is only used in the error message.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock_fd: int | None = None

    @property
    def database(self) -> Path:
        return self.path / "greenroom.db"

    def acquire(self) -> None:
        """Create the folder if it is missing, and lock it. Raises DataDirectoryInUse."""
        if self._lock_fd is not None:
            return
        _make(self.path)
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise DataDirectoryInUse(f"{self.path} is in use by process {owner}") from None
        except BaseException:
            os.close(fd)
            raise
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
        self._lock_fd = fd

    def release(self) -> None:
        fd, self._lock_fd = self._lock_fd, None
        if fd is not None:
            os.close(fd)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _make(path: Path) -> None:
    """Create the folder and its missing parents. They are on disk when this returns."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(one.parent, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
