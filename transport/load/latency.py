"""Latencies in microseconds, with the precision of an HdrHistogram. They can be added without loss."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec
from hdrh.histogram import HdrHistogram

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LADDER", "Latencies", "shown_ms"]

LADDER = (0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0)
_HIGHEST_US = 3_600_000_000
_DIGITS = 3
_BITS = 11
"""A value keeps its highest 11 bits: one part in 1024, which is the precision of three digits of the histogram."""


class Latencies(msgspec.Struct):
    """Counts values between 1 us and an hour, to three significant digits. A longer value counts as an hour.

    Recording is one step in a dictionary; adding takes one step for each key. The counts are the same as in an
    HdrHistogram of the same precision. An HdrHistogram is made only for `encoded`, because each call of its methods
    walks all of its tens of thousands of slots.
    """

    counts: dict[int, int] = {}
    """Microseconds -> number of values."""

    def record_ns(self, nanoseconds: int) -> None:
        value = nanoseconds // 1000
        if value < 1:
            value = 1
        shift = value.bit_length() - _BITS
        if shift > 0:
            value = value >> shift << shift
        self.counts[value] = self.counts.get(value, 0) + 1

    def percentiles_ms(self, percentiles: Iterable[float]) -> list[float]:
        """For each percentile, the smallest value that this percentage of values does not exceed; 0 without values."""
        values = sorted(self.counts)
        upto = list(accumulate(self.counts[value] for value in values))
        found = []
        for percentile in percentiles:
            if not upto:
                found.append(0.0)
                continue
            # The same rounding as HdrHistogram's.
            wanted = max(1, int(percentile / 100 * upto[-1] + 0.5))
            found.append(min(values[bisect_left(upto, wanted)], _HIGHEST_US) / 1000)
        return found

    def percentile_ms(self, percentile: float) -> float:
        return self.percentiles_ms((percentile,))[0]

    def ladder_ms(self, percentiles: tuple[float, ...] = LADDER) -> dict[str, float]:
        """Percentile -> milliseconds; empty without values."""
        if not self.counts:
            return {}
        return {f"{at:g}": ms for at, ms in zip(percentiles, self.percentiles_ms(percentiles), strict=True)}

    def add(self, other: Latencies) -> None:
        counts = self.counts
        for value, count in other.counts.items():
            counts[value] = counts.get(value, 0) + count

    def encoded(self) -> str:
        """The text form of an HdrHistogram, which other tools can read."""
        histogram = HdrHistogram(1, _HIGHEST_US, _DIGITS)
        for value, count in self.counts.items():
            histogram.record_value(min(value, _HIGHEST_US), count)
        return bytes(histogram.encode()).decode("ascii")


def shown_ms(ladder: dict[str, float], percentile: str) -> str:
    """A value of a ladder for a person; a dash if nothing was measured."""
    return f"{ladder[percentile]:.1f} ms" if percentile in ladder else "-"
