"""The life of an entity: order, stash, pipe, sleep, crash, quarantine, timers."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.actors.errors import ActorAbsent, ActorCrashed, AskTimeout, MailboxFull, Quarantined
from greenroom.actors.loop_base import LoopBase
from greenroom.actors.runtime import directory
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Answer, Failed, Piped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from thespian.actors import WakeupMessage

Settle = Any


class Say(msgspec.Struct, frozen=True):
    word: str
    ref: Any = None


class SayLouder(Say, frozen=True):
    """No entity has a handler for this class; its base's one is found."""


class Crash(msgspec.Struct, frozen=True):
    ref: Any = None


class Load(msgspec.Struct, frozen=True):
    awaitable: Any
    eager: bool = True


class Open(msgspec.Struct, frozen=True):
    pass


class Tick(msgspec.Struct, frozen=True):
    after_s: float


class Recorder(Entity):
    """Writes down what happens to it, by id, across its lives."""

    heard: ClassVar[dict[str, list[str]]] = {}
    life: ClassVar[dict[str, int]] = {}

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.shut = False
        self.log = self.heard.setdefault(id_, [])
        self.life[id_] = self.life.get(id_, 0) + 1
        self.sleepy = True

    def on_start(self) -> None:
        self.log.append("start")

    def on_stop(self) -> Awaitable[None] | None:
        self.log.append("stop")
        return None

    def may_sleep(self) -> bool:
        return super().may_sleep() and self.sleepy

    def receiveMsg_Say(self, message: Say, sender: Address) -> None:
        if message.word == "stay":
            self.sleepy = False
        if self.shut:
            self.stash()
            return
        self.log.append(message.word)
        self.send(sender, Answer(message.ref, self.life[self.id]))

    def receiveMsg_Crash(self, message: Crash, sender: Address) -> None:
        self.log.append("crash")
        raise ValueError("secret content")

    def receiveMsg_Load(self, message: Load, sender: Address) -> None:
        self.hold()
        self.pipe(message.awaitable, tag="load", eager=message.eager)

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        self.log.append(f"{message.tag}={message.value}/{type(message.error).__name__}")
        self.release()

    def receiveMsg_Open(self, message: Open, sender: Address) -> None:
        self.shut = not self.shut
        if not self.shut:
            self.unstash()

    def receiveMsg_Tick(self, message: Tick, sender: Address) -> None:
        self.wakeupAfter(message.after_s, "tick")

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        self.log.append(f"woken by {message.payload}")


@pytest.fixture
def heard() -> list[str]:
    Recorder.heard.clear()
    Recorder.life.clear()
    return Recorder.heard.setdefault("1", [])


@pytest.fixture
def one(base: LoopBase, heard: list[str]) -> Address:
    base.register_kind("recorder", Recorder, idle_timeout_s=10.0)
    return Address("recorder", "1")


async def test_message_to_sleeping_entity_wakes_it(base: LoopBase, one: Address, heard: list[str]) -> None:
    assert not base.awake(one)
    assert await base.ask(one, Say("hi", ref=7)) == Answer(7, 1)
    assert base.awake(one)
    assert base.awake_count("recorder") == 1
    assert heard == ["start", "hi"]


async def test_handler_of_base_class_takes_subclass(base: LoopBase, one: Address, heard: list[str]) -> None:
    await base.ask(one, SayLouder("HI"))
    assert heard == ["start", "HI"]


async def test_unhandled_message_is_counted(base: LoopBase, one: Address, settle: Settle) -> None:
    base.tell(one, "nobody handles str")
    await settle()
    assert base.stats()["Recorder"].unhandled == 1


async def test_idle_entity_sleeps_and_wakes_as_new(base: LoopBase, one: Address, heard: list[str]) -> None:
    await base.ask(one, Say("a"))
    await asyncio.sleep(9)
    assert base.awake(one)
    await asyncio.sleep(7)
    assert not base.awake(one)
    assert base.awake_count("recorder") == 0
    assert await base.ask(one, Say("b", ref=1)) == Answer(1, 2)
    assert heard == ["start", "a", "stop", "start", "b"]
    assert base.stats()["Recorder"].sleeps == 1


async def test_very_many_sleep_sooner(base: LoopBase, one: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "AWAKE_LIMIT", 5)
    for number in range(20):
        await base.ask(Address("recorder", str(number)), Say("a"))
    assert base.awake_count("recorder") == 20
    await asyncio.sleep(6)  # Of a timeout of ten.
    assert base.awake_count("recorder") == 0


async def test_entity_that_may_not_sleep_stays(base: LoopBase, one: Address) -> None:
    base.tell(one, Say("stay"))
    await asyncio.sleep(60)
    assert base.awake(one)


async def test_entity_with_pipe_pending_stays(base: LoopBase, one: Address, heard: list[str]) -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    base.tell(one, Load(future))
    await asyncio.sleep(60)
    assert base.awake(one)
    future.set_result("x")
    await asyncio.sleep(20)
    assert not base.awake(one)
    assert heard == ["start", "load=x/NoneType", "stop"]


async def test_message_in_the_turn_of_sleep_reaches_one_life(base: LoopBase, one: Address) -> None:
    answers = [await base.ask(one, Say("a", ref=0))]
    for n in range(200):
        await asyncio.sleep(9.9 + n % 60 / 10)
        answers.append(await base.ask(one, Say("a", ref=n), timeout_s=1))
    assert len(answers) == 201
    assert base.stats()["Recorder"].sleeps > 10


async def test_stash_returns_in_order_before_newer_mail(
    base: LoopBase, one: Address, heard: list[str], settle: Settle
) -> None:
    for message in (Open(), Say("a"), Say("b"), Open(), Say("c"), Say("d")):
        base.tell(one, message)
    await settle()
    assert heard == ["start", "a", "b", "c", "d"]


async def test_send_to_full_stash(base: LoopBase, one: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorder, "stash_limit", 2)
    base.tell(one, Open())
    kept = [base.ask(one, Say("a")), base.ask(one, Say("b"))]
    with pytest.raises(MailboxFull):
        await base.ask(one, Say("c"))
    base.tell(one, Open())
    assert len(await asyncio.gather(*kept)) == 2


async def loaded_at_once() -> str:
    return "now"


async def loaded_later() -> str:
    await asyncio.sleep(1)
    return "later"


async def loaded_never(error: BaseException) -> str:
    raise error


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize(
    ("load", "noted"),
    [
        (loaded_at_once, "load=now/NoneType"),
        (loaded_later, "load=later/NoneType"),
        (lambda: loaded_never(KeyError("x")), "load=None/KeyError"),
    ],
)
async def test_messages_wait_while_loading(
    base: LoopBase,
    one: Address,
    heard: list[str],
    load: Callable[[], Awaitable[str]],
    noted: str,
    eager: bool,
) -> None:
    base.tell(one, Load(load(), eager))
    base.tell(one, Say("a"))
    await base.ask(one, Say("b"))
    assert heard == ["start", noted, "a", "b"]


async def test_pipe_that_does_not_suspend_makes_no_task(
    base: LoopBase, one: Address, heard: list[str], settle: Settle
) -> None:
    before = len(asyncio.all_tasks())
    base.tell(one, Load(loaded_at_once()))
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
    await settle()
    assert heard == ["start", "load=now/NoneType"]


async def test_pipe_of_a_former_life_is_dropped(base: LoopBase, one: Address, heard: list[str]) -> None:
    base.tell(one, Load(loaded_later()))
    await asyncio.sleep(0.5)
    base.stop(one)
    await base.gone(one)
    await base.ask(one, Say("a"))
    await asyncio.sleep(2)
    assert heard == ["start", "stop", "start", "a"]


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


class Gatherer(Recorder):
    def turn_over(self) -> None:
        self.log.append("over")

    def receiveMsg_Open(self, message: Open, sender: Address) -> None:
        raise MailboxFull("full")


async def test_turn_is_over_before_an_exit(base: LoopBase, heard: list[str]) -> None:
    base.register_kind("gatherer", Gatherer, idle_timeout_s=None)
    one = Address("gatherer", "1")
    base.tell(one, Say("a"))
    base.tell(one, Say("b"))
    base.stop(one)
    await base.gone(one)
    assert heard == ["start", "a", "b", "over", "stop"]


class Polite(Recorder):
    """Asks once for a turn after the others."""

    def turn_over(self) -> bool:
        self.log.append("over")
        return self.log.count("over") == 1

    def receiveMsg_Say(self, message: Say, sender: Address) -> None:
        super().receiveMsg_Say(message, sender)
        self.send(Address("recorder", "1"), Say("said by the other"))


async def test_another_turn_comes_after_those_who_wait(base: LoopBase, heard: list[str]) -> None:
    base.register_kind("polite", Polite, idle_timeout_s=None)
    base.register_kind("recorder", Recorder, idle_timeout_s=None)
    await base.ask(Address("recorder", "1"), Say("a", ref=0))
    await base.ask(Address("polite", "1"), Say("b", ref=0))
    assert heard == ["start", "a", "start", "b", "over", "said by the other", "over"]


async def test_refusal_is_answered_and_life_goes_on(base: LoopBase, heard: list[str]) -> None:
    base.register_kind("gatherer", Gatherer, idle_timeout_s=None)
    one = Address("gatherer", "1")
    with pytest.raises(MailboxFull):
        await base.ask(one, Open())
    assert await base.ask(one, Say("a", ref=0)) == Answer(0, 1)
    assert base.stats()["Gatherer"].crashes == 0


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


async def test_timer_fires_in_its_life(base: LoopBase, one: Address, heard: list[str]) -> None:
    base.tell(one, Tick(5))
    await asyncio.sleep(6)
    assert heard == ["start", "woken by tick"]


async def test_timer_dies_with_its_life(base: LoopBase, one: Address, heard: list[str]) -> None:
    base.tell(one, Tick(5))
    await asyncio.sleep(1)
    base.stop(one)
    await base.gone(one)
    await asyncio.sleep(10)
    assert not base.awake(one)
    await base.ask(one, Say("a"))
    await asyncio.sleep(6)
    assert heard == ["start", "stop", "start", "a"]


class SlowToClose(Recorder):
    def on_stop(self) -> Awaitable[None]:
        async def close() -> None:
            await asyncio.sleep(3)
            self.log.append("closed")

        return close()


async def test_mail_during_an_awaited_stop_goes_to_the_next_life(base: LoopBase, heard: list[str]) -> None:
    base.register_kind("slow", SlowToClose, idle_timeout_s=None)
    one = Address("slow", "1")
    await base.ask(one, Say("a"))
    base.stop(one)
    await asyncio.sleep(1)
    assert await base.ask(one, Say("b", ref=0)) == Answer(0, 2)
    assert heard == ["start", "a", "closed", "start", "b"]


async def test_tell_awake_wakes_nobody(
    base: LoopBase, one: Address, heard: list[str], settle: Settle
) -> None:
    base.tell_awake(one, Say("a"))
    base.tell_all_awake("recorder", Say("b"))
    await settle()
    assert not base.awake(one)
    await base.ask(one, Say("c"))
    base.tell_awake(one, Say("d"))
    base.tell_all_awake("recorder", Say("e"))
    await settle()
    assert heard == ["start", "c", "d", "e"]


class Mute(Entity):
    def receiveMsg_Say(self, message: Say, sender: Address) -> None:
        self.late = sender

    def receiveMsg_Open(self, message: Open, sender: Address) -> None:
        self.send(self.late, Answer(None))


async def test_ask_that_is_not_answered_in_time(base: LoopBase, settle: Settle) -> None:
    mute = base.spawn(Address("mute", "1"), Mute)
    with pytest.raises(AskTimeout):
        await base.ask(mute, Say("a"), timeout_s=3)
    base.tell(mute, Open())  # The late reply is dropped.
    await settle()
    assert base.stats()["Mute"].messages == 2


async def test_ask_that_is_cancelled_leaves_nothing(base: LoopBase, settle: Settle) -> None:
    mute = base.spawn(Address("mute", "1"), Mute)
    before = len(base.cells)
    base.ask(mute, Say("a")).cancel()
    await settle()
    assert len(base.cells) == before


async def test_ask_where_nobody_lives(base: LoopBase) -> None:
    with pytest.raises(ActorAbsent):
        await base.ask(Address("nobody", "1"), Say("a"))


@settings(max_examples=40, deadline=None)
@given(
    plan=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 90)), max_size=30),
    turn=st.integers(1, 5),
)
def test_order_is_kept_for_each_pair(plan: list[tuple[int, int, int]], turn: int) -> None:
    async def run() -> None:
        base = LoopBase(asyncio.get_running_loop(), turn_limit=turn, tick_limit=turn * 3)
        got: dict[tuple[str, str], list[int]] = {}
        sent: dict[tuple[str, str], list[int]] = {}

        class Target(Entity):
            def receiveMsg_int(self, message: int, sender: Address) -> None:
                got.setdefault((sender, self.myAddress), []).append(message)
                if message % 7 == 0:
                    self.stash_now = True

        base.register_kind("target", lambda id_: Target(), idle_timeout_s=None)
        number = 0
        for sender, target, count in plan:
            pair = (Address("from", str(sender)), Address("target", str(target)))
            for _ in range(count):
                number += 1
                sent.setdefault(pair, []).append(number)
                base.send(*pair, number)
        await base.shutdown()
        assert got == sent

    asyncio.run(run())
