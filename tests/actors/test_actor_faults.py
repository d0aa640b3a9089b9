"""Entities, lane and store that fail in the middle of something: what was acked stays, who waits is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from greenroom.actors.conversation import Conversation
from greenroom.actors.errors import ActorCrashed, GreenroomError, Quarantined, StoreFailed, UserExists
from greenroom.actors.lane import Lane
from greenroom.actors.messages import InviteMembers, KickMembers, RegisterUsers, SetUserInfo
from greenroom.actors.pair import Pair
from greenroom.actors.rules.ids import group_address, user_address
from greenroom.actors.runtime.address import Address
from greenroom.persistence.store import UserRow
from greenroom.tests.kit.engine_kit import KitEngine, caller, running_engine
from greenroom.tests.kit.fault_kit import PAIR, Gate, crash, group_of, shown, stored

LANE = Address("fixed", "lane-0")
DATABASE_ERROR = 90002


@pytest.fixture
def gate(engine: KitEngine, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(engine, monkeypatch)


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends with ex "crash" raise in the handler, after whatever was sealed before."""
    real = Conversation.accept

    def accept(self: Any, command: Any, *rest: Any) -> None:
        if command.message.ex == "crash":
            raise ZeroDivisionError
        real(self, command, *rest)

    monkeypatch.setattr(Conversation, "accept", accept)


@pytest.mark.usefixtures("crashing")
@pytest.mark.parametrize("kind", ["pair", "group"])
async def test_crash_with_a_slice_under_way(engine: KitEngine, gate: Gate, kind: str) -> None:
    """What was sealed is acked and pushed by the next life; what was not is refused; nothing comes twice."""
    await engine.register("a", "b")
    to: dict[str, str] = {"recv_id": "b"}
    chat, first = "si_a_b", 1
    if kind == "group":
        await group_of(engine, "g", "a", "b")
        to, chat = {"group_id": "g"}, "sg_g"
        first = engine.sessions.seqs("b", chat)[-1] + 1

    def send(name: str, **fields: str) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = engine.send(engine.message("a", clientMsgID=name, **to, **fields))
        return task

    gate.hold()
    sealed = send("sealed")
    await gate.arrived()
    drafted, crash, late = send("drafted"), send("crash", ex="crash"), send("late")
    with pytest.raises(ActorCrashed):
        await crash
    with pytest.raises(StoreFailed):
        await drafted
    assert not sealed.done()
    assert shown(engine, "b", chat) == []
    gate.release()
    ack = await sealed
    assert ack.clientMsgID == "sealed"
    await late
    again, resent = await asyncio.gather(send("sealed"), send("drafted"))
    assert again == ack
    assert resent.clientMsgID == "drafted"
    order = [(first, "sealed"), (first + 1, "late"), (first + 2, "drafted")]
    for user in "ab":
        assert shown(engine, user, chat) == order
    assert [seq for seq, name in await stored(engine, chat) if name] == [seq for seq, _ in order] or kind == "group"


async def test_lane_that_crashes_amid_a_batch(engine: KitEngine, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{side}{number}" for number in range(6) for side in "ab"]
    await engine.register(*names)
    for number in range(6):
        await engine.send(engine.message(f"a{number}", f"b{number}", clientMsgID="acked"))
    real = Lane.on_turn_end
    crashes: list[Lane] = []

    def on_turn_end(self: Lane) -> bool | None:
        if len(self.queue.batch) and len(self.queue.waiting) == 3 and not crashes:
            crashes.append(self)
            raise ZeroDivisionError
        return real(self)

    monkeypatch.setattr(Lane, "on_turn_end", on_turn_end)
    gate.hold()

    def send(number: int, name: str) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = engine.send(engine.message(f"a{number}", f"b{number}", clientMsgID=name))
        return task

    under_way = [send(number, "under way") for number in range(3)]
    await gate.arrived()
    waiting = [send(number, "waiting") for number in range(3, 6)]
    for task in under_way:
        with pytest.raises(StoreFailed):
            await task
    assert len(crashes) == 1
    gate.release()
    # What only waited was in no batch: it is stored by the lane's next life.
    assert [ack.clientMsgID for ack in await asyncio.gather(*waiting)] == ["waiting"] * 3
    # What was under way may have landed: the resend is acked, once.
    resends = await asyncio.gather(*(send(number, "under way") for number in range(3)))
    assert [ack.clientMsgID for ack in resends] == ["under way"] * 3
    assert engine.base.awake(LANE)
    for number in range(6):
        chat = f"si_a{number}_b{number}"
        await send(number, "last")
        middle = "under way" if number < 3 else "waiting"
        assert await stored(engine, chat) == [(1, "acked"), (2, middle), (3, "last")]


@pytest.mark.parametrize("mode", ["before", "after"])
async def test_refused_slice_is_told_and_the_next_send_works(engine: KitEngine, gate: Gate, mode: str) -> None:
    await engine.register("a", "b")
    await engine.send(engine.message("a", "b", clientMsgID="first"))
    gate.hold()
    opening = engine.send(engine.message("a", "b", clientMsgID="second"))
    await gate.arrived()
    # These gather behind it, and are one slice: it is refused as a whole.
    sends = [engine.send(engine.message("a", "b", clientMsgID=f"m{number}")) for number in range(5)]
    gate.fail = ["", mode]
    gate.release()
    await opening
    for send in sends:
        with pytest.raises(StoreFailed) as caught:
            await send
        assert caught.value.code == DATABASE_ERROR
    fresh = await engine.send(engine.message("b", "a", clientMsgID="fresh"))
    assert fresh.clientMsgID == "fresh"
    for number in range(5):
        await engine.send(engine.message("a", "b", clientMsgID=f"m{number}"))
    names = [f"m{number}" for number in range(5)]
    middle = ["fresh", *names] if mode == "before" else [*names, "fresh"]
    expected = list(enumerate(["first", "second", *middle], 1))
    assert await stored(engine, "si_a_b") == expected
    pushed = shown(engine, "b", "si_a_b")
    assert len(set(pushed)) == len(pushed)
    assert set(pushed) <= set(expected)


async def test_refusals_do_not_lead_to_quarantine(engine: KitEngine, gate: Gate) -> None:
    """An outage is not the conversation's fault: once the store is back, so is the chat, at once."""
    await engine.register("a", "b")
    gate.fail = ["before"] * 10
    for number in range(10):
        with pytest.raises(StoreFailed):
            await engine.send(engine.message("a", "b", clientMsgID=f"m{number}"))
    assert engine.base.quarantined() == []
    await engine.send(engine.message("a", "b", clientMsgID="back"))
    assert await stored(engine, "si_a_b") == [(1, "back")]


async def test_refused_registrations_do_not_lead_to_quarantine(engine: KitEngine) -> None:
    await engine.register("known", "b")
    rows = [UserRow(name, name, "", "", 1, 0, 0) for name in ("new", "known")]
    for _ in range(10):
        with pytest.raises(UserExists):
            await engine.ask(user_address("new"), RegisterUsers(caller=caller("imAdmin"), users=rows))
    await engine.register("new")


async def test_slow_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender hears of it in time; what lands late is pushed once, and found again by the resend."""
    async with running_engine(GREENROOM_STORE_WRITE_TIMEOUT_S="0.05") as engine:
        await engine.register("a", "b")
        gate = Gate(engine, monkeypatch)
        gate.hold()
        for _ in range(2):  # The resend waits for the same slice, and is told as well.
            began = asyncio.get_running_loop().time()
            with pytest.raises(StoreFailed):
                await engine.send(engine.message("a", "b", clientMsgID="late"))
            assert asyncio.get_running_loop().time() - began < 1
        assert shown(engine, "b", "si_a_b") == []
        with pytest.raises(StoreFailed):  # At once: it would only wait behind the other.
            await engine.send(engine.message("b", "a", clientMsgID="behind"))
        waiting = engine.send(engine.message("a", "b", clientMsgID="late", content=b"other"))
        await asyncio.sleep(0)
        gate.release()
        first = await waiting
        await engine.send(engine.message("b", "a", clientMsgID="behind"))
        again = await engine.send(engine.message("a", "b", clientMsgID="late"))
        assert again == first
        assert await stored(engine, "si_a_b") == [(1, "late"), (2, "behind")]
        for user in "ab":
            assert shown(engine, user, "si_a_b") == [(1, "late"), (2, "behind")]


@pytest.mark.usefixtures("crashing")
async def test_crash_loop_of_one_conversation(engine: KitEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    await engine.register("a", "b", "c", "d")
    monkeypatch.setattr(engine.base._directories["conversation"], "quarantine_s", 0.2)
    await engine.send(engine.message("a", "b", clientMsgID="before"))
    seen: list[type[BaseException]] = []
    for number in range(8):
        with pytest.raises(GreenroomError) as caught:
            await engine.send(engine.message("a", "b", ex="crash"))
        seen.append(caught.type)
        assert caught.value.retryable
        await engine.send(engine.message("c", "d", clientMsgID=f"m{number}"))
        await engine.send(engine.message("a", "c", clientMsgID=f"m{number}"))
    assert seen[:3] == [ActorCrashed] * 3
    assert set(seen[3:]) == {Quarantined}
    assert engine.base.quarantined() == [PAIR]
    assert [name for _, name in await stored(engine, "si_c_d")] == [f"m{number}" for number in range(8)]
    deadline = asyncio.get_running_loop().time() + 5
    while engine.base.quarantined():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)
    await engine.send(engine.message("a", "b", clientMsgID="after"))
    assert await stored(engine, "si_a_b") == [(1, "before"), (2, "after")]


async def test_kick_in_one_slice_with_a_repeat(engine: KitEngine) -> None:
    """The slice is made anew without the repeat, and with all else: also with what only takes effect."""
    await engine.register("a", "b", "c")
    await group_of(engine, "g", "a", "b", "c")
    await engine.send(engine.message("a", group_id="g", clientMsgID="said"))
    kick = KickMembers(caller=caller("a"), user_ids=["c"])
    welcome = InviteMembers(caller=caller("a"), user_ids=["b"])
    changes = [engine.ask(group_address("g"), command) for command in (kick, welcome)]
    again = engine.send(engine.message("a", group_id="g", clientMsgID="said"))
    await asyncio.gather(again, *changes)
    await engine.send(engine.message("a", group_id="g", clientMsgID="after"))
    assert [name for _, name in shown(engine, "b", "sg_g")] == ["said", "after"]
    assert [name for _, name in shown(engine, "c", "sg_g")] == ["said"]


async def test_notices_that_are_only_pushed_are_not_counted_as_waiting() -> None:
    async with running_engine(GREENROOM_MESSAGE_SENDS_IN_FLIGHT="3") as engine:
        await engine.register("a", "b")
        await group_of(engine, "g", "a", "b")
        for number in range(4):
            await engine.ask(user_address("b"), SetUserInfo(caller=caller("b"), changes={"nickname": f"b{number}"}))
        await engine.send(engine.message("a", group_id="g", clientMsgID="heard"))
        assert [name for _, name in shown(engine, "b", "sg_g")] == ["heard"]


async def test_life_that_crashes_before_it_is_loaded(
    engine: KitEngine, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor loads once: a second time would put the store's picture over what has been decided."""
    await engine.register("a", "b")
    lives: list[Pair] = []
    real = Pair.on_loaded

    def on_loaded(self: Any, state: Any) -> None:
        lives.append(self)
        real(self, state)

    monkeypatch.setattr(Pair, "on_loaded", on_loaded)
    gate.hold()
    sends = [engine.send(engine.message("a", "b", clientMsgID="first"))]
    await gate.arrived()
    for number in range(2):
        crash(engine, PAIR)
        sends.append(engine.send(engine.message("a", "b", clientMsgID=f"waits {number}")))
        await asyncio.sleep(0)
    gate.release()
    assert [ack.clientMsgID for ack in await asyncio.gather(*sends)] == ["first", "waits 0", "waits 1"]
    assert len(lives) == len({id(life) for life in lives}) == 2


async def test_slice_of_an_entity_that_is_in_quarantine_when_it_lands(engine: KitEngine, gate: Gate) -> None:
    """Who waits for it is told; the resend finds it stored."""
    await engine.register("a", "b")
    gate.hold()
    waiting = engine.send(engine.message("a", "b", clientMsgID="under way"))
    await gate.arrived()
    for _ in range(3):
        engine.base.tell(PAIR, object())
        await asyncio.sleep(0)
        crash(engine, PAIR)
    assert engine.base.quarantined() == [PAIR]
    gate.release()
    with pytest.raises(Quarantined):
        await waiting
    assert await stored(engine, "si_a_b") == [(1, "under way")]


async def test_life_that_cannot_load_and_has_inherited_answers(
    engine: KitEngine, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Life after life fails, until the quarantine tells who waits."""
    await engine.register("a", "b")
    gate.hold()
    waiting = engine.send(engine.message("a", "b", clientMsgID="under way"))
    await gate.arrived()
    crash(engine, PAIR)

    async def key(kind: str, name: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(engine.world.store, "key", key)
    gate.release()
    with pytest.raises(Quarantined):
        await waiting
    assert await stored(engine, "si_a_b") == [(1, "under way")]
