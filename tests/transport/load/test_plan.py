from __future__ import annotations

import itertools
import random
from typing import Literal

import pytest

from greenroom.transport.load.plan import Cue, Drop, PauseReading, Plan, Speak, planned_times, repeating
from greenroom.transport.load.population import Population
from greenroom.transport.load.scenario import parse

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


SECOND = 1_000_000_000
MIXED = """
users = 40
[pace]
ramp_s = 1.0
[[step]]
kind = "direct"
[[step]]
kind = "offline"
share = 0.25
from_share = 0.2
to_share = 0.6
[[step]]
kind = "slow"
share = 0.1
every_s = 1.0
[[step]]
kind = "churn"
share = 0.1
every_s = 1.0
half_open_share = 1.0
[[step]]
kind = "storm"
times = 2
"""


def _cues(*, part: int = 0, parts: int = 1, text: str = MIXED) -> list[Cue]:
    population = Population(parse(text, source="x"), tag="t")
    places = population.share(part, parts)
    plan = Plan(population, places, rate_per_s=100, hold_s=10, start_ns=5 * SECOND)
    assert (plan.measured_from_ns, plan.end_ns) == (6 * SECOND, 16 * SECOND)
    return list(plan.cues())


def test_cues_of_all_steps_in_the_order_of_their_times() -> None:
    cues = _cues()
    assert [cue.at_ns for cue in cues] == sorted(cue.at_ns for cue in cues)
    assert all(5 * SECOND <= cue.at_ns <= 16 * SECOND for cue in cues)
    assert {(cue.step, type(cue.act)) for cue in cues} == {
        (0, Speak), (1, Drop), (2, PauseReading), (3, Drop), (4, Drop),
    }  # fmt: skip
    assert len([cue for cue in cues if cue.step == 0]) == pytest.approx(1050, rel=0.2)
    away = [cue for cue in cues if cue.step == 1]
    assert len(away) == 10
    for cue in away:
        assert isinstance(cue.act, Drop)
        assert (cue.at_ns, cue.act.back_after_s) == (8 * SECOND, 4.0)
    assert len([cue for cue in cues if cue.step == 4]) == 2 * 40


def test_same_seed_same_cues() -> None:
    assert _cues() == _cues()
    assert _cues() != _cues(text=f"seed = 2\n{MIXED}")


def test_steps_choose_the_same_users_however_many_processes_there_are() -> None:
    def chosen(cues: list[Cue]) -> set[tuple[int, int]]:
        return {(cue.step, cue.place) for cue in cues if cue.step}

    assert chosen(_cues()) == chosen([cue for part in range(3) for cue in _cues(part=part, parts=3)])


def test_closed_loop_plans_no_message() -> None:
    assert not [cue for cue in _cues(text=MIXED.replace("[pace]", '[pace]\nmode = "closed"')) if cue.step == 0]
