"""What the entity of any key does with messages: seqs, times, repeats, its sleep and its crash."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.rules.ids import address_of_chat
from greenroom.tests.kit.stored import messages_of

if TYPE_CHECKING:
    from greenroom.tests.kit.engine_kit import KitEngine


async def test_many_sends_take_gapless_seqs_in_their_order(engine: KitEngine) -> None:
    await engine.register("a", "b")
    sends = [engine.send(engine.message(*("ab" if i % 2 else "ba"), clientMsgID=f"c{i}")) for i in range(200)]
    await asyncio.gather(*sends)
    assert engine.sessions.seqs("a", "si_a_b") == list(range(1, 201))
    pushed = [one.message.clientMsgID for one in engine.sessions.received["b"]]
    assert pushed == [f"c{i}" for i in range(200)]
    stored = await messages_of(engine.world.store, "si_a_b")
    assert [one.seq for one in stored] == list(range(1, 201))


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


async def test_send_times_are_apart_and_never_go_back(engine: KitEngine) -> None:
    await engine.register("a", "b")
    sends = await asyncio.gather(*(engine.send(engine.message("a", "b")) for _ in range(20)))
    times = [one.sendTime for one in sends]
    assert times == list(range(times[0], times[0] + 20))
    engine.clock.now -= 1000
    assert (await engine.send(engine.message("a", "b"))).sendTime == times[-1] + 1
    engine.clock.now -= 60_000
    assert (await engine.send(engine.message("a", "b"))).sendTime == times[-1] + 2
    engine.clock.now += 120_000
    assert (await engine.send(engine.message("a", "b"))).sendTime == engine.clock.now


@pytest.mark.parametrize("set_back_ms", [6_000, 86_400_000])
async def test_send_times_after_the_clock_was_set_back(engine: KitEngine, set_back_ms: int) -> None:
    """Each is a millisecond after the one before, also of a new incarnation, until the clock has caught up."""
    await engine.register("a", "b")
    first = (await engine.send(engine.message("a", "b"))).sendTime
    engine.clock.now -= set_back_ms
    for count in range(1, 41):
        if count == 20:
            engine.base.stop(address_of_chat("si_a_b"))
        assert (await engine.send(engine.message("a", "b"))).sendTime == first + count
    engine.clock.now += set_back_ms + 39
    assert (await engine.send(engine.message("a", "b"))).sendTime == first + 41
    engine.clock.now += 1_000
    assert (await engine.send(engine.message("a", "b"))).sendTime == engine.clock.now


async def test_burst_is_ahead_of_the_clock_by_no_more_than_its_messages(engine: KitEngine) -> None:
    await engine.register("a", "b")
    sends = await asyncio.gather(*(engine.send(engine.message("a", "b")) for _ in range(1_000)))
    assert [one.sendTime for one in sends] == list(range(engine.clock.now, engine.clock.now + 1_000))
    engine.clock.now += 1_500
    assert (await engine.send(engine.message("a", "b"))).sendTime == engine.clock.now


async def test_typing_is_pushed_and_not_stored(engine: KitEngine) -> None:
    await engine.register("a", "b")
    await engine.send(engine.message("a", "b", contentType=113))
    assert [one.message.seq for one in engine.sessions.received["b"]] == [0]
    assert engine.sessions.received["a"] == []
    assert await messages_of(engine.world.store, "si_a_b") == []


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
    real = Conversation.accept

    def accept(self: Any, command: Any, *rest: Any) -> None:
        if command.message.ex == "crash":
            raise ZeroDivisionError
        real(self, command, *rest)

    monkeypatch.setattr(Conversation, "accept", accept)
    results = await asyncio.gather(
        *(engine.send(engine.message("a", "b", ex="crash" if i == 3 else "")) for i in range(8)),
        return_exceptions=True,
    )
    assert isinstance(results[3], ActorCrashed)
    good = [one for one in results if not isinstance(one, Exception)]
    assert engine.sessions.seqs("b", "si_a_b") == list(range(1, len(good) + 1))
    stored = await messages_of(engine.world.store, "si_a_b")
    assert len(stored) == len(good)
