"""A node that notes its long turns. Run as `python -m greenroom.tests.kit.watched_node serve ...`, with WATCH_FILE in
the environment. It runs on asyncio's own loop, whose turns can be timed; uvloop's cannot.

With SLOW_TURN_S in the environment, it has a planted fault: request 1004 holds the loop for so long.
"""

from __future__ import annotations

import asyncio
import bisect
import gc
import os
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from greenroom.actors.wire.vocabulary import RequestId
from greenroom.transport.gateway.requests import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["NOTED_FROM_S", "WATCH_FILE", "TimedLoop", "Turn", "TurnFile", "hold_thread"]

WATCH_FILE = "WATCH_FILE"
NOTED_FROM_S = 0.002
"""Shorter turns are not noted, because to note one takes some microseconds."""
_RECORD = struct.Struct("ddd")


class Turn(NamedTuple):
    ended_at: float
    """The time on the monotonic clock, which all processes of a machine share."""
    cpu_s: float
    """What the loop's thread has worked, by its CPU clock, without collections of garbage. Other processes, and other
    threads of this one, do not count."""
    collection_s: float
    """What collections of garbage took of the same turn. When one comes depends on all that was allocated before, so it
    says nothing about what the turn has handled."""


class TimedLoop(asyncio.SelectorEventLoop):
    """Calls `note` at the end of each long turn: of all callbacks that were ready at its beginning."""

    def __init__(self, note: Callable[[Turn], None]) -> None:
        super().__init__()
        self._note = note
        self._collection_began_s = 0.0
        self._collections_s = 0.0
        gc.callbacks.append(self._on_collection)

    def close(self) -> None:
        if self._on_collection in gc.callbacks:
            gc.callbacks.remove(self._on_collection)
        super().close()

    def _run_once(self) -> None:
        self._collections_s = 0.0
        began = time.thread_time()
        super()._run_once()  # type: ignore[misc]
        spent = time.thread_time() - began
        if spent >= NOTED_FROM_S:
            self._note(Turn(time.monotonic(), spent - self._collections_s, self._collections_s))

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if threading.get_ident() != self._thread_id:  # type: ignore[attr-defined]
            return
        if phase == "start":
            self._collection_began_s = time.thread_time()
        else:
            self._collections_s += time.thread_time() - self._collection_began_s


class TurnFile:
    """The noted turns of another process, in the order of their ends."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def turns(self, *, since: float, until: float) -> list[Turn]:
        data = self._path.read_bytes() if self._path.exists() else b""

        def turn_at(number: int) -> Turn:
            return Turn(*_RECORD.unpack_from(data, number * _RECORD.size))

        numbers = range(len(data) // _RECORD.size)
        first = bisect.bisect_left(numbers, since, key=lambda number: turn_at(number).ended_at)
        return [turn for turn in map(turn_at, numbers[first:]) if turn.ended_at <= until]


def hold_thread(seconds: float) -> None:
    """Work for so long, by the thread's CPU clock."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


class _TimedPolicy(asyncio.DefaultEventLoopPolicy):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return TimedLoop(lambda turn: self._write(turn))

    def _write(self, turn: Turn) -> None:
        os.write(self._file, _RECORD.pack(*turn))


def _plant(seconds: float) -> None:
    row = REQUESTS[RequestId.SEND_SIGNAL]

    def hold_loop(requester: Any, request: Any, payload: Any) -> None:
        hold_thread(seconds)
        row.handle(requester, request, payload)

    REQUESTS[RequestId.SEND_SIGNAL] = row._replace(handle=hold_loop)


def _main() -> None:
    # Imported here, because tests that only read the file do not need the command.
    from greenroom.__main__ import _start_node
    from greenroom.transport.cli.command import main

    asyncio.set_event_loop_policy(_TimedPolicy(os.environ[WATCH_FILE]))
    if slow := float(os.environ.get("SLOW_TURN_S", "0")):
        _plant(slow)
    sys.exit(main(sys.argv[1:], start_node=_start_node))


if __name__ == "__main__":
    _main()
