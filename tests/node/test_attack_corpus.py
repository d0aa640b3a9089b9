"""One client attacks in every way that the tables of routes and requests allow. It never holds the loop for long.

CI makes a sample, drawn by ATTACK_SEED or at random; ATTACK=text makes those that have the text in their name. With
ATTACKS=all (`make attacks`) all are made, and those on the memory of the node, beside honest clients; a table says what
each costs.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.attack_corpus import Attack, Flooded, Framed, corpus
from greenroom.tests.kit.attack_range import TURN_LIMIT_S, Figures, attack_range
from greenroom.tests.kit.attack_scenes import SCENES
from greenroom.tests.kit.watched_node import NOTED_FROM_S, TimedLoop, hold_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from greenroom.tests.kit.attack_range import Range
    from greenroom.tests.kit.watched_node import Turn

SAMPLE = 300
MIB = 2**20
MEMORY_LIMIT_BYTES = 256 * MIB
GIVEN_BACK_BYTES = 96 * MIB
"""Above rest, what is held for later: SQLite's two page caches, 32 MiB each, and what the allocators keep."""
GIVEN_BACK_S = 60.0
IDLE_S = 15.0
ROWS = 15
ONLY = os.environ.get("ATTACK", "")
"""Only attacks that have this in their name."""
ALL = os.environ.get("ATTACKS") == "all"
only_in_full = pytest.mark.skipif(not ALL, reason="only with ATTACKS=all")


def test_corpus_is_large() -> None:
    attacks = corpus()
    assert len({attack.name for attack in attacks}) == len(attacks) >= 1000


def _drawn() -> list[Attack]:
    """All; or those on the gateway, which are few, and a sample of the others."""
    attacks = corpus()
    if ONLY:
        return [attack for attack in attacks if ONLY in attack.name]
    if ALL:
        return attacks
    seed = int(os.environ.get("ATTACK_SEED") or random.SystemRandom().randrange(10**6))
    print(f"ATTACK_SEED={seed}")
    always = [attack for attack in attacks if isinstance(attack.what, Framed | Flooded)]
    return [*random.Random(seed).sample([attack for attack in attacks if attack not in always], SAMPLE), *always]


def _watched(work: Callable[[], object]) -> list[Turn]:
    """The long turns of a loop that does this work in a turn of its own."""
    turns: list[Turn] = []
    loop = TimedLoop(turns.append)
    loop.call_soon(work)
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    loop.close()
    return turns


def test_watch_sees_a_long_turn() -> None:
    (turn,) = _watched(lambda: hold_thread(0.03))
    assert turn.cpu_s > 0.03


def test_watch_counts_no_collection_and_no_sleep() -> None:
    rings = [[] for _ in range(300_000)]  # type: list[list[object]]
    for ring in rings:
        ring.append(ring)

    def collect_and_sleep() -> None:
        gc.collect()
        time.sleep(0.05)

    turns = _watched(collect_and_sleep)
    assert [turn.collection_s > NOTED_FROM_S for turn in turns] == [True]
    assert turns[0].cpu_s < turns[0].collection_s


async def test_planted_slow_handler_is_found(tmp_path: Path) -> None:
    flood = next(attack for attack in corpus() if attack.name == "flood of tiny requests")
    assert isinstance(flood.what, Flooded)
    few = flood._replace(what=flood.what._replace(frames=20, answers=10))
    async with attack_range(tmp_path, furnished=False, SLOW_TURN_S="0.03") as one:
        assert (await one.feel(few)).turn_s > TURN_LIMIT_S


@pytest.mark.ci
@pytest.mark.timeout(3600 if ALL else 300)
async def test_no_attack_holds_the_loop(tmp_path: Path) -> None:
    wrong: list[str] = []
    felt: list[Figures] = []
    async with attack_range(tmp_path, beside=ALL) as one:
        if ALL:
            felt.append(await _idle(one))
        for attack in _drawn():
            try:
                felt.append(await one.feel(attack))
            except (AssertionError, TimeoutError, OSError) as problem:
                wrong.append(f"{attack.name}: {problem!r}")
    _tell(f"{len(felt)} attacks: the slowest turns", sorted(felt, key=lambda each: -each.turn_s)[:ROWS])
    _tell("the most memory", sorted(felt, key=lambda each: -each.peak_bytes)[:5])
    if ALL:
        _tell("the slowest acks, and idle", [*sorted(felt[1:], key=lambda each: -each.ack_s)[:5], felt[0]])
    assert not wrong, "\n".join(wrong[:20])
    assert not [(each.name, each.turn_s) for each in felt if each.turn_s > TURN_LIMIT_S]
    assert not [(each.name, each.peak_bytes) for each in felt if each.peak_bytes > MEMORY_LIMIT_BYTES]


@only_in_full
@pytest.mark.timeout(3600)
async def test_no_attack_takes_the_memory(tmp_path: Path) -> None:
    felt: list[Figures] = []
    async with attack_range(tmp_path, beside=True) as one:
        idle = await _idle(one)
        for name, scene in SCENES.items():
            async with one.scene() as began:
                async with scene(one):
                    pass
                ended = time.monotonic()
                figures = one.figures(name, since=began)
                while one.held_bytes() > GIVEN_BACK_BYTES and time.monotonic() < ended + GIVEN_BACK_S:  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
                felt.append(figures._replace(held_bytes=one.held_bytes()))
                print(name, felt[-1], time.monotonic() - ended, flush=True)
        await asyncio.sleep(GIVEN_BACK_S)
        after = one.figures(f"{GIVEN_BACK_S:.0f} s later", since=time.monotonic() - 1)
    _tell("attacks on the memory", [*felt, after, idle])
    assert not [(each.name, each.peak_bytes // MIB) for each in felt if each.peak_bytes > MEMORY_LIMIT_BYTES]
    assert not [(each.name, each.held_bytes // MIB) for each in (*felt, after) if each.held_bytes > GIVEN_BACK_BYTES]


async def _idle(one: Range) -> Figures:
    async with one.scene() as began:
        await asyncio.sleep(IDLE_S)
        return one.figures("idle", since=began)


def _tell(title: str, rows: Iterable[Figures]) -> None:
    """A table for docs/bounds.md."""
    print(f"\n{title}")
    print("| attack | longest turn, ms | collection, ms | memory, MiB | held after, MiB | ack, ms | HTTP, ms |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        seconds = [f"{1000 * each:.1f}" for each in (row.turn_s, row.collection_s)]
        memory = [f"{each / MIB:.0f}" for each in (row.peak_bytes, row.held_bytes)]
        beside = [f"{1000 * each:.0f}" for each in (row.ack_s, row.http_s)]
        print(f"| {' | '.join([row.name, *seconds, *memory, *beside])} |")
