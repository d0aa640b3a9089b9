"""Sends between two users: who may, whose the key is, who hears of it, and what one that is awake costs."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.errors import (
    ArgsError,
    BlockedByPeer,
    NoPermission,
    RecordNotFound,
)
from greenroom.persistence.store import PutRows, Slice
from greenroom.persistence.tables import BlackRow

if TYPE_CHECKING:
    from greenroom.tests.kit.engine_kit import KitEngine


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


async def test_both_sides_send_the_first_message_at_once(engine: KitEngine) -> None:
    await engine.register("a", "b")
    await asyncio.gather(engine.send(engine.message("a", "b")), engine.send(engine.message("b", "a")))
    assert engine.sessions.seqs("a", "si_a_b") == [1, 2]


async def test_chat_with_oneself(engine: KitEngine) -> None:
    await engine.register("a")
    await engine.send(engine.message("a", "a"))
    assert engine.sessions.seqs("a", "si_a_a") == [1]
    assert len(await engine.world.store.records("a")) == 1


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


async def test_pair_that_is_awake_and_silent_is_small(engine: KitEngine) -> None:
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
    assert 0 < (awake - asleep) / len(peers) < 1700


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
