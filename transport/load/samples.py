"""The counts and latencies of a load: of one process since its last sample, and of all processes together."""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from greenroom.transport.load.latency import Latencies

__all__ = ["ERRORS_KEPT", "Sample", "Totals"]

COUNTS: Final = (
    "planned", "sent", "acked", "failed", "received", "pulled", "logins", "login_failures", "broken_connections",
)  # fmt: skip
LATENCIES: Final = ("ack", "delivery", "login", "lag")
ERRORS_KEPT: Final = 100
"""Maximum number of different errors that are counted: the most frequent ones."""


class Totals(msgspec.Struct, kw_only=True):
    """Counts and latencies that can be summed over seconds and processes."""

    planned: int = 0
    sent: int = 0
    acked: int = 0
    failed: int = 0
    received: int = 0
    pulled: int = 0
    """Number of received messages that were not pushed, but pulled after a gap or an absence."""
    logins: int = 0
    login_failures: int = 0
    broken_connections: int = 0
    """Connections that ended although no step of the scenario ended them."""
    errors: dict[str, int] = {}
    ack: Latencies = msgspec.field(default_factory=Latencies)
    delivery: Latencies = msgspec.field(default_factory=Latencies)
    login: Latencies = msgspec.field(default_factory=Latencies)
    lag: Latencies = msgspec.field(default_factory=Latencies)
    """The lag of the harness's event loop."""

    def count_error(self, reason: str) -> None:
        self.errors[reason] = self.errors.get(reason, 0) + 1

    def add(self, other: Totals) -> None:
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.errors.items():
            self.errors[reason] = self.errors.get(reason, 0) + count
        if len(self.errors) > ERRORS_KEPT:
            self.errors = self.frequent_errors(ERRORS_KEPT)
        for name in LATENCIES:
            getattr(self, name).add(getattr(other, name))

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNTS}

    def frequent_errors(self, limit: int) -> dict[str, int]:
        """The most frequent errors, in descending order."""
        return dict(Counter(self.errors).most_common(limit))


class Sample(Totals, kw_only=True):
    """The counts of one process since its last sample, and its state at the end of this time."""

    at_s: float = 0.0
    """Seconds since the start of the load."""
    online: int = 0
    """Number of devices that are logged in."""
    in_flight: int = 0
    """Number of pending sends."""
    unseen: int = 0
    """Number of acked messages, of those to be stored, that their sender's device has not received yet."""
    cpu_s: float = 0.0
    """CPU that the process has used since its start."""
    rss_bytes: int = 0
    """The highest memory of the process so far."""
