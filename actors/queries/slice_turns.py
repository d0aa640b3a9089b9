"""Turns of the loop for the slices of long queries and calls."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SliceTurns", "next_slice", "work_for"]


class SliceTurns:
    """What reads much for a user is done in slices, and waits for its turn before each further one.

    Order: the user who has waited longest goes first, and of a user's slices the one that has waited longest. One slice
    is done in each turn of the loop, however many wait, so that between two slices the loop handles everything else
    that is due. A user with many long queries delays the queries of another user by one slice only.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._began: set[str] = set()
        """The users for whom work began in this turn of the loop."""
        self._is_scheduled = False

    async def begin(self, user_id: str) -> None:
        """Wait until work for this user may begin: immediately, unless they already had some in this turn or have
        slices waiting."""
        if user_id in self._began or user_id in self._waiting:
            await self.next(user_id)
        else:
            self._began.add(user_id)
            self._schedule(asyncio.get_running_loop())

    async def next(self, user_id: str) -> None:
        """Wait for the turn of the user's next slice."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(user_id, deque()).append(turn)
        self._schedule(loop)
        await turn

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._give_turn, loop)

    def _give_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_scheduled = False
        self._began.clear()
        while self._waiting:
            user_id = next(iter(self._waiting))
            turns = self._waiting.pop(user_id)
            turn = turns.popleft()
            if turns:
                self._waiting[user_id] = turns
            if not turn.done():  # A cancelled query has no turn.
                turn.set_result(None)
                self._began.add(user_id)
                break
        if self._waiting or self._began:
            self._schedule(loop)


class _Work(NamedTuple):
    """What the present task does for a user."""

    turns: SliceTurns
    user_id: str
    check: Callable[[], None]


_work: ContextVar[_Work | None] = ContextVar("_work", default=None)


def work_for(turns: SliceTurns, user_id: str, check: Callable[[], None]) -> None:
    """From now on this task works for a user: `next_slice` waits for this user's turns. `check` is called before each
    slice, and ends the work if it raises."""
    _work.set(_Work(turns, user_id, check))


async def next_slice() -> None:
    """Wait for the turn of the next slice of this task's user. Without a user, it is the next turn of the loop."""
    work = _work.get()
    if work is None:
        await asyncio.sleep(0)
    else:
        await work.turns.next(work.user_id)
        work.check()
