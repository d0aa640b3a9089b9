"""Histories in files, as blocks of msgpack, each with its length and checksum."""

from __future__ import annotations

import zlib
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Final, Self

import msgspec

from greenroom.transport.load.judge.events import Event, MemberLeft

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import BinaryIO

__all__ = ["History", "HistoryUnreadable", "Recorder", "read"]

MAGIC: Final = b"greenroom history 1\n"
BLOCK_BYTES: Final = 256 * 1024
"""A crash of the recording process loses at most one block."""
BLOCK_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""No recorder writes a longer block, so a greater length means damage."""
_HEAD: Final = Struct("<III")
"""The head of a block: its length, its checksum, and its number of events."""


class HistoryUnreadable(Exception):
    """A file is missing, is not a history, or is damaged. The text is one line for a person."""


class Recorder:
    """Appends events to a file, in the order given. Events that are not flushed yet are lost in a crash.

    Each process has its own recorder and file; together, the files form one history. An existing file is replaced. A
    recorder belongs to one thread.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.events = 0
        self._file: BinaryIO = self.path.open("wb", buffering=0)
        self._file.write(MAGIC)
        self._buffer = bytearray()
        self._buffered = 0
        self._encode = msgspec.msgpack.Encoder().encode_into

    def record(self, event: Event) -> None:
        self._encode(event, self._buffer, -1)
        self._buffered += 1
        if len(self._buffer) >= BLOCK_BYTES or type(event) is MemberLeft:
            # If a crash lost a MemberLeft, the judge would require messages that the user was not entitled to.
            self.flush()

    def flush(self) -> None:
        """Write the buffer to the file. What is written survives the end of this process."""
        if self._buffered:
            head = _HEAD.pack(len(self._buffer), zlib.crc32(self._buffer), self._buffered)
            self._file.write(head + self._buffer)
            self.events += self._buffered
            self._buffer.clear()
            self._buffered = 0

    def close(self) -> None:
        """Flush, and mark the end of the file. A file without this mark is from a process that was killed."""
        if not self._file.closed:
            self.flush()
            self._file.write(_HEAD.pack(0, 0, 0))
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class History:
    """The events of several files, one file after another. It can be read more than once.

    A file whose recorder was killed is read up to its last whole block; afterwards `torn` has a line about it. Any
    other damage raises HistoryUnreadable.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.paths = [Path(path) for path in paths]
        self.torn: list[str] = []

    def __iter__(self) -> Iterator[Event]:
        self.torn = []
        for path in self.paths:
            try:
                with path.open("rb") as file:
                    yield from self._events(path, file)
            except OSError as problem:
                raise HistoryUnreadable(f"{path}: {problem.strerror or problem}") from None

    def _events(self, path: Path, file: BinaryIO) -> Iterator[Event]:
        decode = msgspec.msgpack.Decoder(list[Event]).decode
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            if magic and MAGIC.startswith(magic):
                self.torn.append(f"{path}: ends in its first line: nothing was recorded")
                return
            raise HistoryUnreadable(f"{path}: not a history of greenroom")
        while True:
            at = file.tell()
            head = file.read(_HEAD.size)
            length, checksum, count = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0, -1)
            block = file.read(length) if length <= BLOCK_LIMIT_BYTES else b""
            if count < 0 or len(block) < length <= BLOCK_LIMIT_BYTES:
                self.torn.append(f"{path}: ends at byte {at} without an end mark: its recorder was killed")
                return
            if not length and not count and not checksum:
                return
            if zlib.crc32(block) != checksum or length > BLOCK_LIMIT_BYTES:
                raise HistoryUnreadable(f"{path}: damaged at byte {at}")
            try:
                events = decode(b"\xdd" + count.to_bytes(4, "big") + block)
            except msgspec.MsgspecError as problem:
                raise HistoryUnreadable(f"{path}: at byte {at} is an event of another version: {problem}") from None
            yield from events


def read(paths: Iterable[str | Path]) -> History:
    """The history that these files form together. They are opened when it is read."""
    return History(paths)
