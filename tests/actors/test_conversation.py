"""Sends and read marks between two users, against the entities themselves."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import Any

import pytest

from greenroom.actors import receipts
from greenroom.actors.errors import (
    ArgsError,
    BlockedByPeer,
    NoPermission,
    RecordNotFound,
)
from greenroom.actors.messages import MarkConversationRead, MarkMessagesRead, SetReadSeq
from greenroom.actors.rules.ids import address_of_chat
from greenroom.persistence.store import PutRows, Slice
from greenroom.persistence.tables import BlackRow
from greenroom.tests.kit.engine_kit import KitEngine, caller, running_engine
from greenroom.tests.kit.stored import messages_of


async def test_first_message_is_stored_answered_and_pushed_to_both(engine: KitEngine) -> None:
    await engine.register("a", "b")
    answer = await engine.send(engine.message("a", "b", clientMsgID="one"))
    assert answer.clientMsgID == "one"
    assert len(answer.serverMsgID) == 32
    assert answer.sendTime == engine.clock.now
    assert engine.sessions.seqs("a", "si_a_b") == engine.sessions.seqs("b", "si_a_b") == [1]
    pushed = engine.sessions.received["b"][0].message
    assert (pushed.status, pushed.serverMsgID) == (2, answer.serverMsgID)
    records = {owner: await engine.world.store.records(owner) for owner in "ab"}
    assert [one.peer_id for one in records["a"]] == ["b"]
    assert [one.peer_id for one in records["b"]] == ["a"]


async def test_many_sends_take_gapless_seqs_in_their_order(engine: KitEngine) -> None:
    await engine.register("a", "b")
    sends = [engine.send(engine.message(*("ab" if i % 2 else "ba"), clientMsgID=f"c{i}")) for i in range(200)]
    await asyncio.gather(*sends)
    assert engine.sessions.seqs("a", "si_a_b") == list(range(1, 201))
    pushed = [one.message.clientMsgID for one in engine.sessions.received["b"]]
    assert pushed == [f"c{i}" for i in range(200)]
    stored = await messages_of(engine.world.store, "si_a_b")
    assert [one.seq for one in stored] == list(range(1, 201))


async def test_both_sides_send_the_first_message_at_once(engine: KitEngine) -> None:
    await engine.register("a", "b")
    await asyncio.gather(engine.send(engine.message("a", "b")), engine.send(engine.message("b", "a")))
    assert engine.sessions.seqs("a", "si_a_b") == [1, 2]


async def test_same_client_id_from_two_devices_at_once(engine: KitEngine) -> None:
    await engine.register("a", "b")
    first, second = await asyncio.gather(
        engine.send(engine.message("a", "b", clientMsgID="same")),
        engine.send(engine.message("a", "b", clientMsgID="same")),
    )
    assert first == second
    assert engine.sessions.seqs("b", "si_a_b") == [1]


async def test_repeat_of_a_stored_message_gets_the_first_answer(engine: KitEngine) -> None:
    await engine.register("a", "b")
    first = await engine.send(engine.message("a", "b", clientMsgID="same"))
    engine.clock.now += 5000
    others = [engine.send(engine.message("a", "b", clientMsgID=f"n{i}")) for i in range(5)]
    again = engine.send(engine.message("a", "b", clientMsgID="same", content=b"other"))
    others += [engine.send(engine.message("a", "b", clientMsgID=f"m{i}")) for i in range(5)]
    assert await again == first
    await asyncio.gather(*others)
    assert engine.sessions.seqs("b", "si_a_b") == list(range(1, 12))
    clients = [one.message.clientMsgID for one in engine.sessions.received["b"]]
    assert clients == ["same", *(f"n{i}" for i in range(5)), *(f"m{i}" for i in range(5))]


async def test_empty_client_id_is_never_a_repeat(engine: KitEngine) -> None:
    await engine.register("a", "b")
    for _ in range(2):
        await engine.send(engine.message("a", "b", clientMsgID=""))
    assert engine.sessions.seqs("b", "si_a_b") == [1, 2]


async def test_chat_with_oneself(engine: KitEngine) -> None:
    await engine.register("a")
    await engine.send(engine.message("a", "a"))
    assert engine.sessions.seqs("a", "si_a_a") == [1]
    assert len(await engine.world.store.records("a")) == 1


async def test_send_times_are_apart_and_never_go_back(engine: KitEngine) -> None:
    await engine.register("a", "b")
    sends = await asyncio.gather(*(engine.send(engine.message("a", "b")) for _ in range(20)))
    times = [one.sendTime for one in sends]
    assert times == list(range(times[0], times[0] + 20))
    engine.clock.now -= 1000
    assert (await engine.send(engine.message("a", "b"))).sendTime == times[-1] + 1
    engine.clock.now -= 60_000
    assert (await engine.send(engine.message("a", "b"))).sendTime == times[-1] + 1
    engine.clock.now += 120_000
    assert (await engine.send(engine.message("a", "b"))).sendTime == engine.clock.now


async def test_key_of_two_pairs_belongs_to_the_first(engine: KitEngine) -> None:
    await engine.register("a", "b_c", "a_b", "c")
    await engine.send(engine.message("a", "b_c"))
    with pytest.raises(ArgsError):
        await engine.send(engine.message("a_b", "c"))
    assert await engine.world.store.records("c") == []


async def test_two_pairs_of_one_key_at_once(engine: KitEngine) -> None:
    await engine.register("a", "b_c", "a_b", "c")
    results = await asyncio.gather(
        engine.send(engine.message("a", "b_c")),
        engine.send(engine.message("a_b", "c")),
        return_exceptions=True,
    )
    assert [type(one).__name__ for one in results] == ["SendMsgResp", "ArgsError"]


async def test_what_is_known_of_one_pair_says_nothing_of_another_with_its_key(engine: KitEngine) -> None:
    await engine.register("a", "a_b", "c")
    with pytest.raises(RecordNotFound):
        await engine.send(engine.message("a", "b_c"))
    await engine.send(engine.message("a_b", "c"))
    await engine.register("b_c")
    with pytest.raises(ArgsError):
        await engine.send(engine.message("a", "b_c"))
    await engine.send(engine.message("a_b", "c"))


async def test_conversation_that_is_awake_and_silent_is_small(engine: KitEngine) -> None:
    """What falling asleep gives back, of each of many."""
    peers = [f"peer-{number:05d}" for number in range(500)]
    await engine.register("alice", *peers)
    engine.sessions.offline.update(peers, ["alice"])
    tracemalloc.start()
    try:
        for _ in range(3):
            for peer in peers:
                await engine.send(engine.message("alice", peer))
        gc.collect()
        awake = tracemalloc.get_traced_memory()[0]
        assert engine.base.awake_count("conversation") == len(peers)
        await engine.base.stop_all("conversation")
        gc.collect()
        asleep = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0 < (awake - asleep) / len(peers) < 1536


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"send_id": "a", "recv_id": "nobody"}, RecordNotFound),
        ({"send_id": "nobody", "recv_id": "b"}, RecordNotFound),
        ({"send_id": "a", "recv_id": "b", "content": b""}, ArgsError),
        ({"send_id": "a", "recv_id": "b", "content": bytes(512 * 1024 + 1)}, ArgsError),
        ({"send_id": "a", "recv_id": "b", "sessionType": 2}, ArgsError),
        ({"send_id": "a", "recv_id": "b", "contentType": 1400}, ArgsError),
    ],
)
async def test_refused_sends(engine: KitEngine, fields: dict[str, Any], error: type[Exception]) -> None:
    await engine.register("a", "b")
    message = engine.message(fields.pop("send_id"), fields.pop("recv_id"), **fields)
    if message.sessionType == 2:
        message.groupID = "x"
    with pytest.raises(error):
        await engine.send(message)
    assert await engine.world.store.records("b") == []


async def test_send_in_anothers_name_is_refused(engine: KitEngine) -> None:
    await engine.register("a", "b")
    with pytest.raises(NoPermission):
        await engine.send(engine.message("a", "b"), by="b")
    await engine.send(engine.message("a", "b"), by="imAdmin")


async def test_receiver_who_blocks_the_sender(engine: KitEngine) -> None:
    await engine.register("a", "b")
    store, block = engine.world.store, PutRows([BlackRow("b", "a")])
    outcome = await store.commit([Slice("user/b", store.epoch, [block])])
    assert outcome == [None]
    with pytest.raises(BlockedByPeer):
        await engine.send(engine.message("a", "b"))
    await engine.send(engine.message("b", "a"))


async def test_receiver_who_takes_no_messages(engine: KitEngine) -> None:
    await engine.register("a")
    await engine.register("b", global_recv_msg_opt=1)
    with pytest.raises(ArgsError):
        await engine.send(engine.message("a", "b"))


async def test_typing_is_pushed_and_not_stored(engine: KitEngine) -> None:
    await engine.register("a", "b")
    await engine.send(engine.message("a", "b", contentType=113))
    assert [one.message.seq for one in engine.sessions.received["b"]] == [0]
    assert engine.sessions.received["a"] == []
    assert await messages_of(engine.world.store, "si_a_b") == []


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
    states = await engine.world.store.seq_states("b", None)
    assert states["si_a_b"].read_seq == 3
    await engine.ask(address_of_chat("si_a_b"), mark)
    assert (await engine.world.store.newest_seqs("b"))["n_a_b"] == 1


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


async def test_conversation_that_sleeps_goes_on_where_it_was(engine: KitEngine) -> None:
    await engine.register("a", "b")
    await engine.send(engine.message("a", "b"))
    engine.base.stop(address_of_chat("si_a_b"))
    await asyncio.gather(*(engine.send(engine.message("b", "a")) for _ in range(3)))
    assert engine.sessions.seqs("a", "si_a_b") == [1, 2, 3, 4]


async def test_conversation_that_crashes_answers_and_wakes_again(
    engine: KitEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from greenroom.actors.conversation import Conversation
    from greenroom.actors.errors import ActorCrashed

    await engine.register("a", "b")
    real = Conversation.take

    def take(self: Any, command: Any, *rest: Any) -> None:
        if command.message.ex == "crash":
            raise ZeroDivisionError
        real(self, command, *rest)

    monkeypatch.setattr(Conversation, "take", take)
    results = await asyncio.gather(
        *(engine.send(engine.message("a", "b", ex="crash" if i == 3 else "")) for i in range(8)),
        return_exceptions=True,
    )
    assert isinstance(results[3], ActorCrashed)
    good = [one for one in results if not isinstance(one, Exception)]
    assert engine.sessions.seqs("b", "si_a_b") == list(range(1, len(good) + 1))
    stored = await messages_of(engine.world.store, "si_a_b")
    assert len(stored) == len(good)
