"""An entity that dies on the store's answer, or cannot take it: the senders in that slice are told, always."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.conversation import Conversation
from greenroom.actors.effects import Deliver
from greenroom.actors.errors import ActorCrashed, GreenroomError, Quarantined, StoreFailed
from greenroom.actors.group.group import Group
from greenroom.actors.pair import Pair
from greenroom.actors.stored_entity import StoredEntity
from greenroom.persistence.errors import StoreUnavailable
from greenroom.tests.kit.fault_kit import PAIR, Gate, crash, crash_at, group_of, plant, shown, stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenroom.tests.kit.engine_kit import KitEngine


@pytest.fixture
def gate(engine: KitEngine, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(engine, monkeypatch)


CRASHES = [
    (StoredEntity, "receiveMsg_SliceStored", ("before",)),
    (StoredEntity, "receiveMsg_SliceStored", ("after",)),
    (StoredEntity, "receiveMsg_PendingEffects", ("before",)),
    (StoredEntity, "receiveMsg_PendingEffects", ("after",)),
    (Conversation, "on_committed", ("before",)),
    (Conversation, "on_committed", ("after",)),
    (Deliver, "run", ("after",)),
    (Pair, "on_loaded", ("", "before")),
]


@pytest.mark.parametrize("kind", ["pair", "group"])
@pytest.mark.parametrize(
    ("owner", "name", "moments"), CRASHES, ids=lambda value: getattr(value, "__name__", str(value)).replace(" ", "")
)
async def test_crash_on_the_stores_answer(
    engine: KitEngine, monkeypatch: pytest.MonkeyPatch, kind: str, owner: type, name: str, moments: tuple[str, ...]
) -> None:
    """Acked all the same, pushed once, and the next message follows."""
    await engine.register("a", "b")
    to, chat, first = {"recv_id": "b"}, "si_a_b", 1
    if kind == "group":
        await group_of(engine, "g", "a", "b")
        to, chat = {"group_id": "g"}, "sg_g"
        first = engine.sessions.seqs("b", chat)[-1] + 1
        if name == "on_loaded":
            owner = Group
    if name in ("on_loaded", "receiveMsg_PendingEffects"):
        # A life that has a slice of a former one to finish, and does not get so far.
        crash_at(monkeypatch, StoredEntity, "receiveMsg_SliceStored", "before")
    if name == "on_loaded" and kind == "group":
        moments = ("before",)
    left = crash_at(monkeypatch, owner, name, *moments)
    sends = [engine.send(engine.message("a", clientMsgID=f"m{number}", **to)) for number in range(3)]
    acks = await asyncio.gather(*sends)
    assert left == []
    assert [ack.clientMsgID for ack in acks] == ["m0", "m1", "m2"]
    await engine.send(engine.message("b", clientMsgID="next", **(to if kind == "group" else {"recv_id": "a"})))
    for user in "ab":
        assert shown(engine, user, chat) == [(first, "m0"), (first + 1, "m1"), (first + 2, "m2"), (first + 3, "next")]


async def test_crash_in_an_effect_costs_only_that_effect(engine: KitEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    await engine.register("a", "b")
    await engine.send(engine.message("a", "b", clientMsgID="awake"))
    crash_at(monkeypatch, Deliver, "run", "before")
    acks = await asyncio.gather(*(engine.send(engine.message("a", "b", clientMsgID=f"m{n}")) for n in range(3)))
    assert len(acks) == 3
    await engine.send(engine.message("a", "b", clientMsgID="next"))
    assert await stored(engine, "si_a_b") == [(1, "awake"), (2, "m0"), (3, "m1"), (4, "m2"), (5, "next")]
    assert shown(engine, "b", "si_a_b") == [(1, "awake"), (3, "m1"), (4, "m2"), (5, "next")]


async def test_answer_that_finds_its_entity_in_quarantine(
    engine: KitEngine, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.register("a", "b")
    left = crash_at(monkeypatch, Conversation, "receiveMsg_SendMessage", "before", "before", "", "before")
    for _ in range(2):
        with pytest.raises(ActorCrashed):
            await engine.send(engine.message("a", "b"))
    gate.hold()
    under_way = engine.send(engine.message("a", "b", clientMsgID="under way"))
    await gate.arrived()
    with pytest.raises(ActorCrashed):
        await engine.send(engine.message("a", "b"))
    assert left == []
    assert engine.base.quarantined() == [PAIR]
    assert not under_way.done()
    gate.release()
    with pytest.raises(Quarantined):
        await under_way
    assert await stored(engine, "si_a_b") == [(1, "under way")]


async def test_poisonous_answer_ends_with_an_error(engine: KitEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left by each life to the next, it would go on for ever but for the quarantine."""
    await engine.register("a", "b")
    crash_at(monkeypatch, StoredEntity, "receiveMsg_SliceStored", "before")
    left = crash_at(monkeypatch, StoredEntity, "receiveMsg_PendingEffects", *["before"] * 100)
    with pytest.raises(Quarantined):
        await engine.send(engine.message("a", "b", clientMsgID="poison"))
    assert len(left) == 98
    assert [one.address for one in engine.base.quarantines()] == [PAIR]
    assert await stored(engine, "si_a_b") == [(1, "poison")]


async def test_state_is_loaded_once_in_a_life(engine: KitEngine, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lives have asked the lane whether all is written; the second hears it twice."""
    await engine.register("a", "b")
    loads: list[object] = []
    real = Pair.on_loaded

    def on_loaded(self: Any, state: Any) -> None:
        loads.append(self)
        real(self, state)

    plant(monkeypatch, Pair, "on_loaded", on_loaded)
    gate.hold()
    first = engine.send(engine.message("a", "b", clientMsgID="first"))
    await gate.arrived()
    crash(engine, PAIR)  # With its slice under way.
    second = engine.send(engine.message("a", "b", clientMsgID="second"))
    await asyncio.sleep(0)
    crash_at(monkeypatch, StoredEntity, "receiveMsg_SliceStored", "before")
    gate.release()
    await asyncio.gather(first, second)
    await engine.send(engine.message("a", "b", clientMsgID="third"))
    assert len(loads) == len(set(map(id, loads)))
    assert await stored(engine, "si_a_b") == [(1, "first"), (2, "second"), (3, "third")]


@pytest.mark.parametrize("moment", ["loading", "reading"])
async def test_store_that_cannot_be_read_is_no_crash(
    engine: KitEngine, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """An outage is not the conversation's fault, nor the client's whose request meets it."""
    await engine.register("a", "b", "c")
    charged: list[object] = []
    engine.base.on_crash = lambda *crash: charged.append(crash)
    if moment == "reading":
        await engine.send(engine.message("a", "b", clientMsgID="awake"))
        engine.world.facts.changed("a")

    async def closed(*_: Any) -> None:
        raise StoreUnavailable("the store is closed")

    with monkeypatch.context() as outage:
        outage.setattr(engine.world.store, "key" if moment == "loading" else "pair_facts", closed)
        for _ in range(10):
            with pytest.raises(StoreFailed):
                await engine.send(engine.message("a", "b"))
    assert charged == []
    assert engine.base.quarantines() == []
    await engine.send(engine.message("a", "b", clientMsgID="back"))
    assert [name for _, name in await stored(engine, "si_a_b")][-1] == "back"


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every send crashes its conversation."""

    def crash(*_: Any) -> None:
        raise RuntimeError("with the text of a message")

    with monkeypatch.context() as planted:
        plant(planted, Conversation, "receiveMsg_SendMessage", crash)
        yield


@pytest.mark.usefixtures("poisoned")
async def test_log_of_a_crash_loop(engine: KitEngine, caplog: pytest.LogCaptureFixture) -> None:
    """A way through the program once, then counts; each quarantine once, with the class and the counts."""
    users = [f"u{number}" for number in range(100)]
    await engine.register(*users)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            for user in users[1:]:
                with pytest.raises(GreenroomError) as caught:
                    await engine.send(engine.message("u0", user))
                assert caught.type in (ActorCrashed, Quarantined)
    crashed = [record for record in caplog.records if " crashed: " in record.getMessage()]
    assert len(crashed) == 1
    assert "\n" in crashed[0].getMessage()
    assert "test_lost_outcomes.py" in crashed[0].getMessage()
    assert "text of a message" not in caplog.text
    quarantines = [record for record in caplog.records if "in quarantine" in record.getMessage()]
    assert len(quarantines) == 99
    assert {(record.actor, record.crashes, record.strikes) for record in quarantines} == {  # type: ignore[attr-defined]
        ("Pair", 3, 1)
    }
    assert {record.address for record in quarantines} == {  # type: ignore[attr-defined]
        one.address for one in engine.base.quarantines()
    }
    assert len(caplog.records) == 100
