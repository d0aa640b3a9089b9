"""One client attacks in every way that the tables of routes and requests allow. It never holds the loop for long.

CI runs a sample, drawn by ATTACK_SEED or at random. With ATTACKS=all (`make attacks`) all are made, those on the memory
too, beside honest clients; a table says what they cost.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.attack_corpus import Attack, Flooded, Framed, corpus
from greenroom.tests.kit.attack_range import TRIES, TURN_LIMIT_S, attack_range

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.tests.kit.attack_range import Figures

SAMPLE = 150
MIB = 2**20
MEMORY_LIMIT_BYTES = 256 * MIB
ALL = os.environ.get("ATTACKS") == "all"


def test_corpus_is_large() -> None:
    attacks = corpus()
    assert len({attack.name for attack in attacks}) == len(attacks) >= 1000


def _drawn() -> list[Attack]:
    attacks = corpus()
    if ALL:
        return attacks
    seed = int(os.environ.get("ATTACK_SEED") or random.SystemRandom().randrange(10**6))
    print(f"ATTACK_SEED={seed}")
    return random.Random(seed).sample(attacks, SAMPLE)


@pytest.mark.ci
@pytest.mark.timeout(3600 if ALL else 300)
async def test_no_attack_holds_the_loop(tmp_path: Path) -> None:
    async with attack_range(tmp_path) as one:
        felt = []
        for attack in _drawn():
            felt.append(await one.feel(attack))
    for figures in sorted(felt, key=lambda each: -each.turn_s)[:30]:
        print(figures)
    for figures in sorted(felt, key=lambda each: -each.peak_bytes)[:10]:
        print(figures)
    assert not [each for each in felt if each.turn_s > TURN_LIMIT_S]
