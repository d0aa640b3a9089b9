"""The writer in its own process: a busy loop in the node does not delay commits, and commits do not delay the loop.

`ProcessWriter` runs it as `python -m ... DATABASE EPOCH EVENTS_LIMIT`, with a socket as standard input. When the socket
is closed, it commits the batches that it has already read, and ends.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import Final

import apsw

from greenroom.persistence.errors import StoreError
from greenroom.persistence.refusal import Reason, Refusal
from greenroom.persistence.signals import FATAL
from greenroom.persistence.sqlite.writer import Writer
from greenroom.persistence.sqlite.writer_frames import FrameReader, decode_slices, encode_frame

__all__ = ["main", "serve"]

READ_BYTES: Final = 1 << 18
"""Size of one read, a little more than a socket's buffer. The batches of one read become one transaction."""
IDLE_S: Final = 0.05
"""After this time without a batch, the writer may make a checkpoint."""


_UNREADABLE: Final = Refusal(Reason.FAILED, "a value that cannot be encoded")


def serve(stream: int, writer: Writer) -> None:
    """Commit batches with an open writer until the stream (a descriptor) is closed."""
    frames = FrameReader()
    chunk = bytearray(READ_BYTES)
    view = memoryview(chunk)
    pause_s: float | None = IDLE_S
    while True:
        if pause_s is not None and not select.select([stream], [], [], pause_s)[0]:
            pause_s = writer.idle()
            continue
        count = os.readv(stream, [chunk])
        if not count:
            return
        pause_s = IDLE_S
        answers = _commit(writer, list(frames.feed(view[:count])))
        if answers:
            _send(stream, answers)


def _send(stream: int, data: bytes) -> None:
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[os.write(stream, remaining) :]


def _commit(writer: Writer, batches: list[bytes]) -> bytes:
    """Commit batches that were read together, and return the answers to all of them."""
    decoded = [decode_slices(batch) for batch in batches]
    outcomes = iter(writer.commit([slice_ for slices in decoded for slice_ in slices if slice_ is not None]))
    return b"".join(
        encode_frame([_UNREADABLE if slice_ is None else next(outcomes) for slice_ in slices]) for slices in decoded
    )


def main(path: str, epoch: int, events_limit: int, stream: int = 0) -> int:
    """Run the process, and return its exit status."""
    # Signals of a terminal or a service manager go to the whole group, but this process must end after the node.
    for number in FATAL:
        signal.signal(number, signal.SIG_IGN)
    writer = Writer(path, epoch=epoch, events_limit=events_limit)
    try:
        writer.open()
    except (apsw.Error, OSError, StoreError) as error:
        _send(stream, encode_frame(f"{type(error).__name__}: {error}"))
        return 1
    try:
        _send(stream, encode_frame(""))
        serve(stream, writer)
    except (BrokenPipeError, ConnectionResetError):
        pass  # The node has ended. Finished commits stay committed.
    finally:
        writer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
