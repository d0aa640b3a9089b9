"""Sampling of log lines: which of many similar events are logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Sampler"]


class Sampler:
    """The first event of a key is logged; after that, at most one event of the key in every `every_s` seconds.

    Loss: an event that is not logged is counted in the next line of its key. Keys are never forgotten, so a key must
    name a place in the program, never a user.
    """

    def __init__(self, clock: Callable[[], float], *, every_s: float = 10.0) -> None:
        self._clock = clock
        self._every_s = every_s
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def take(self, key: Hashable) -> int:
        """The number of events that the log line must report, including this one. 0: do not log this event."""
        now = self._clock()
        logged_at, skipped = self._seen.get(key, (now - self._every_s, 0))
        if now - logged_at < self._every_s:
            self._seen[key] = (logged_at, skipped + 1)
            return 0
        self._seen[key] = (now, 0)
        return skipped + 1

    def is_new(self, key: Hashable) -> bool:
        """Whether there has been no event with this key yet."""
        return key not in self._seen
