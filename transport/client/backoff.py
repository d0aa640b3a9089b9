"""The wait before the next attempt. Clients and the load harness share this one rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

__all__ = ["Backoff"]

LONGEST_FACTOR = 16


class Backoff:
    """The waits are 1, 2, 4, 8 and 16 times the base; every later wait is 16 times the base. Each wait is shortened at
    random by up to a half, so that the clients of a server that was down do not all reconnect at once.
    """

    __slots__ = ("_base_s", "_factor", "_rng")

    def __init__(self, base_s: float, rng: random.Random) -> None:
        self._base_s = base_s
        self._rng = rng
        self._factor = 1

    def next_s(self) -> float:
        """The wait after one more failure."""
        wait_s = self._base_s * self._factor * self._rng.uniform(0.5, 1.0)
        self._factor = min(2 * self._factor, LONGEST_FACTOR)
        return wait_s

    def reset(self) -> None:
        """Start over, after a successful attempt: the next wait is a first one."""
        self._factor = 1
