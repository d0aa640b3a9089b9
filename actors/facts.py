"""When facts about users were last changed, so that whoever holds a copy can tell that it is old."""

from __future__ import annotations

__all__ = ["FactStamps"]

_SLOTS = 65_536


class FactStamps:
    """A counter for each of 65,536 slots of users; two users may share one, which costs a needless reload.

    Whoever changes a fact of a user calls `changed` after the commit; whoever holds facts of some users keeps
    the `stamp` of when it asked for them, and asks again when it differs. Bounded, and nobody is sent to.
    """

    def __init__(self) -> None:
        self._counters = [0] * _SLOTS

    def changed(self, user_id: str) -> None:
        self._counters[hash(user_id) % _SLOTS] += 1

    def stamp(self, first: str, second: str) -> int:
        """Grows with every change of one of these users, or of one who shares a slot with them."""
        counters = self._counters
        return counters[hash(first) % _SLOTS] + counters[hash(second) % _SLOTS]
