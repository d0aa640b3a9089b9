"""How long the turns of a loop hold its thread, by the thread's CPU clock, which does not count other processes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TurnWatch", "watched"]


class TurnWatch:
    def __init__(self) -> None:
        self.longest_s = 0.0

    def take(self) -> float:
        """The longest turn since the last call, in seconds."""
        longest, self.longest_s = self.longest_s, 0.0
        return longest


@contextlib.contextmanager
def watched() -> Iterator[TurnWatch]:
    """Watch all callbacks of asyncio's own loops in this process. A turn of a task is one callback."""
    watch = TurnWatch()
    run = asyncio.events.Handle._run

    def timed(handle: Any) -> None:
        began = time.thread_time()
        run(handle)
        watch.longest_s = max(watch.longest_s, time.thread_time() - began)

    asyncio.events.Handle._run = timed  # type: ignore[method-assign, assignment]
    try:
        yield watch
    finally:
        asyncio.events.Handle._run = run  # type: ignore[method-assign]
