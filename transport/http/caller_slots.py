"""Bounds the calls of one user that are carried out at the same time, so that no user takes the places of others."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["CallerBusy", "CallerSlots"]

_PATIENCE_S = 5.0
"""How long a call waits for the others of its user. It only holds its body meanwhile."""


class CallerBusy(Exception):
    """None of the user's calls ended in time."""


class CallerSlots:
    """At most `limit` calls of a user hold a slot; further ones wait, the longest waiting first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._calls: dict[str, list[asyncio.Future[None]]] = {}
        """The slots of each user who has calls: those that hold one are done, the others wait."""

    @asynccontextmanager
    async def hold(self, user_id: str) -> AsyncIterator[None]:
        """Raises CallerBusy."""
        calls = self._calls.setdefault(user_id, [])
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        calls.append(slot)
        try:
            if len(calls) <= self._limit:
                slot.set_result(None)
            else:
                await self._wait(slot)
            yield
        finally:
            calls.remove(slot)
            for waiting in calls[: self._limit]:
                if not waiting.done():
                    waiting.set_result(None)
            if not calls:
                del self._calls[user_id]

    async def _wait(self, slot: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await slot
        except TimeoutError:
            raise CallerBusy from None
