"""Latencies as HdrHistograms: recorded in microseconds, merged over seconds and processes, without loss."""

from __future__ import annotations

from collections import Counter

from hdrh.histogram import HdrHistogram

__all__ = ["LADDER", "Latencies"]

LADDER = (0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0)
_HIGHEST_US = 3_600_000_000
_DIGITS = 3
_BITS = 11
"""Kept of a value when it is counted: one part in 1024, which is what three digits of the histogram hold."""


class Latencies:
    """Counts values between 1 us and an hour with three significant digits; longer ones count as an hour.

    Recording is a dictionary's increment; the histogram is filled when it is asked for something.
    """

    __slots__ = ("_fresh", "_histogram")

    def __init__(self) -> None:
        self._fresh: Counter[int] = Counter()
        self._histogram = HdrHistogram(1, _HIGHEST_US, _DIGITS)

    def record_ns(self, nanoseconds: int) -> None:
        value = nanoseconds // 1000
        if value < 1:
            value = 1
        shift = value.bit_length() - _BITS
        self._fresh[value >> shift << shift if shift > 0 else value] += 1

    @property
    def count(self) -> int:
        return int(self._filled().get_total_count())

    def percentile_ms(self, percentile: float) -> float:
        """0 if nothing was recorded."""
        histogram = self._filled()
        return float(histogram.get_value_at_percentile(percentile)) / 1000 if histogram.get_total_count() else 0.0

    def ladder_ms(self) -> dict[str, float]:
        """Percentile -> milliseconds, up to 99.99 and the highest."""
        return {f"{percentile:g}": self.percentile_ms(percentile) for percentile in LADDER}

    def merge(self, other: Latencies) -> None:
        self._filled().add(other._filled())

    def encoded(self) -> str:
        """HdrHistogram's own text form, which other tools read too."""
        return bytes(self._filled().encode()).decode("ascii")

    @classmethod
    def decoded(cls, text: str) -> Latencies:
        one = cls()
        one._histogram.decode_and_add(text.encode("ascii"))
        return one

    def _filled(self) -> HdrHistogram:
        if self._fresh:
            for value, count in self._fresh.items():
                self._histogram.record_value(min(value, _HIGHEST_US), count)
            self._fresh = Counter()
        return self._histogram
