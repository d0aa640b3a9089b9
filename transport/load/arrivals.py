"""When messages are planned: a schedule that is fixed before the first answer, and repeats with its seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

__all__ = ["planned_times", "repeating"]


def planned_times(
    *, rate_per_s: float, ramp_s: float, hold_s: float, arrivals: Literal["poisson", "even"], rng: random.Random
) -> Iterator[float]:
    """Seconds from the start, ascending: the rate grows in a straight line over the ramp, then holds.

    Poisson arrivals have independent gaps, as many users make them; even ones have none but the rate's own.
    """
    in_ramp = rate_per_s * ramp_s / 2
    total = in_ramp + rate_per_s * hold_s
    count = 0.0
    while True:
        count += rng.expovariate(1.0) if arrivals == "poisson" else 1.0
        if count > total:
            return
        # How many have come by then is known; when that is, is the inverse.
        if count < in_ramp:
            yield math.sqrt(2 * ramp_s * count / rate_per_s)
        else:
            yield ramp_s + (count - in_ramp) / rate_per_s


def repeating(*, first_s: float, every_s: float, end_s: float, rng: random.Random) -> Iterator[float]:
    """Times about `every_s` apart (half to one and a half), so that many of these never fall into step."""
    at = first_s + every_s * rng.random()
    while at < end_s:
        yield at
        at += every_s * rng.uniform(0.5, 1.5)
