"""Which thresholds hold, when the harness is to blame, and the search for the highest rate."""

from __future__ import annotations

import itertools

import pytest

from greenroom.transport.load.samples import Totals
from greenroom.transport.load.scenario import Thresholds
from greenroom.transport.load.thresholds import CapacitySearch, measures, saturation


def test_measures() -> None:
    totals = Totals(planned=100, failed=2, logins=1)
    totals.ack.record_ns(40_000_000)
    thresholds = Thresholds(ack_p99_ms=30, delivery_p99_ms=0, error_share=0.02)
    found = {measure.name: measure for measure in measures(thresholds, totals, devices=100, connections=98)}
    assert set(found) == {"ack_p99_ms", "error_share", "devices_without_login"}
    assert not found["ack_p99_ms"].holds
    assert found["error_share"].holds
    assert found["devices_without_login"].holds
    last = measures(thresholds, Totals(), devices=100, connections=97)[-1]
    assert (last.name, last.limit, last.found, last.holds) == ("devices_without_login", 2, 3, False)


def test_nothing_measured_is_not_zero() -> None:
    [ack] = [one for one in measures(Thresholds(), Totals(), devices=1, connections=1) if one.name == "ack_p99_ms"]
    assert ack.found is None


def test_saturation() -> None:
    thresholds = Thresholds(harness_lag_p99_ms=10, harness_cpu_share=0.5)
    assert saturation(thresholds, lag_p99_ms=10, cpu_share=0.5) == ""
    assert "lagged by 11 ms" in saturation(thresholds, lag_p99_ms=11, cpu_share=0.5)
    assert "used 60% of a core" in saturation(thresholds, lag_p99_ms=1, cpu_share=0.6)


def test_capacity_search_finds_the_edge() -> None:
    search = CapacitySearch(start_per_s=100, precision=0.05, rates=30)
    while search.rate:
        search.report(search.rate <= 1234)
    assert 1234 * 0.94 <= search.highest_held <= 1234 < search.lowest_failed <= 1234 / 0.94


@pytest.mark.parametrize("bad", range(1, 25))
def test_one_bad_trial_does_not_decide_the_search(bad: int) -> None:
    search = CapacitySearch(start_per_s=100, precision=0.05, rates=30)
    for number in itertools.count(1):
        if not search.rate:
            break
        search.report(search.rate <= 1234 and number != bad)
    assert 1234 * 0.94 <= search.highest_held <= 1234 < search.lowest_failed <= 1234 / 0.94


def test_capacity_below_the_start() -> None:
    search = CapacitySearch(start_per_s=100, precision=0.05, rates=30)
    while search.rate:
        search.report(search.rate <= 7)
    assert 6 < search.highest_held <= 7


def test_capacity_of_nothing_and_of_everything_ends() -> None:
    for holds in (True, False):
        search = CapacitySearch(start_per_s=100, rates=10)
        while search.rate:
            search.report(holds)
        assert (search.highest_held > 0) is holds
