"""What a disk may hold after a loss of power, made from what strace saw of a program's files.

Writes that a finished sync covers are there. Each sector of a later write may be there or not, a file may have any of
its later lengths, and a name may or may not have been made or removed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from greenroom.tests.kit.strace_kit import calls_in, strace_prefix

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

__all__ = ["Disk", "Event", "disk_strace", "events_in"]

CALLS = (
    "openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,"
    "unlink,unlinkat,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,rmdir"
)
_HEX = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_NUMBER = re.compile(r", (\d+)\) += ")


class Event(NamedTuple):
    kind: str
    """write, resize, make, folder, remove, sync, or said: text on the watched stream."""
    path: Path
    start: int
    end: int
    """Lines of the trace. A sync covers the calls that had already ended when it started."""
    data: bytes = b""
    offset: int = 0
    """The offset of a write, or the new length of a resize."""


class _File:
    def __init__(self) -> None:
        self.durable = bytearray()
        self.pending: list[Event] = []

    def sync(self, start: int) -> None:
        for event in self.pending:
            if event.end < start:
                _apply(self.durable, event)
        self.pending = [event for event in self.pending if event.end >= start]

    def survivor(self, dice: random.Random) -> bytes:
        length = dice.choice((0, len(self.pending), dice.randint(0, len(self.pending))))
        chance = dice.choice((0.0, 1.0, dice.random()))
        sector = dice.choice((512, 4096, 1 << 30))
        content = bytearray(self.durable)
        size = len(content)
        for number, event in enumerate(self.pending):
            if number < length:
                size = event.offset if event.kind == "resize" else max(size, event.offset + len(event.data))
            if event.kind == "resize":
                if number < length:
                    _apply(content, event)
                continue
            start, stop = event.offset, event.offset + len(event.data)
            while start < stop:
                end = min(stop, (start // sector + 1) * sector)
                if dice.random() < chance:
                    part = event.data[start - event.offset : end - event.offset]
                    _apply(content, event._replace(data=part, offset=start))
                start = end
        del content[size:]
        # A file may grow before its data is written: by zeros, or by old data of the disk.
        missing = size - len(content)
        return bytes(content) + (dice.randbytes(missing) if dice.random() < 0.5 else bytes(missing))


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "resize":
        del content[event.offset :]
    content.extend(bytes(max(0, event.offset - len(content))))
    if event.kind == "write":
        content[event.offset : event.offset + len(event.data)] = event.data


class Disk:
    """The files under one folder, which must exist and be empty when the events begin."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[Path, _File | None] = {}
        """The files as the program sees them; None for a folder."""
        self._durable: dict[Path, _File | None] = {}
        self._pending: list[tuple[Event, _File | None]] = []
        """Names made and removed since the last sync of their folder."""

    def take(self, event: Event) -> None:
        path = event.path
        if event.kind in ("make", "folder"):
            if path not in self._names:
                self._names[path] = _File() if event.kind == "make" else None
                self._pending.append((event, self._names[path]))
        elif event.kind == "remove":
            self._pending.append((event, self._names.pop(path)))
        elif event.kind in ("write", "resize"):
            self._file(path).pending.append(event)
        elif event.kind == "sync":
            if path == self._root or self._names[path] is None:
                self._sync_folder(path, event.start)
            else:
                self._file(path).sync(event.start)

    def survivors(self, dice: random.Random) -> dict[Path, bytes]:
        """Path under the root -> file."""
        names = dict(self._durable)
        chance = dice.choice((0.0, 1.0, 0.5))
        for event, file in self._pending:
            if dice.random() < chance:
                _name(names, event, file)
        return {
            path.relative_to(self._root): file.survivor(dice)
            for path, file in names.items()
            if file is not None and _reachable(path, names, self._root)
        }

    def _file(self, path: Path) -> _File:
        file = self._names[path]
        assert file is not None, path
        return file

    def _sync_folder(self, folder: Path, start: int) -> None:
        left = []
        for event, file in self._pending:
            if event.path.parent == folder and event.end < start:
                _name(self._durable, event, file)
            else:
                left.append((event, file))
        self._pending = left


def _name(names: dict[Path, _File | None], event: Event, file: _File | None) -> None:
    if event.kind == "remove":
        names.pop(event.path, None)
    else:
        names[event.path] = file


def _reachable(path: Path, names: dict[Path, _File | None], root: Path) -> bool:
    return path.parent == root or (path.parent in names and _reachable(path.parent, names, root))


def disk_strace(trace: Path) -> tuple[str, ...]:
    """The command to run a program under, so that `events_in` can read its trace."""
    return strace_prefix(trace, calls=CALLS, shown=("-y", "-xx", "-s", "1000000"))


def events_in(trace: Path, root: Path, said: Path) -> Iterator[Event]:
    """What happened to the files under `root`, and what was written to `said`, in order.

    Raises ValueError at a call that it does not know how to replay. The shared memory of SQLite (-shm) is
    left out: the first process that opens a database makes it again.
    """
    for call in calls_in(trace):
        strings = [bytes.fromhex(one.replace("\\x", "")) for one in _HEX.findall(call.text)]
        by_name = call.name in ("openat", "unlink", "mkdir")
        path = Path(os.fsdecode(strings[0] if by_name else bytes.fromhex(call.target.replace("\\x", ""))))
        if path == said and call.name == "write":
            yield Event("said", path, call.start, call.end, strings[0])
        if call.result < 0 or not path.is_relative_to(root) or path.name.endswith(("-shm", " (deleted)")):
            continue
        event = Event("sync", path, call.start, call.end)
        number = _NUMBER.search(call.text[-40:])
        if call.name == "openat":
            if "O_CREAT" in call.text:
                yield event._replace(kind="make")
            if "O_TRUNC" in call.text:
                yield event._replace(kind="resize")
        elif call.name == "mkdir":
            yield event._replace(kind="folder")
        elif call.name == "unlink":
            yield event._replace(kind="remove")
        elif call.name in ("pwrite64", "ftruncate") and number is not None:
            kind = "write" if call.name == "pwrite64" else "resize"
            data = strings[0][: call.result] if strings else b""
            yield event._replace(kind=kind, data=data, offset=int(number[1]))
        elif call.name in ("fsync", "fdatasync"):
            yield event
        else:
            raise ValueError(f"{call.name} on {path}")
