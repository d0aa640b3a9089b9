"""The life of an entity: order, stash, pipe, sleep, timers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.actors.errors import ActorAbsent, AskTimeout, MailboxFull
from greenroom.actors.runtime import directory
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Answer
from greenroom.actors.runtime.thespian.system_base import LoopBase
from greenroom.tests.kit.recorder import Load, Open, Recorder, Say, SayLouder, Tick

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


Settle = Any


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
    monkeypatch.setattr(directory, "FULL_TIMEOUT_AWAKE_MAX", 5)
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
    await base.when_ended(one)
    await base.ask(one, Say("a"))
    await asyncio.sleep(2)
    assert heard == ["start", "stop", "start", "a"]


class Gatherer(Recorder):
    def on_turn_end(self) -> None:
        self.log.append("over")

    def receiveMsg_Open(self, message: Open, sender: Address) -> None:
        raise MailboxFull("full")


async def test_turn_is_over_before_an_exit(base: LoopBase, heard: list[str]) -> None:
    base.register_kind("gatherer", Gatherer, idle_timeout_s=None)
    one = Address("gatherer", "1")
    base.tell(one, Say("a"))
    base.tell(one, Say("b"))
    base.stop(one)
    await base.when_ended(one)
    assert heard == ["start", "a", "b", "over", "stop"]


class Polite(Recorder):
    """Asks once for a turn after the others."""

    def on_turn_end(self) -> bool:
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


async def test_timer_fires_in_its_life(base: LoopBase, one: Address, heard: list[str]) -> None:
    base.tell(one, Tick(5))
    await asyncio.sleep(6)
    assert heard == ["start", "woken by tick"]


async def test_timer_dies_with_its_life(base: LoopBase, one: Address, heard: list[str]) -> None:
    base.tell(one, Tick(5))
    await asyncio.sleep(1)
    base.stop(one)
    await base.when_ended(one)
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
