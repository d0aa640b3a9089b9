from __future__ import annotations

from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.transport.load.latency import LADDER, Latencies, shown_ms

BUSY = settings(deadline=None)
"""A busy machine may be slow."""
_VALUES = st.lists(st.integers(1_000, 3_000_000_000_000), min_size=1, max_size=300)


def _of(values: list[int]) -> Latencies:
    one = Latencies()
    for value in values:
        one.record_ns(value)
    return one


@BUSY
@given(_VALUES)
def test_percentiles_are_those_of_a_histogram(values: list[int]) -> None:
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for value in values:
        histogram.record_value(value // 1000)
    for percentile, ms in zip(LADDER, _of(values).percentiles_ms(LADDER), strict=True):
        expected = histogram.get_value_at_percentile(percentile) / 1000
        assert abs(ms - expected) <= 0.002 * expected + 0.001


@BUSY
@given(_VALUES, _VALUES)
def test_sum(some: list[int], others: list[int]) -> None:
    merged = _of(some)
    merged.add(_of(others))
    assert merged.counts == _of(some + others).counts
    assert sum(merged.counts.values()) == len(some) + len(others)


@BUSY
@given(_VALUES)
def test_encoded_form_is_read_by_the_library(values: list[int]) -> None:
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    histogram.decode_and_add(_of(values).encoded().encode())
    assert histogram.get_total_count() == len(values)


def test_nothing_recorded() -> None:
    assert Latencies().percentile_ms(99) == 0
    assert Latencies().ladder_ms() == {}
    assert shown_ms({}, "99") == "-"


def test_less_than_nothing_counts_as_a_microsecond() -> None:
    assert _of([-5, 0, 10]).percentile_ms(100) == 0.001
