"""The number of commits, kept in a file beside the database. It shows whether the log was cut.

SQLite's recovery stops at the first frame of the log with a wrong checksum, and does not report the frames after it.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Final

from greenroom.persistence.private_files import open_private

__all__ = ["Mark", "mark_path", "read_mark"]

_SLOT: Final = struct.Struct("<16sQ")
_SLOT_BYTES: Final = 32


def mark_path(database: Path | str) -> str:
    return f"{database}-mark"


class Mark:
    """The file is written after each commit and never synced. After a kill the number is exact. After a loss of power
    it may be too low; it is never too high. Two slots are written in turn, so a torn write damages only one."""

    def __init__(self, database: Path | str, instance: bytes) -> None:
        self._fd = open_private(Path(mark_path(database)), os.O_WRONLY | os.O_CREAT)
        self._instance = instance

    def set(self, commits: int) -> None:
        slot = _SLOT.pack(self._instance, commits)
        os.pwrite(self._fd, slot + zlib.crc32(slot).to_bytes(4, "little"), commits % 2 * _SLOT_BYTES)

    def close(self) -> None:
        os.close(self._fd)


def read_mark(database: Path | str) -> tuple[bytes, int] | None:
    """(id of the database, number of commits that it must contain); None if the file has no valid slot."""
    try:
        with open(mark_path(database), "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return None
    found = []
    for start in (0, _SLOT_BYTES):
        slot, crc = data[start : start + _SLOT.size], data[start + _SLOT.size : start + _SLOT.size + 4]
        if len(crc) == 4 and zlib.crc32(slot).to_bytes(4, "little") == crc:
            instance, commits = _SLOT.unpack(slot)
            found.append((commits, instance))
    if not found:
        return None
    commits, instance = max(found)
    return instance, commits
