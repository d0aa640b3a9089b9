"""The search for a server's capacity: the highest rate at which the thresholds hold."""

from __future__ import annotations

__all__ = ["CapacitySearch"]


class CapacitySearch:
    """Doubles the rate until a trial fails, then halves the gap until it is small enough.

    ask `rate`, run a trial with it, tell `took(held)`; over when `rate` is 0.
    """

    def __init__(self, *, start_per_s: float, precision: float = 0.1, trials: int = 16) -> None:
        self.rate = start_per_s
        self.held = 0.0
        """The highest rate that held so far; 0 if none did."""
        self.failed = 0.0
        """The lowest rate that did not hold; 0 if all did."""
        self._precision = precision
        self._left = trials

    def took(self, held: bool) -> None:
        """The trial's outcome. A rate below one that failed is tried next, or above one that held."""
        if held:
            self.held = max(self.held, self.rate)
        elif not self.failed or self.rate < self.failed:
            self.failed = self.rate
        self._left -= 1
        if not self._left:
            self.rate = 0.0
        elif not self.failed:
            self.rate *= 2
        elif self.failed - self.held <= self._precision * self.failed or self.failed < 1:
            self.rate = 0.0
        else:
            self.rate = (self.failed + self.held) / 2
