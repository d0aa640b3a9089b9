"""What leaves in one commit: as much as has been decided when it begins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.errors import StoreFailed
from greenroom.actors.log import Send
from greenroom.actors.pair import Pair
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.replies import Ping
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
