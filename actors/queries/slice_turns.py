"""Turns of the loop for the slices of long queries."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["SliceTurns"]


class SliceTurns:
    """A query that reads much is made in slices, and waits for its turn before each further one.

    Order: the query that has waited longest goes first. One slice is made in each turn of the loop, however many long
    queries there are, so that between two slices the loop handles everything else that is due.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_scheduled = False

    async def next(self) -> None:
        """Wait for the turn of the next slice."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._give_turn, loop)
        await turn

    def _give_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # A cancelled query has no turn.
                turn.set_result(None)
                break
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            loop.call_soon(self._give_turn, loop)
