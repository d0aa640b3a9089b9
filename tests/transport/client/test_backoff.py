from __future__ import annotations

import random

from greenroom.transport.client.backoff import Backoff


def test_waits_double_up_to_sixteen_times_the_base() -> None:
    backoff = Backoff(2.0, random.Random(1))
    for factor in (1, 2, 4, 8, 16, 16, 16):
        assert factor <= backoff.next_s() <= 2 * factor


def test_reset() -> None:
    backoff = Backoff(1.0, random.Random(1))
    for _ in range(3):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= 1


def test_waits_are_spread() -> None:
    rng = random.Random(1)
    waits = [Backoff(1.0, rng).next_s() for _ in range(1000)]
    assert min(waits) < 0.51
    assert max(waits) > 0.99
