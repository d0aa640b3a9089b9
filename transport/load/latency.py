"""Latencies as HdrHistograms: recorded in microseconds, merged over seconds and processes, without loss."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING

from hdrh.histogram import HdrHistogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["LADDER", "Latencies"]

LADDER = (0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0)
_HIGHEST_US = 3_600_000_000
_DIGITS = 3
_BITS = 11
"""Kept of a value when it is counted: one part in 1024, which is what three digits of the histogram hold."""


class Latencies:
    """Counts values between 1 us and an hour to three significant digits; longer ones count as an hour.

    Recording is a dictionary's increment, and so is merging. The counts are those of an HdrHistogram with the
    same precision, which is made on demand: its own methods walk all its slots, tens of thousands, each time.
    """

    __slots__ = ("counts",)

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: Counter[int] = Counter(counts)
        """Microseconds -> how often."""

    def record_ns(self, nanoseconds: int) -> None:
        value = nanoseconds // 1000
        if value < 1:
            value = 1
        shift = value.bit_length() - _BITS
        self.counts[value >> shift << shift if shift > 0 else value] += 1

    @property
    def count(self) -> int:
        return self.counts.total()

    def percentiles_ms(self, percentiles: Iterable[float]) -> list[float]:
        """The smallest values that so many per cent do not exceed; 0 if nothing was recorded."""
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

    def ladder_ms(self) -> dict[str, float]:
        """Percentile -> milliseconds, up to 99.99 and the highest."""
        return {f"{percentile:g}": ms for percentile, ms in zip(LADDER, self.percentiles_ms(LADDER), strict=True)}

    def merge(self, other: Latencies) -> None:
        self.counts.update(other.counts)

    def histogram(self) -> HdrHistogram:
        one = HdrHistogram(1, _HIGHEST_US, _DIGITS)
        for value, count in self.counts.items():
            one.record_value(min(value, _HIGHEST_US), count)
        return one

    def encoded(self) -> str:
        """HdrHistogram's own text form, which other tools read too."""
        return bytes(self.histogram().encode()).decode("ascii")
