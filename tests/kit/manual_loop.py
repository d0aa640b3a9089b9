"""A loop whose time stands still until a test moves it: then the callbacks that are due run in order."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ManualLoop"]


class _Handle:
    def __init__(self, loop: ManualLoop, due: tuple[float, Callable[[], None]]) -> None:
        self._loop, self._due = loop, due

    def cancel(self) -> None:
        if self._due in self._loop.due:
            self._loop.due.remove(self._due)


class ManualLoop:
    """The part of an event loop that timers need."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> _Handle:
        self.due.append((when, callback))
        return _Handle(self, self.due[-1])

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> _Handle:
        return self.call_at(self.now + delay_s, callback)

    def call_soon(self, callback: Callable[[], None]) -> _Handle:
        return self.call_at(self.now, callback)

    def pass_s(self, seconds: float) -> None:
        until = self.now + seconds + 1e-9
        while self.due and min(self.due, key=itemgetter(0))[0] <= until:
            first = min(self.due, key=itemgetter(0))
            self.due.remove(first)
            self.now = max(self.now, first[0])
            first[1]()
        self.now = until
