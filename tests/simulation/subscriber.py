"""A subscriber of committed events that survives the node's restarts, like a provider outside the node."""

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
"""After this time a feed that was backing off has tried again."""


class ProviderAway(Exception):
    """It accepts no events now, or accepted events without confirming them."""


class SimulatedSubscriber:
    """It is slow, and fails at times, before or after it has noted the events."""

    name = "provider"
    from_first_message = True

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.heard: dict[str, list[int]] = {}
        """Conversation -> seqs, in the order of arrival."""

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
        """Check the events: each stored message at least once, in seq order."""
        seqs: dict[str, list[int]] = {}
        for conversation_id, seq in stored:
            seqs.setdefault(conversation_id, []).append(seq)
        for conversation_id, expected in seqs.items():
            first = list(dict.fromkeys(self.heard.get(conversation_id, [])))
            if first != expected:
                missing = sorted(set(expected) - set(first))
                yield f"{conversation_id}: heard {len(first)} of {len(expected)} in order, without {missing[:5]}"
