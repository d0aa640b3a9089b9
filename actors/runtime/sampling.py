"""Sampling of log lines: decides which of many similar events are logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Sampler"]


class Sampler:
    """The first event of a key gets a line; later ones get at most one line every `every_s` seconds.

    Loss: events that get no line are counted in the next line of their key. Keys are never forgotten, so a key must
    name a place in the program, never a user.
    """

    def __init__(self, clock: Callable[[], float], *, every_s: float = 10.0) -> None:
        self._clock = clock
        self._every_s = every_s
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def take(self, key: Hashable) -> int:
        """The number of events that the line stands for, this one included. 0 means no line."""
        now = self._clock()
        since, silent = self._seen.get(key, (now - self._every_s, 0))
        if now - since < self._every_s:
            self._seen[key] = (since, silent + 1)
            return 0
        self._seen[key] = (now, 0)
        return silent + 1

    def is_new(self, key: Hashable) -> bool:
        """Whether this key has had no event yet."""
        return key not in self._seen
