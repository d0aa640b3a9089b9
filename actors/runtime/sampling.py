"""Log lines that many like events would repeat: which of them are worth one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Sampler"]


class Sampler:
    """The first event of a key gets a line, and then at most one every `every_s` seconds.

    Loss: events that get no line are counted in the next one of their key. Keys are kept for ever: name places in
    the program with them, never users.
    """

    def __init__(self, clock: Callable[[], float], *, every_s: float = 10.0) -> None:
        self._clock = clock
        self._every_s = every_s
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def take(self, key: Hashable) -> int:
        """How many events the line stands for, this one included; 0: no line."""
        now = self._clock()
        since, silent = self._seen.get(key, (now - self._every_s, 0))
        if now - since < self._every_s:
            self._seen[key] = (since, silent + 1)
            return 0
        self._seen[key] = (now, 0)
        return silent + 1

    def is_new(self, key: Hashable) -> bool:
        """Whether there was no event of this key yet."""
        return key not in self._seen
