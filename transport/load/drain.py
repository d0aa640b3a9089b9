"""The drain: after the load, wait until the server has stored all that it acked, and all devices have it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from greenroom.transport.load.figures import Moment
    from greenroom.transport.load.part import LoadPart

__all__ = ["Drain"]

POLL_S = 0.2
ASK_EVERY_S = 1.0
"""How often the newest seqs are read while the drain waits. It is one request for each pair and each group."""
ALL_OFFLINE_LIMIT_S = 3.0
"""If no device has been online for this long, the server is down and no more messages will arrive."""
GROWTH_LIMIT_S = 10.0
"""A server that has stored nothing for this long, or for half of a shorter drain, has stored all that it will."""


class Drain:
    """One drain, over all parts of a load. `run` ends when all is settled, or when its time is over."""

    def __init__(self, parts: list[LoadPart], *, limit_s: float, take: Callable[[], Awaitable[Moment]]) -> None:
        """
        take: takes a sample from each part.
        """
        self.newest: dict[str, int] = {}
        """Conversation -> its newest seq, by the server's last answer. Where it gave no answer, the conversation is
        missing."""
        self.behind = 0
        """Number of devices that were offline or did not have all messages at the end."""
        self.growing = False
        """Whether newest seqs still grew at the end."""
        self.is_settled = False
        """Whether each acked message is stored or received, and each device has all messages."""
        self.took_s = 0.0
        self._parts = parts
        self._limit_s = limit_s
        self._grew_at = float("-inf")
        """When a newest seq was last seen to have grown."""
        self._take = take

    async def run(self, progress: Callable[[int, int], None]) -> None:
        """`progress` is called with the number of devices that are behind, and of acked messages not yet seen."""
        started_at = last_online_at = time.monotonic()
        self.newest = await self._ask()
        asked_at = time.monotonic()
        while True:
            moment = await self._take()
            self.behind = sum(await asyncio.gather(*(part.behind(self.newest) for part in self._parts)))
            now = time.monotonic()
            if moment.online:
                last_online_at = now
            if now - started_at > self._limit_s or now - last_online_at > ALL_OFFLINE_LIMIT_S:
                break
            has_all = not self.behind and not moment.unseen
            if has_all or now - asked_at > ASK_EVERY_S:
                grew = await self._ask_again()
                asked_at = time.monotonic()
                if has_all and not grew:
                    self.is_settled = True
                    break
                continue
            progress(self.behind, moment.unseen)
            await asyncio.sleep(POLL_S)
        if not self.is_settled:
            await self._ask_again()  # The audit needs answers of this moment.
            quiet_s = time.monotonic() - self._grew_at
            self.growing = quiet_s < min(GROWTH_LIMIT_S, self._limit_s / 2)
        self.took_s = time.monotonic() - started_at

    async def _ask_again(self) -> bool:
        """Read the newest seqs once more. Returns whether one has grown."""
        newer = await self._ask()
        grew = any(seq > self.newest.get(name, seq) for name, seq in newer.items())
        if grew:
            self._grew_at = time.monotonic()
        self.newest = newer
        return grew

    async def _ask(self) -> dict[str, int]:
        newest: dict[str, int] = {}
        for found in await asyncio.gather(*(part.newest() for part in self._parts)):
            newest.update(found)
        return newest
