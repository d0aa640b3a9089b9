"""Whether the thresholds of a load hold, whether the harness was to blame, and the highest rate at which they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from greenroom.transport.load.samples import Totals
    from greenroom.transport.load.scenario import Thresholds

__all__ = ["CapacitySearch", "Measure", "measures", "saturation"]


class Measure(msgspec.Struct, frozen=True):
    """One threshold, and what was measured."""

    name: str
    limit: float
    found: float

    @property
    def holds(self) -> bool:
        return self.found <= self.limit


def measures(thresholds: Thresholds, totals: Totals) -> list[Measure]:
    """All thresholds that are set, with what was measured."""
    found = [
        Measure(name, limit, latencies.percentile_ms(99.0))
        for name, limit, latencies in (
            ("ack_p99_ms", thresholds.ack_p99_ms, totals.ack),
            ("delivery_p99_ms", thresholds.delivery_p99_ms, totals.delivery),
            ("login_p99_ms", thresholds.login_p99_ms, totals.login),
        )
        if limit
    ]
    error_share = totals.failed / totals.planned if totals.planned else 0.0
    found.append(Measure("error_share", thresholds.error_share, error_share))
    if not totals.logins:
        found.append(Measure("users_without_login", 0, 1))
    return found


def saturation(thresholds: Thresholds, *, lag_p99_ms: float, cpu_share: float) -> str:
    """Why the harness was the bottleneck; empty if it was not."""
    if lag_p99_ms > thresholds.harness_lag_p99_ms:
        return (
            f"its own loop lagged by {lag_p99_ms:.3g} ms in the 99th percentile "
            f"(at most {thresholds.harness_lag_p99_ms:g} ms)"
        )
    if cpu_share > thresholds.harness_cpu_share:
        return f"a process of it took {cpu_share:.0%} of a core (at most {thresholds.harness_cpu_share:.0%})"
    return ""


class CapacitySearch:
    """Doubles the rate until a trial fails, then halves the gap until it is small enough.

    Run a trial at `rate` and report it with `took(held)`, until `rate` is 0.
    """

    def __init__(self, *, start_per_s: float, precision: float = 0.1, trials: int = 16) -> None:
        self.rate = start_per_s
        self.held = 0.0
        """The highest rate that held so far; 0 if none did."""
        self.failed = 0.0
        """The lowest rate that did not hold so far; 0 if all did."""
        self._precision = precision
        self._left = trials

    def took(self, held: bool) -> None:
        """The outcome of the trial at `rate`; chooses the next rate."""
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
