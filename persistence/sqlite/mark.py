"""How far the database has come, kept beside it: so that a log that was cut or damaged is not taken for a shorter one.

SQLite ends its recovery at the first frame of the log whose checksum is wrong, and says nothing of what came after.
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
    """Written after each commit, and never synced: after a kill it is exact, after a loss of power it may be
    behind, and it is never ahead. Two slots in turn, so that a torn one leaves the other."""

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
