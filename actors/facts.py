"""Stamps of facts about users. They show whether a copy of the facts is out of date."""

from __future__ import annotations

import zlib

__all__ = ["FactStamps"]

_SLOTS = 65_536


class FactStamps:
    """One counter for each of 65,536 slots. Two users may share a slot: then a change of one makes the other reload.

    An entity that changes a fact of a user calls `changed` after the commit. An entity that holds facts of users keeps
    the `stamp` from when it read them, and reads again once the stamp differs. No message is sent, and memory is
    bounded.
    """

    def __init__(self) -> None:
        self._counters = [0] * _SLOTS

    def changed(self, user_id: str) -> None:
        self._counters[self.slot(user_id)] += 1

    def slot(self, name: str) -> int:
        """The slot of a name. Unlike `hash`, it is the same in every process."""
        return zlib.crc32(name.encode()) % _SLOTS

    def stamp(self, first: str, second: str) -> int:
        """A number that rises with every change of these users, and of users who share a slot with them."""
        return self._counters[self.slot(first)] + self._counters[self.slot(second)]
