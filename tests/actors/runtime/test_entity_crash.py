"""What an entity's crash does: to its sender, its mail, its next life; and quarantine."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.errors import ActorCrashed, Quarantined
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Answer, Failed, Piped
from greenroom.tests.kit.recorder import Crash, Open, Recorder, Say

if TYPE_CHECKING:
    from greenroom.actors.runtime.thespian.system_base import LoopBase

Settle = Any


async def test_crash_answers_sender_and_next_life_gets_the_mail(
    base: LoopBase, one: Address, heard: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    charged: list[Any] = []
    base.on_crash = lambda address, sender, error: charged.append((address, sender, type(error)))
    base.tell(one, Open())
    stashed = base.ask(one, Say("stashed"))
    crashed = base.ask(one, Crash(ref=3))
    after = [base.ask(one, Say("b", ref=1)), base.ask(one, Say("c", ref=2))]
    with caplog.at_level(logging.DEBUG), pytest.raises(ActorCrashed):
        await crashed
    assert await stashed == Answer(None, 2)
    assert await asyncio.gather(*after) == [Answer(1, 2), Answer(2, 2)]
    assert heard == ["start", "crash", "start", "stashed", "b", "c"]
    assert len(charged) == 1
    assert charged[0][0] == one
    assert charged[0][1].kind == "ask"
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


async def test_crash_of_one_leaves_the_others(base: LoopBase, one: Address) -> None:
    other = Address("recorder", "2")
    assert await base.ask(other, Say("a", ref=0)) == Answer(0, 1)
    with pytest.raises(ActorCrashed):
        await base.ask(one, Crash())
    assert await base.ask(other, Say("a", ref=0)) == Answer(0, 1)


async def test_repeated_crashes_lead_to_quarantine_with_back_off(base: LoopBase, one: Address) -> None:
    for _ in range(3):
        with pytest.raises(ActorCrashed):
            await base.ask(one, Crash())
    assert base.quarantined() == [one]
    with pytest.raises(Quarantined) as refused:
        await base.ask(one, Say("a"))
    assert refused.value.retryable
    assert not base.awake(one)
    await asyncio.sleep(1.1)
    assert base.quarantined() == []
    with pytest.raises(ActorCrashed):  # The one crash that is let through begins a longer quarantine.
        await base.ask(one, Crash())
    await asyncio.sleep(1.5)
    assert base.quarantined() == [one]
    await asyncio.sleep(1)
    await base.ask(one, Say("a"))
    await asyncio.sleep(60)
    with pytest.raises(ActorCrashed):
        await base.ask(one, Crash())
    assert base.quarantined() == []


async def test_mail_of_a_quarantined_entity_is_refused(base: LoopBase, one: Address) -> None:
    crashes = [base.ask(one, Crash()) for _ in range(3)]
    late = base.ask(one, Say("a"))
    results = await asyncio.gather(*crashes, late, return_exceptions=True)
    assert [type(result) for result in results] == [ActorCrashed] * 3 + [Quarantined]


class Stillborn(Entity):
    def __init__(self) -> None:
        raise RuntimeError("no")


async def test_entity_that_cannot_be_made_fails_the_sender(base: LoopBase) -> None:
    base.register_kind("stillborn", lambda id_: Stillborn(), idle_timeout_s=None)
    with pytest.raises(ActorCrashed):
        await base.ask(Address("stillborn", "1"), Say("a"))
    assert base.awake_count("stillborn") == 0


class LastWords(Recorder):
    def on_crash(self, error: BaseException) -> None:
        self.send(Address("recorder", "1"), Say("it was " + type(error).__name__))


async def test_last_words_of_a_crash_are_sent(base: LoopBase, one: Address, heard: list[str]) -> None:
    base.register_kind("last", LastWords, idle_timeout_s=None)
    with pytest.raises(ActorCrashed):
        await base.ask(Address("last", "2"), Crash())
    await base.ask(one, Say("a"))
    assert heard == ["start", "it was ValueError", "a"]


class Echo(Entity):
    """Crashes on every result, so that an answered failure would go on for ever."""

    def receiveMsg_Failed(self, message: Failed, sender: Address) -> None:
        raise ValueError


async def test_failures_are_not_answered_with_failures(base: LoopBase, settle: Settle) -> None:
    base.register_kind("echo", lambda id_: Echo(), idle_timeout_s=None)
    a, b = Address("echo", "a"), Address("echo", "b")
    base.send(a, b, Failed(None, ActorCrashed()))
    await settle()
    assert base.stats()["Echo"].crashes == 1
    assert base.stats()["Echo"].messages == 1


class Awaiting(Entity):
    """Raises the error of what it awaits, as an entity does that cannot go on without it."""

    awaited: asyncio.Future[None]

    def on_start(self) -> None:
        self.pipe(self.awaited)

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        assert message.error is not None
        raise message.error


async def test_awaited_task_that_is_cancelled_is_a_crash(base: LoopBase, settle: Settle) -> None:
    """A `CancelledError` that ended the base's turns would end those of all actors."""
    Awaiting.awaited = base.loop.create_future()
    address = base.spawn(Address("awaiting", "1"), Awaiting)
    await settle()
    Awaiting.awaited.cancel()
    await settle()
    assert address not in base.cells
    assert base.counters_of(Awaiting).crashes == 1
