"""Whose slice is done in which turn of the loop."""

from __future__ import annotations

import asyncio

import pytest

from greenroom.actors.queries.slice_turns import SliceTurns, next_slice, work_for


async def _query(turns: SliceTurns, log: list[str], name: str, slices: int) -> None:
    await turns.begin(name[0])
    log.append(name)
    for _ in range(slices - 1):
        await turns.next(name[0])
        log.append(name)


async def test_users_have_turns_not_queries() -> None:
    """`b`'s only query has every second slice, although `a` has five queries, which came first."""
    turns, log = SliceTurns(), list[str]()
    names = ["a1", "a2", "a3", "a4", "a5", "b1"]
    await asyncio.gather(*(_query(turns, log, name, 3) for name in names))
    assert sorted(log) == sorted(names * 3)
    assert log[:2] == ["a1", "b1"], "first slices begin at once"
    assert max(place for place, name in enumerate(log) if name == "b1") <= 6


async def test_one_slice_in_a_turn_of_the_loop() -> None:
    turns, log = SliceTurns(), list[str]()
    tasks = [asyncio.ensure_future(_query(turns, log, name, 3)) for name in ("a1", "a2", "b1", "c1")]
    await asyncio.sleep(0)
    assert log == ["a1", "b1", "c1"]
    while not all(task.done() for task in tasks):
        before = len(log)
        await asyncio.sleep(0)
        assert len(log) - before <= 1
    assert len(log) == 12


async def test_work_of_one_user_begins_once_in_a_turn() -> None:
    turns, log = SliceTurns(), list[str]()
    tasks = [asyncio.ensure_future(_query(turns, log, f"a{number}", 1)) for number in range(4)]
    await asyncio.sleep(0)
    assert log == ["a0"]
    await asyncio.gather(*tasks)
    assert log == ["a0", "a1", "a2", "a3"]


async def test_cancelled_query_takes_no_turn() -> None:
    turns, log = SliceTurns(), list[str]()
    tasks = [asyncio.ensure_future(_query(turns, log, name, 2)) for name in ("a1", "a2", "a3")]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(tasks[0], tasks[2])
    assert sorted(log) == ["a1", "a1", "a3", "a3"]
    assert not turns._waiting


async def test_work_ends_when_its_check_fails() -> None:
    """Nobody waits for the answer of a client that has gone, so its further slices are not done."""
    done = 0

    def check() -> None:
        if done == 3:
            raise ConnectionError

    async def work() -> None:
        nonlocal done
        work_for(SliceTurns(), "a", check)
        while True:
            await next_slice()
            done += 1

    with pytest.raises(ConnectionError):
        await asyncio.create_task(work())
    assert done == 3
    await next_slice()  # This task works for nobody.
