"""Which thresholds hold, when the harness is to blame, and the search for the highest rate."""

from __future__ import annotations

from greenroom.transport.load.samples import Totals
from greenroom.transport.load.scenario import Thresholds
from greenroom.transport.load.thresholds import CapacitySearch, measures, saturation


def test_measures() -> None:
    totals = Totals(planned=100, failed=2, logins=1)
    totals.ack.record_ns(40_000_000)
    thresholds = Thresholds(ack_p99_ms=30, delivery_p99_ms=0, error_share=0.02)
    found = {measure.name: measure for measure in measures(thresholds, totals)}
    assert set(found) == {"ack_p99_ms", "error_share"}
    assert not found["ack_p99_ms"].holds
    assert found["error_share"].holds
    assert [measure.name for measure in measures(thresholds, Totals())][-1] == "users_without_login"


def test_saturation() -> None:
    thresholds = Thresholds(harness_lag_p99_ms=10, harness_cpu_share=0.5)
    assert saturation(thresholds, lag_p99_ms=10, cpu_share=0.5) == ""
    assert "lagged by 11 ms" in saturation(thresholds, lag_p99_ms=11, cpu_share=0.5)
    assert "used 60% of a core" in saturation(thresholds, lag_p99_ms=1, cpu_share=0.6)


def test_capacity_search_finds_the_edge() -> None:
    search = CapacitySearch(start_per_s=100, precision=0.05, trials=30)
    while search.rate:
        search.report(search.rate <= 1234)
    assert 1234 * 0.94 <= search.highest_held <= 1234 < search.lowest_failed <= 1234 / 0.94


def test_capacity_below_the_start() -> None:
    search = CapacitySearch(start_per_s=100, precision=0.05, trials=30)
    while search.rate:
        search.report(search.rate <= 7)
    assert 6 < search.highest_held <= 7


def test_capacity_of_nothing_and_of_everything_ends() -> None:
    for holds in (True, False):
        search = CapacitySearch(start_per_s=100, trials=10)
        while search.rate:
            search.report(holds)
        assert (search.highest_held > 0) is holds
