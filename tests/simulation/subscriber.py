"""A subscriber of committed events that lives through the node's lives, as a provider outside of the node would."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from greenroom.persistence.store import MessageEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from greenroom.persistence.store import Event
    from greenroom.tests.simulation.loop import Kernel

__all__ = ["SUBSCRIBER_LIMIT_S", "SimulatedSubscriber"]

SUBSCRIBER_LIMIT_S = 35
"""By then a feed that was backing off has tried once more."""


class ProviderAway(Exception):
    """It takes nothing now, or has taken something and does not say so."""


class SimulatedSubscriber:
    """Takes its time, and fails now and then, before it has noted what it was told or after."""

    name = "provider"
    from_first_message = True

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.heard: dict[str, list[int]] = {}
        """The seqs of each conversation, as they came."""

    async def take(self, events: Sequence[Event], *, missed: bool) -> None:
        random = self._kernel.random
        if missed:
            self._kernel.troubles.append("a subscriber missed events")
        await asyncio.sleep(random.expovariate(50))
        if random.random() < 0.05:
            raise ProviderAway
        for one in events:
            if isinstance(one, MessageEvent):
                self.heard.setdefault(one.conversation_id, []).append(one.seq)
        self._kernel.note("told", len(events))
        if random.random() < 0.05:
            raise ProviderAway

    def violations(self, stored: Iterable[tuple[str, int]]) -> Iterator[str]:
        """What it should have heard, and in which order: each stored message at least once, by seq."""
        seqs: dict[str, list[int]] = {}
        for conversation_id, seq in stored:
            seqs.setdefault(conversation_id, []).append(seq)
        for conversation_id, expected in seqs.items():
            first = list(dict.fromkeys(self.heard.get(conversation_id, [])))
            if first != expected:
                missing = sorted(set(expected) - set(first))
                yield f"{conversation_id}: heard {len(first)} of {len(expected)} in order, without {missing[:5]}"
