"""When facts about users were last changed, so that whoever holds a copy can tell that it is old."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        self._counters[self.slot(user_id)] += 1

    def slot(self, user_id: str) -> int:
        return zlib.crc32(user_id.encode()) % _SLOTS

    def stamp(self, slots: Iterable[int]) -> int:
        """Grows with every change of a user in these slots."""
        counters = self._counters
        return sum([counters[slot] for slot in slots])
