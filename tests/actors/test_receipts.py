"""Read marks: what they change, whom they tell, and what they know of one another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors import receipts
from greenroom.actors.errors import (
    ArgsError,
    RecordNotFound,
)
from greenroom.actors.messages import MarkConversationRead, MarkMessagesRead, SetReadSeq
from greenroom.actors.rules.ids import address_of_chat
from greenroom.tests.kit.engine_kit import KitEngine, caller, running_engine
from greenroom.tests.kit.listed import all_seq_states, newest_seqs
from greenroom.tests.kit.stored import messages_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.store import Refusal, Slice


async def test_mark_conversation_read_tells_both_sides(engine: KitEngine) -> None:
    await engine.register("a", "b")
    for _ in range(3):
        await engine.send(engine.message("a", "b"))
    mark = MarkConversationRead(caller=caller("b"), conversation_id="si_a_b", user_id="b", has_read_seq=3, seqs=[])
    await engine.ask(address_of_chat("si_a_b"), mark)
    for user in "ab":
        notice = engine.sessions.received[user][-1]
        assert (notice.conversation_id, notice.message.contentType, notice.message.seq) == ("n_a_b", 2200, 1)
    assert b'\\"seqs\\":[1,2,3]' in notice.message.content
    stored = await messages_of(engine.world.store, "si_a_b")
    assert [one.is_read for one in stored] == [True] * 3
    states = await all_seq_states(engine.world.store, "b")
    assert states["si_a_b"].read_seq == 3
    await engine.ask(address_of_chat("si_a_b"), mark)
    assert (await newest_seqs(engine.world.store, "b"))["n_a_b"] == 1


async def test_mark_of_more_than_one_notice_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client flags what the notices name, and nothing else."""
    monkeypatch.setattr(receipts, "_NOTICES_LIMIT", 2)
    async with running_engine(GREENROOM_MESSAGE_MARK_SEQS_LIMIT="3") as engine:
        await engine.register("a", "b")
        for _ in range(8):
            await engine.send(engine.message("a", "b"))
        seen = {user: len(engine.sessions.received[user]) for user in "ab"}
        mark = MarkConversationRead(caller=caller("b"), conversation_id="si_a_b", user_id="b", has_read_seq=8, seqs=[])
        await engine.ask(address_of_chat("si_a_b"), mark)
        for user in "ab":
            told = [one.message for one in engine.sessions.received[user][seen[user] :]]
            assert [one.seq for one in told] == [1, 2]
            for one, seqs in zip(told, (b"[3,4,5]", b"[6,7,8]"), strict=True):
                assert b'\\"seqs\\":%b,\\"hasReadSeq\\":8' % seqs in one.content
        assert all(one.is_read for one in await messages_of(engine.world.store, "si_a_b"))
        named = MarkMessagesRead(caller=caller("b"), conversation_id="si_a_b", user_id="b", seqs=[*range(1, 8)])
        with pytest.raises(ArgsError):
            await engine.ask(address_of_chat("si_a_b"), named)


@pytest.mark.parametrize("wakes_anew", [False, True])
async def test_second_mark_knows_of_the_first_and_of_own_messages(engine: KitEngine, wakes_anew: bool) -> None:
    await engine.register("a", "b")
    address = address_of_chat("si_a_b")
    await engine.send(engine.message("a", "b"))
    await engine.ask(
        address, MarkMessagesRead(caller=caller("b"), conversation_id="si_a_b", user_id="b", seqs=[1])
    )
    await engine.send(engine.message("b", "a"))
    await engine.send(engine.message("a", "b"))
    if wakes_anew:
        engine.base.stop(address)
    mark = MarkConversationRead(caller=caller("b"), conversation_id="si_a_b", user_id="b", has_read_seq=3, seqs=[])
    await engine.ask(address, mark)
    assert b'\\"seqs\\":[3],\\"hasReadSeq\\":3' in engine.sessions.received["a"][-1].message.content


async def test_mark_after_a_repeat_reads_nothing_that_is_not_there(engine: KitEngine) -> None:
    await engine.register("a", "b")
    message = engine.message("a", "b", clientMsgID="one")
    await engine.send(message)
    await engine.send(message)
    mark = MarkConversationRead(caller=caller("a"), conversation_id="si_a_b", user_id="a", has_read_seq=1, seqs=[])
    await engine.ask(address_of_chat("si_a_b"), mark)
    await engine.send(engine.message("b", "a"))
    assert (await engine.world.store.seq_states("a", ["si_a_b"]))["si_a_b"].read_seq == 1


async def test_mark_messages_and_set_read_seq_are_bounded_by_the_newest(engine: KitEngine) -> None:
    await engine.register("a", "b")
    await engine.send(engine.message("a", "b"))
    address = address_of_chat("si_a_b")
    too_far = MarkMessagesRead(caller=caller("b"), conversation_id="si_a_b", user_id="b", seqs=[2])
    with pytest.raises(ArgsError):
        await engine.ask(address, too_far)
    with pytest.raises(ArgsError):
        await engine.ask(address, SetReadSeq(caller=caller("b"), conversation_id="si_a_b", user_id="b", has_read_seq=9))
    stranger = SetReadSeq(caller=caller("c"), conversation_id="si_a_b", user_id="c", has_read_seq=1)
    with pytest.raises(RecordNotFound):
        await engine.ask(address, stranger)
    await engine.ask(address, SetReadSeq(caller=caller("b"), conversation_id="si_a_b", user_id="b", has_read_seq=1))
    assert (await engine.world.store.seq_states("b", ["si_a_b"]))["si_a_b"].read_seq == 1


@pytest.mark.parametrize("kind", [MarkConversationRead, MarkMessagesRead, SetReadSeq])
async def test_mark_of_a_message_that_is_stored_and_not_yet_pushed(
    engine: KitEngine, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    """A client may pull it before the entity knows that it is stored."""
    await engine.register("a", "b")
    await engine.send(engine.message("a", "b"))
    address = address_of_chat("si_a_b")
    await engine.ask(address, SetReadSeq(caller=caller("b"), conversation_id="si_a_b", user_id="b", has_read_seq=1))
    commit, answered, stored = engine.world.store.commit, asyncio.Event(), asyncio.Event()

    async def slow(slices: Sequence[Slice]) -> list[Refusal | None]:
        outcomes = await commit(slices)
        stored.set()
        await answered.wait()
        return outcomes

    monkeypatch.setattr(engine.world.store, "commit", slow)
    sending = engine.send(engine.message("a", "b"))
    await stored.wait()
    given = {"has_read_seq": 2, "seqs": [2]}
    fields = {name: value for name, value in given.items() if name in kind.__struct_fields__}
    mark = kind(caller=caller("b"), conversation_id="si_a_b", user_id="b", **fields)
    marking = engine.ask(address, mark)
    answered.set()
    await asyncio.gather(sending, marking)
    assert (await engine.world.store.seq_states("b", ["si_a_b"]))["si_a_b"].read_seq == 2
