"""The data directory of a node: its lock, the path of its database, and who may use it: the node's own user."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from greenroom.persistence.errors import DataDirectoryInUse, DataDirectoryUnsafe
from greenroom.persistence.private_files import make_folder, open_private, tighten

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["DataDirectory"]

log = logging.getLogger("greenroom.persistence")


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
        """Create the folder if it is missing, and lock it. Then make it and its files private, except for the secret:
        see `secret_of`. Raises DataDirectoryInUse, DataDirectoryUnsafe."""
        if self._lock_fd is not None:
            return
        if self.path.exists() and not self.path.is_dir():
            raise DataDirectoryUnsafe(f"{self.path} is not a folder: name another one as node.data_dir")
        make_folder(self.path)
        fd = open_private(self.path / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise DataDirectoryInUse(f"{self.path} is in use by process {owner}") from None
        except BaseException:
            os.close(fd)
            raise
        self._lock_fd = fd
        if os.fstat(fd).st_nlink == 1:  # Otherwise the content is also that of another file.
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
        self._tighten()

    def release(self) -> None:
        fd, self._lock_fd = self._lock_fd, None
        if fd is not None:
            os.close(fd)

    def _tighten(self) -> None:
        database = self.database.name
        files = [path for path in self.path.iterdir() if path.name.startswith((database, "secret."))]
        changed, failed = tighten(self.path, sorted(files))
        if changed:
            log.warning("%s is private to its user now; it was not before: %s", self.path, ", ".join(changed))
        if failed:
            log.warning("%s belongs to another user, and cannot be made private: %s", self.path, ", ".join(failed))

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
