"""The writer as a process of its own: a busy loop in the node cannot keep it from the disk, nor it the loop.

Run by `ProcessWriter`, with a socket as standard input. It ends when that socket does, after the batches at hand.
"""

from __future__ import annotations

import os
import select
import signal
from typing import Final

import apsw

from greenroom.persistence.refusal import Reason, Refusal
from greenroom.persistence.sqlite.writer import Writer
from greenroom.persistence.sqlite.writer_frames import FrameReader, decode, encode_frame

__all__ = ["main", "serve"]

READ_BYTES: Final = 1 << 18
"""One read, of a little more than a socket's buffer holds. Batches that came in it together are one transaction."""
REST_S: Final = 0.05
"""Silence after which the log may be moved into the database."""


def serve(stream: int, writer: Writer) -> None:
    """Commit batches until the stream (a descriptor) ends. The writer is open."""
    frames = FrameReader()
    chunk = bytearray(READ_BYTES)
    view = memoryview(chunk)
    rested = False
    while True:
        if not rested and not select.select([stream], [], [], REST_S)[0]:
            writer.rest()
            rested = True
            continue
        count = os.readv(stream, [chunk])
        if not count:
            return
        rested = False
        answers = _commit(writer, list(frames.feed(view[:count])))
        if answers:
            _send(stream, answers)


def _send(stream: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(stream, rest) :]


def _commit(writer: Writer, batches: list[bytes]) -> bytes:
    """Answers to batches that came together."""
    try:
        decoded = [decode(batch) for batch in batches]
    except ValueError as error:
        if len(batches) > 1:
            return b"".join(_commit(writer, [batch]) for batch in batches)
        # Without its slices only the node knows how many outcomes it waits for: one stands for all.
        return _answer([Refusal(Reason.FAILED, f"undecodable: {error}")])
    outcomes = writer.commit([one for slices in decoded for one in slices])
    answers = b""
    start = 0
    for slices in decoded:
        answers += _answer(outcomes[start : start + len(slices)])
        start += len(slices)
    return answers


def _answer(outcomes: list[Refusal | None]) -> bytes:
    return encode_frame([one and (*one[:3], one.first and tuple(one.first)) for one in outcomes])


def main(path: str, epoch: int, stream: int = 0) -> int:
    """The process's exit status."""
    # A terminal's ^C and a service manager's stop go to the whole group: the node finishes first, then we.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    writer = Writer(path, epoch=epoch)
    try:
        writer.open()
    except apsw.Error as error:
        _send(stream, encode_frame(f"{type(error).__name__}: {error}"))
        return 1
    try:
        _send(stream, encode_frame(""))
        serve(stream, writer)
    except (BrokenPipeError, ConnectionResetError):
        pass  # The node is gone; what was committed is committed.
    finally:
        writer.close()
    return 0
