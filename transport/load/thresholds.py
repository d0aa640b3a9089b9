"""Whether a load's thresholds hold, whether the harness was the bottleneck, and the highest rate at which they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from greenroom.transport.load.samples import Totals
    from greenroom.transport.load.scenario import Thresholds

__all__ = ["CapacitySearch", "Measure", "measures", "saturation"]

FAILURES_THAT_DECIDE = 2


class Measure(msgspec.Struct, frozen=True):
    """One threshold, and the measured value."""

    name: str
    limit: float
    found: float | None
    """None: nothing was measured."""

    @property
    def holds(self) -> bool:
        return self.found is None or self.found <= self.limit


def measures(thresholds: Thresholds, totals: Totals, *, devices: int, connections: int) -> list[Measure]:
    """All thresholds that are set, with the measured values.

    connections: the highest number of devices that were online at one time.
    """
    found = [
        Measure(name, limit, latencies.percentile_ms(99.0) if latencies.counts else None)
        for name, limit, latencies in (
            ("ack_p99_ms", thresholds.ack_p99_ms, totals.ack),
            ("delivery_p99_ms", thresholds.delivery_p99_ms, totals.delivery),
            ("login_p99_ms", thresholds.login_p99_ms, totals.login),
        )
        if limit
    ]
    error_share = totals.failed / totals.planned if totals.planned else 0.0
    found.append(Measure("error_share", thresholds.error_share, error_share))
    # A load that only holds connections has no sends that could fail.
    never_online = devices - connections
    found.append(Measure("devices_without_login", int(thresholds.error_share * devices), never_online))
    return found


def saturation(thresholds: Thresholds, *, lag_p99_ms: float, cpu_share: float) -> str:
    """Why the harness was the bottleneck; empty if it was not."""
    if lag_p99_ms > thresholds.harness_lag_p99_ms:
        return (
            f"its own loop lagged by {lag_p99_ms:.3g} ms in the 99th percentile "
            f"(at most {thresholds.harness_lag_p99_ms:g} ms)"
        )
    if cpu_share > thresholds.harness_cpu_share:
        return f"one of its processes used {cpu_share:.0%} of a core (at most {thresholds.harness_cpu_share:.0%})"
    return ""


class CapacitySearch:
    """Doubles the rate until a rate fails, then halves the gap between the rates until it is small enough.

    A rate fails when two of its trials have failed: one bad moment of the machine decides nothing. Until `rate` is 0,
    run a trial at `rate` and call `report`.
    """

    def __init__(self, *, start_per_s: float, precision: float = 0.1, rates: int = 16) -> None:
        self.rate = start_per_s
        self.highest_held = 0.0
        """The highest rate so far at which the thresholds held; 0 if there is none."""
        self.lowest_failed = 0.0
        """The lowest rate so far at which they did not hold; 0 if there is none."""
        self._precision = precision
        self._remaining_rates = rates
        self._failed_trials = self._held_trials = 0
        """Trials at the current rate."""

    def report(self, held: bool) -> None:
        """Report whether the thresholds held in the trial at `rate`. Sets the next rate."""
        if held:
            self._held_trials += 1
        else:
            self._failed_trials += 1
        has_failed = self._failed_trials >= FAILURES_THAT_DECIDE
        if not has_failed and self._failed_trials and self._held_trials < FAILURES_THAT_DECIDE:
            return
        self._failed_trials = self._held_trials = 0
        if not has_failed:
            self.highest_held = max(self.highest_held, self.rate)
        elif not self.lowest_failed or self.rate < self.lowest_failed:
            self.lowest_failed = self.rate
        self._remaining_rates -= 1
        gap = self.lowest_failed - self.highest_held
        if not self._remaining_rates:
            self.rate = 0.0
        elif not self.lowest_failed:
            self.rate *= 2
        elif gap <= self._precision * self.lowest_failed or self.lowest_failed < 1:
            self.rate = 0.0
        else:
            self.rate = (self.lowest_failed + self.highest_held) / 2
