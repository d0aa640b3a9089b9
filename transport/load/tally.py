"""What one process of a load has counted: totals, and what came since the last look."""

from __future__ import annotations

from collections import Counter

import msgspec

from greenroom.transport.load.latency import Latencies

__all__ = ["COUNTS", "Sample", "Tally", "Totals"]

COUNTS = ("planned", "sent", "acked", "failed", "received", "pulled", "logins", "login_failures", "lost")


class Sample(msgspec.Struct, kw_only=True):
    """An interval of one process, as it goes over a pipe: counts, and latencies."""

    at_s: float
    """Since the load was begun."""
    counts: dict[str, int]
    online: int
    ack: dict[int, int]
    """Microseconds -> how often, as the next three."""
    delivery: dict[int, int]
    login: dict[int, int]
    lag: dict[int, int]
    cpu_s: float
    rss_bytes: int
    """Of the process, at most so far."""
    errors: dict[str, int]


class Tally:
    """Counts of one process. Latencies are kept of what was planned from `measured_from_ns` on; counts of all."""

    def __init__(self) -> None:
        self.measured_from_ns = 0
        self.online = 0
        self.in_flight = 0
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.ack, self.delivery, self.login, self.lag = (Latencies() for _ in range(4))

    def sent_and_acked(self, planned_ns: int, at: int) -> None:
        self.counts["acked"] += 1
        if planned_ns >= self.measured_from_ns:
            self.ack.record_ns(at - planned_ns)

    def delivered(self, planned_ns: int, at: int, *, pulled: bool) -> None:
        self.counts["received"] += 1
        if pulled:
            self.counts["pulled"] += 1
        elif planned_ns >= self.measured_from_ns:
            self.delivery.record_ns(at - planned_ns)

    def sample(self, *, at_s: float, cpu_s: float, rss_bytes: int) -> Sample:
        """What came since the last sample."""
        taken = Sample(
            at_s=at_s,
            counts=dict(self.counts),
            online=self.online,
            ack=self.ack.counts,
            delivery=self.delivery.counts,
            login=self.login.counts,
            lag=self.lag.counts,
            cpu_s=cpu_s,
            rss_bytes=rss_bytes,
            errors=dict(self.errors.most_common(20)),
        )
        self.counts.clear()
        self.errors.clear()
        self.ack, self.delivery, self.login, self.lag = (Latencies() for _ in range(4))
        return taken


class Totals:
    """Samples of all processes, summed."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.ack, self.delivery, self.login, self.lag = (Latencies() for _ in range(4))

    def add(self, sample: Sample) -> None:
        self.counts.update(sample.counts)
        self.errors.update(sample.errors)
        for name in ("ack", "delivery", "login", "lag"):
            getattr(self, name).counts.update(getattr(sample, name))
