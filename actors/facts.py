"""When facts about users were last changed, so that whoever holds a copy can tell that it is old."""

from __future__ import annotations

import zlib

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

    def slot(self, name: str) -> int:
        """Which of the slots: the same one in every process, unlike `hash`."""
        return zlib.crc32(name.encode()) % _SLOTS

    def stamp(self, first: str, second: str) -> int:
        """Grows with every change of one of these users, or of one who shares a slot with them."""
        return self._counters[self.slot(first)] + self._counters[self.slot(second)]
