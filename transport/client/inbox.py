"""Messages that have arrived and are not consumed yet: a bounded queue between a connection and its consumer."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.transport.client.client_message import Received

__all__ = ["Inbox"]


class Inbox:
    """First in, first out; each message is taken once.

    `put` never blocks and never drops. The producer checks `full` before each push or pull, and stops while it is true.
    `on_room` is called when half of the queue is free again. So the queue exceeds its limit by at most one push or one
    pull.
    """

    def __init__(self, *, limit: int, on_room: Callable[[], None]) -> None:
        self._limit = limit
        self._on_room = on_room
        self._queue: deque[Received] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._was_full = False
        self._ended = False
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def full(self) -> bool:
        if len(self._queue) < self._limit:
            return False
        self._was_full = True
        return True

    def put(self, message: Received) -> None:
        self._queue.append(message)
        self._wake()

    def end(self, error: Exception | None) -> None:
        """Mark the end: no message will follow. Consumers get the remaining messages, then None or the error."""
        if not self._ended:
            self._ended = True
            self._error = error
            while self._waiters:
                self._wake()

    async def take(self) -> Received | None:
        """The next message; None at the end."""
        while not self._queue:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled() and self._queue:
                    self._wake()
                raise
        message = self._queue.popleft()
        if self._was_full and len(self._queue) <= self._limit // 2:
            self._was_full = False
            self._on_room()
        return message

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
