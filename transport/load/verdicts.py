"""Whether a load's thresholds held, and whether it was the harness that failed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from greenroom.transport.load.scenario import Thresholds
    from greenroom.transport.load.tally import Totals

__all__ = ["Measure", "measures", "saturation"]


class Measure(msgspec.Struct, frozen=True):
    """One threshold, and what was measured."""

    name: str
    limit: float
    found: float

    @property
    def holds(self) -> bool:
        return self.found <= self.limit


def measures(thresholds: Thresholds, totals: Totals) -> list[Measure]:
    """All thresholds that are looked at."""
    found = [
        Measure(name, limit, latencies.percentile_ms(99.0))
        for name, limit, latencies in (
            ("ack_p99_ms", thresholds.ack_p99_ms, totals.ack),
            ("delivery_p99_ms", thresholds.delivery_p99_ms, totals.delivery),
            ("login_p99_ms", thresholds.login_p99_ms, totals.login),
        )
        if limit
    ]
    planned = totals.counts["planned"]
    found.append(Measure("error_share", thresholds.error_share, totals.counts["failed"] / planned if planned else 0.0))
    if not totals.counts["logins"]:
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
