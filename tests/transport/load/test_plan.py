from __future__ import annotations

import itertools
import random
from typing import Literal

import pytest

from greenroom.transport.load.plan import planned_times, repeating

Arrivals = Literal["poisson", "even"]


def _times(rate: float, ramp: float, hold: float, arrivals: Arrivals, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return list(planned_times(rate_per_s=rate, ramp_s=ramp, hold_s=hold, arrivals=arrivals, rng=rng))


def test_even_arrivals() -> None:
    times = _times(10, 0, 2, "even")
    assert len(times) == 20
    assert times == pytest.approx([number / 10 for number in range(1, 21)])


@pytest.mark.parametrize("arrivals", ["even", "poisson"])
def test_ramp_and_hold(arrivals: Arrivals) -> None:
    times = _times(1000, 4, 10, arrivals)
    assert times == sorted(times)
    assert all(0 <= at <= 14 for at in times)
    # The ramp has half of what the same time at the full rate has, and its first half a quarter of that.
    assert sum(at < 2 for at in times) == pytest.approx(500, rel=0.15)
    assert sum(at < 4 for at in times) == pytest.approx(2000, rel=0.1)
    assert sum(at >= 4 for at in times) == pytest.approx(10_000, rel=0.05)


def test_poisson_gaps() -> None:
    times = _times(1000, 0, 20, "poisson")
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert spread == pytest.approx(mean, rel=0.05)


def test_same_seed_same_plan() -> None:
    assert _times(100, 1, 2, "poisson") == _times(100, 1, 2, "poisson")
    assert _times(100, 1, 2, "poisson") != _times(100, 1, 2, "poisson", seed=2)


def test_repeating() -> None:
    times = list(repeating(first_s=3, every_s=1, end_s=103, rng=random.Random(1)))
    assert times[0] < 4
    assert times[-1] < 103
    assert len(times) == pytest.approx(100, abs=10)
    assert all(0.5 <= later - earlier <= 1.5 for earlier, later in itertools.pairwise(times))
