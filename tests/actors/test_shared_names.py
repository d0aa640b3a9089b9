"""A pair and a group of the same name: both chat, and each has its own notifications."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from greenroom.actors.errors import ArgsError
from greenroom.actors.messages import DismissGroup, MarkConversationRead, MarkMessagesRead
from greenroom.actors.rules.ids import address_of_chat, group_address
from greenroom.tests.kit.engine_kit import caller
from greenroom.tests.kit.fault_kit import Gate, group_of, shown
from greenroom.tests.kit.listed import newest_seqs

if TYPE_CHECKING:
    from greenroom.tests.kit.engine_kit import KitEngine

READ = 2200


async def _mark(engine: KitEngine, chat: str, user: str, seq: int) -> None:
    """Mark as read, with a notification that is stored."""
    if chat.startswith("sg_"):
        mark = MarkMessagesRead(caller=caller(user), conversation_id=chat, user_id=user, seqs=[seq])
        await engine.ask(address_of_chat(chat), mark)
        return
    asked = MarkConversationRead(caller=caller(user), conversation_id=chat, user_id=user, has_read_seq=seq, seqs=[])
    await engine.ask(address_of_chat(chat), asked)


def _receipts(engine: KitEngine, user: str) -> list[tuple[str, int]]:
    pushed = engine.sessions.received[user]
    return [(one.conversation_id, one.message.seq) for one in pushed if one.message.contentType == READ]


@pytest.mark.parametrize("wakes_between", [False, True])
@pytest.mark.parametrize("pair_first", [False, True])
async def test_pair_and_group_of_one_name(engine: KitEngine, pair_first: bool, wakes_between: bool) -> None:
    await engine.register("a", "b", "c", "d")
    await group_of(engine, "a_b", "c", "d")
    for _ in range(2):
        await engine.send(engine.message("a", "b"))
        await engine.send(engine.message("c", group_id="a_b"))
    order = [("si_a_b", "b"), ("sg_a_b", "d")]
    for seq in (1, 2):
        for chat, user in order if pair_first else order[::-1]:
            await _mark(engine, chat, user, seq + chat.startswith("sg_"))
            if wakes_between:
                engine.base.stop(address_of_chat(chat))
    of_pair, of_group = ("n_a_b", "n_sg_a_b") if pair_first else ("n_si_a_b", "n_a_b")
    assert _receipts(engine, "a") == _receipts(engine, "b") == [(of_pair, 1), (of_pair, 2)]
    assert _receipts(engine, "c") == _receipts(engine, "d") == [(of_group, 1), (of_group, 2)]
    store = engine.world.store
    assert await newest_seqs(store, "a") == {"si_a_b": 2, of_pair: 2}
    assert await newest_seqs(store, "d") == {"sg_a_b": 3, of_group: 2}
    assert [seq for seq, _ in shown(engine, "a", "si_a_b")] == [1, 2]
    assert [seq for seq, _ in shown(engine, "d", "sg_a_b")] == [2, 3]
    for user in "acd":
        assert {*await store.spans(user, ["n_a_b", "n_sg_a_b", "n_si_a_b"])} == {of_pair if user == "a" else of_group}


async def test_notifications_of_both_in_one_batch(engine: KitEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is refused is sealed again: no sender gets an error, also not of the messages beside it."""
    await engine.register("a", "b", "c", "d")
    await group_of(engine, "a_b", "c", "d")
    await engine.send(engine.message("a", "b"))
    gate = Gate(engine, monkeypatch)
    gate.hold()
    first = asyncio.ensure_future(_mark(engine, "sg_a_b", "d", 1))
    await gate.arrived()
    others = [
        asyncio.ensure_future(_mark(engine, "si_a_b", "b", 1)),
        *(engine.send(engine.message("a", "b")) for _ in range(3)),
    ]
    gate.release()
    await asyncio.gather(first, *others)
    assert _receipts(engine, "d") == [("n_a_b", 1)]
    assert _receipts(engine, "a") == [("n_si_a_b", 1)]
    assert [seq for seq, _ in shown(engine, "b", "si_a_b")] == [1, 2, 3, 4]


async def test_name_that_holds_the_prefix_of_the_second_place(engine: KitEngine) -> None:
    await engine.register("a", "b", "c", "d")
    for group in ("a_b", "sg_a_b"):
        await group_of(engine, group, "c", "d")
    await engine.send(engine.message("a", "b"))
    await _mark(engine, "si_a_b", "b", 1)
    await _mark(engine, "sg_sg_a_b", "d", 1)
    await _mark(engine, "sg_a_b", "d", 1)
    assert _receipts(engine, "d") == [("n_sg_a_b", 1), ("n_sg_sg_a_b", 1)]


async def test_dismissed_group_leaves_the_pair_alone(engine: KitEngine) -> None:
    await engine.register("a", "b", "c")
    await group_of(engine, "a_b", "c")
    await engine.ask(group_address("a_b"), DismissGroup(caller=caller("c")))
    await engine.send(engine.message("a", "b"))
    assert engine.sessions.seqs("b", "si_a_b") == [1]


async def test_group_is_made_in_the_name_of_a_pair_that_speaks(engine: KitEngine) -> None:
    await engine.register("a", "b", "c")
    await engine.send(engine.message("a", "b"))
    await group_of(engine, "a_b", "c")
    await engine.send(engine.message("c", group_id="a_b"))
    await engine.send(engine.message("b", "a"))
    assert engine.sessions.seqs("c", "sg_a_b") == [1, 2]
    assert engine.sessions.seqs("a", "si_a_b") == [1, 2]


async def test_second_pair_of_a_key_is_still_refused(engine: KitEngine) -> None:
    """Their chat has one id, which every client computes for itself."""
    await engine.register("a", "b_c", "a_b", "c")
    await engine.send(engine.message("a", "b_c"))
    with pytest.raises(ArgsError):
        await engine.send(engine.message("a_b", "c"))
