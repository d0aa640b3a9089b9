"""What leaves in one commit: as much as has been decided when it begins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.actors.errors import StoreFailed
from greenroom.actors.lane import WaitingSlices
from greenroom.actors.log import Send
from greenroom.actors.pair import Pair
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.replies import Ping
from greenroom.actors.slices import CommitSlice
from greenroom.persistence.store import Slice
from greenroom.tests.kit.fault_kit import Gate, shown, stored

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom.actors.items import Item
    from greenroom.persistence.store import AnyWrite
    from greenroom.tests.kit.engine_kit import KitEngine


@pytest.fixture
async def gate(engine: KitEngine, monkeypatch: pytest.MonkeyPatch) -> Gate:
    await engine.register("a", "b", "c", "d")
    for pair in ("ab", "cd"):
        await engine.send(engine.message(*pair, clientMsgID="first"))
    return Gate(engine, monkeypatch)


def send(engine: KitEngine, pair: str, name: str) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = engine.send(engine.message(*pair, clientMsgID=name))
    return task


async def taken(engine: KitEngine, key: str) -> None:
    """The conversation has decided what was sent, and the lane knows of it."""
    await asyncio.sleep(0)
    for address in (Address(*key.split("/")), Address("fixed", "lane-0")):
        await engine.base.ask(address, Ping())


AB, CD = "conversation/a_b", "conversation/c_d"


async def test_decided_amid_a_commit_leaves_with_the_next(engine: KitEngine, gate: Gate) -> None:
    gate.hold()
    sends = [send(engine, "ab", "under way")]
    await gate.arrived()
    sends += [send(engine, "cd", "waits for the lane"), send(engine, "ab", "waits for its conversation")]
    await taken(engine, AB)
    gate.release()
    await asyncio.gather(*sends)
    assert [sorted(keys) for keys in gate.batches] == [[AB], [AB, CD]]


async def test_decided_while_the_slice_waits_is_the_next_one(engine: KitEngine, gate: Gate) -> None:
    """A slice is frozen: what comes meanwhile is one slice, and goes as soon as it is answered."""
    gate.hold()
    sends = [send(engine, "ab", "under way")]
    await gate.arrived()
    for name in ("waits", "next", "next, too"):
        sends.append(send(engine, "cd", name))
        await taken(engine, CD)
    gate.release()
    await asyncio.gather(*sends)
    assert gate.batches == [[AB], [CD], [CD]]
    kept = [(1, "first"), (2, "waits"), (3, "next"), (4, "next, too")]
    assert await stored(engine, "si_c_d") == kept
    assert shown(engine, "d", "si_c_d") == kept


async def test_small_slices_wait_for_one_large_one_at_most(engine: KitEngine, gate: Gate) -> None:
    """Messages of 300 KB arrive first, in three keys. Each has a batch of its own, and a small slice is not behind
    more than one of them. Nothing is lost, and each key keeps its order."""
    content = b'{"content":"%b"}' % (b"x" * 300_000)
    pairs = {"ef": "conversation/e_f", "gh": "conversation/g_h", "ij": "conversation/i_j"}
    await engine.register(*"efghij")
    gate.hold()
    sends = [send(engine, "ab", "under way")]
    await gate.arrived()
    for pair, key in pairs.items():
        for _ in range(2):
            sends.append(engine.send(engine.message(*pair, clientMsgID=f"large {len(sends)}", content=content)))
        await asyncio.sleep(0)
        await taken(engine, key)
    sends.append(send(engine, "cd", "small"))
    sends.append(send(engine, "ab", "small"))
    await taken(engine, CD)
    gate.batches.clear()
    gate.release()
    await asyncio.gather(*sends)
    large = [keys for keys in gate.batches if set(keys) & set(pairs.values())]
    assert large == [[key] for key in pairs.values()]
    first = next(index for index, keys in enumerate(gate.batches) if CD in keys)
    assert first <= 1, gate.batches
    for pair in pairs:
        assert [seq for seq, _ in await stored(engine, f"si_{pair[0]}_{pair[1]}")] == [1, 2]


def waiting(number: int, weight: int) -> CommitSlice:
    key = f"k/{number}"
    return CommitSlice(Address("k", str(number)), number, 0.0, Slice(key, 1, []), (), (), weight)


@given(st.lists(st.tuples(st.sampled_from(["add", "take"]), st.sampled_from([1, 7, 200, 256, 257, 90_000]))))
def test_batches_are_bounded_fair_and_complete(steps: list[tuple[str, int]]) -> None:
    queue, number, limit = WaitingSlices(), 0, 9
    arrived: list[CommitSlice] = []
    batches: list[list[CommitSlice]] = []
    for step, weight in steps:
        if step == "add":
            number += 1
            arrived.append(waiting(number, weight))
            queue.add(arrived[-1])
        elif queue:
            batches.append(queue.take_batch(limit))
    while queue:
        batches.append(queue.take_batch(limit))
    committed = [each for batch in batches for each in batch]
    for is_large in (False, True):
        alike = [each for each in committed if (each.weight > 256) is is_large]
        assert alike == [each for each in arrived if (each.weight > 256) is is_large]
    assert all(0 < len(batch) <= limit for batch in batches)
    assert all(len(batch) == 1 or sum(each.weight for each in batch) <= 4096 for batch in batches)
    assert all(len(batch) == 1 for batch in batches if any(each.weight > 256 for each in batch))


def test_small_and_large_batches_take_turns() -> None:
    queue = WaitingSlices()
    for number in range(12):
        queue.add(waiting(number, 1000 if number < 6 else 200))
    queue.add(waiting(12, 500))
    order = []
    while queue:
        order.append([each.number for each in queue.take_batch(2)])
        if order[-1] == [6, 7]:
            queue.add(waiting(13, 1))
    assert order == [[6, 7], [0], [8, 9], [1], [10, 11], [2], [13], [3], [4], [5], [12]]


def test_overdue_slices_are_removed_from_both() -> None:
    queue = WaitingSlices()
    for number in range(6):
        queue.add(waiting(number, 1000 * (number % 2)))
    assert [each.number for each in queue.remove(lambda each: each.number < 3)] == [0, 2, 1]
    assert queue.remove(lambda each: False) == []
    assert [each.number for _ in range(2) for each in queue.take_batch(9)] == [4, 3]
    assert len(queue) == 1


async def test_slice_in_flight_knows_nothing_of_a_draft_that_fails(
    engine: KitEngine, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Pair.seal

    def seal(self: Pair, item: Item, seqs: dict[str, int]) -> Iterable[AnyWrite]:
        if isinstance(item, Send) and item.client_msg_id == "fails":
            raise ZeroDivisionError
        return real(self, item, seqs)

    monkeypatch.setattr(Pair, "seal", seal)
    gate.hold()
    first = send(engine, "ab", "under way")
    await gate.arrived()
    opens = send(engine, "cd", "opens")
    await taken(engine, CD)
    beside, fails = send(engine, "cd", "beside"), send(engine, "cd", "fails")
    gate.release()
    for one in (beside, fails):
        with pytest.raises(StoreFailed):
            await one
    await asyncio.gather(first, opens)
    await send(engine, "cd", "last")
    kept = [(1, "first"), (2, "opens"), (3, "last")]
    assert await stored(engine, "si_c_d") == kept
    assert shown(engine, "d", "si_c_d") == kept
