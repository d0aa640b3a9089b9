"""A count of commits, kept beside the database: with it a log that was cut is not taken for a shorter one.

SQLite's recovery stops at the first frame of the log with a wrong checksum, and does not report what came after it.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Mark", "mark_path", "read_mark"]

_SLOT: Final = struct.Struct("<16sQ")
_SLOT_BYTES: Final = 32


def mark_path(database: Path | str) -> str:
    return f"{database}-mark"


class Mark:
    """Written after each commit and never synced. After a kill it is exact; after a loss of power it may be behind; it
    is never ahead. The two slots are written in turn, so a torn write leaves one of them."""

    def __init__(self, database: Path | str, instance: bytes) -> None:
        self._fd = os.open(mark_path(database), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._instance = instance

    def set(self, commits: int) -> None:
        slot = _SLOT.pack(self._instance, commits)
        os.pwrite(self._fd, slot + zlib.crc32(slot).to_bytes(4, "little"), commits % 2 * _SLOT_BYTES)

    def close(self) -> None:
        os.close(self._fd)


def read_mark(database: Path | str) -> tuple[bytes, int] | None:
    """(the database's id, commits that it must hold); None if nothing is known."""
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
