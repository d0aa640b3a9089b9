from __future__ import annotations

import pytest

from greenroom.transport.token_buckets import TokenBuckets


def taken(buckets: TokenBuckets, key: str, now: float, tries: int = 100) -> int:
    return sum(buckets.take(key, now) == 0.0 for _ in range(tries))


def test_burst_then_rate() -> None:
    buckets = TokenBuckets(per_s=4.0, burst=10, keys_limit=100)
    assert taken(buckets, "a", 1000.0) == 10
    assert buckets.take("a", 1000.0) == pytest.approx(0.25)
    assert taken(buckets, "a", 1000.2) == 0
    assert taken(buckets, "a", 1000.25) == 1
    assert taken(buckets, "a", 1001.25) == 4
    assert taken(buckets, "a", 2000.0) == 10


def test_rate_beyond_the_clock() -> None:
    """An interval that is lost in the clock's rounding."""
    buckets = TokenBuckets(per_s=1e12, burst=1, keys_limit=10)
    assert all(buckets.take(f"k{number}", 1e9) == 0.0 for number in range(100))


def test_keys_are_apart() -> None:
    buckets = TokenBuckets(per_s=1.0, burst=3, keys_limit=100)
    assert taken(buckets, "a", 0.0) == taken(buckets, "b", 0.0) == 3


def test_refusal_takes_nothing() -> None:
    buckets = TokenBuckets(per_s=1.0, burst=1, keys_limit=100)
    assert taken(buckets, "a", 0.0, tries=10_000) == 1
    assert buckets.take("a", 1.0) == 0.0


def test_cost() -> None:
    buckets = TokenBuckets(per_s=2.0, burst=10, keys_limit=100)
    assert buckets.take("a", 0.0, 4) == buckets.take("a", 0.0, 6) == 0.0
    assert buckets.take("a", 0.0, 4) == pytest.approx(2.0)
    assert buckets.take("a", 1.5, 4) == pytest.approx(0.5)
    assert buckets.take("a", 2.0, 4) == 0.0
    assert buckets.take("a", 2.0) == pytest.approx(0.5)


def test_cost_above_the_burst_needs_a_full_bucket_and_leaves_a_debt() -> None:
    buckets = TokenBuckets(per_s=2.0, burst=10, keys_limit=100)
    assert buckets.take("new", 0.0, 50) == 0.0
    assert buckets.take("new", 0.0) == pytest.approx(20.5)
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("a", 0.0, 50) == pytest.approx(0.5)
    assert buckets.take("a", 0.5, 50) == 0.0
    assert taken(buckets, "a", 20.0) == 0
    assert taken(buckets, "a", 21.0) == 1


def test_charge() -> None:
    """What is charged later may leave a debt; an unknown key has a full bucket."""
    buckets = TokenBuckets(per_s=2.0, burst=10, keys_limit=100)
    assert buckets.take("a", 0.0) == 0.0
    buckets.charge("a", 0.0, 20)
    assert buckets.take("a", 0.0) == pytest.approx(6.0)
    assert taken(buckets, "a", 6.0) == 1
    buckets.charge("b", 50.0, 4)
    assert taken(buckets, "b", 50.0) == 6


def test_give_back() -> None:
    buckets = TokenBuckets(per_s=1.0, burst=1, keys_limit=100)
    for _ in range(5):
        assert buckets.take("a", 0.0) == 0.0
        buckets.give_back("a")
    buckets.give_back("unknown")
    assert len(buckets) == 1
    assert taken(buckets, "a", 0.0) == 1


def test_keys_are_bounded() -> None:
    buckets = TokenBuckets(per_s=1.0, burst=5, keys_limit=10)
    for number in range(1000):
        assert buckets.take(f"k{number}", 0.0) == 0.0
        assert len(buckets) <= 10


def test_full_ones_are_forgotten_and_others_stay() -> None:
    buckets = TokenBuckets(per_s=1.0, burst=1000, keys_limit=100)
    assert taken(buckets, "script", 0.0, tries=2000) == 1000
    for number in range(500):
        now = number * 0.1
        assert buckets.take(f"k{number}", now) == 0.0
        assert len(buckets) < 25  # About one second's keys are not full.
    # Whatever came meanwhile, it has only what was refilled.
    assert taken(buckets, "script", 50.0, tries=2000) == 50
    for number in range(30):
        buckets.take("quiet", 2000.0 + number)
        buckets.take(f"new{number}", 2000.0 + number)
    assert len(buckets) <= 4
