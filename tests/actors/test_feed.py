"""Feeds: a subscriber hears of all that is committed, in order, at least once, whatever fails in between."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

import pytest

from greenroom.actors import feed as feed_module
from greenroom.actors import messages as m
from greenroom.actors.domain_events import (
    DomainEvent,
    GroupCreated,
    MembersJoined,
    UserChanged,
    UserRegistered,
    read_event,
)
from greenroom.actors.rules.ids import user_address
from greenroom.persistence.store import Event, MessageEvent, NotedEvent
from greenroom.tests.kit.engine_kit import KitEngine, caller
from greenroom.tests.kit.fault_kit import group_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Listener:
    """Writes down what it hears; fails as often as it is told to, before or after it has written."""

    def __init__(self, name: str = "listener", *, from_first_message: bool = False) -> None:
        self.name = name
        self.from_first_message = from_first_message
        self.heard: list[Event] = []
        self.missed = 0
        self.failures: list[str] = []
        self._told = asyncio.Event()

    async def take(self, events: Sequence[Event], *, missed: bool) -> None:
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "before":
            raise OSError("the provider is away")
        self.heard += events
        self.missed += missed
        self._told.set()
        if failure == "after":
            raise OSError("the provider took it and went away")

    async def until(self, condition: Callable[[Listener], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition(self):
                self._told.clear()
                await self._told.wait()

    def seqs(self, conversation_id: str) -> list[int]:
        messages = [one for one in self.heard if isinstance(one, MessageEvent)]
        return [one.seq for one in messages if one.conversation_id == conversation_id]

    def events(self) -> list[DomainEvent]:
        return [read_event(one) for one in self.heard if isinstance(one, NotedEvent)]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "BACKOFF_S", 0.001)


async def test_messages_and_changes_are_heard_in_their_order() -> None:
    listener = Listener()
    async with KitEngine(subscribers=[listener]) as engine:
        await engine.register("a", "b")
        for _ in range(3):
            await engine.send(engine.message("a", "b"))
        await group_of(engine, "g", "a", "b")
        change = m.SetUserInfo(caller=caller("a"), changes={"nickname": "Ann"})
        await engine.ask(user_address("a"), change)
        await listener.until(lambda one: UserChanged("a", ["nickname"]) in one.events())
    assert listener.seqs("si_a_b") == [1, 2, 3]
    assert [one for one in listener.events() if one.subject in ("a", "b", "g")] == [
        UserRegistered("a"), UserRegistered("b"), GroupCreated("g", "a"), MembersJoined("g", ["a", "b"]),
        UserChanged("a", ["nickname"]),
    ]  # fmt: skip
    assert listener.missed == 0


@pytest.mark.parametrize("failures", [["before", "before"], ["after"], ["before", "after", "before"]])
async def test_subscriber_that_fails_hears_it_again(failures: list[str]) -> None:
    listener = Listener()
    listener.failures = list(failures)
    async with KitEngine(subscribers=[listener]) as engine:
        await engine.register("a", "b")
        for _ in range(5):
            await engine.send(engine.message("a", "b"))
        await listener.until(lambda one: 5 in one.seqs("si_a_b") and not one.failures)
        assert not engine.fallen.done()
    assert list(dict.fromkeys(listener.seqs("si_a_b"))) == [1, 2, 3, 4, 5]


async def test_subscriber_that_fails_for_ever_holds_up_nobody() -> None:
    broken, sound = Listener("broken"), Listener("sound")
    broken.failures = ["before"] * 100_000
    async with KitEngine(subscribers=[broken, sound]) as engine:
        await engine.register("a", "b")
        for _ in range(5):
            await engine.send(engine.message("a", "b"))
        await sound.until(lambda one: one.seqs("si_a_b") == [1, 2, 3, 4, 5])
        assert not engine.fallen.done()


async def test_error_of_a_subscriber_is_logged_with_its_place_alone(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener()
    listener.failures = ["before", "after"]
    async with KitEngine(subscribers=[listener]) as engine:
        await engine.register("a")
        await listener.until(lambda one: not one.failures)
    lines = [one.getMessage() for one in caplog.records if one.getMessage().startswith("subscriber listener: OSError")]
    source, first = inspect.getsourcelines(Listener.take)
    raised = [first + number for number, line in enumerate(source) if "raise OSError" in line]
    assert [f"{__file__}:{number} in take " in line for number, line in zip(raised, lines, strict=True)] == [True, True]
    assert "provider" not in caplog.text


async def test_cursor_outlives_the_feed() -> None:
    first, second = Listener(), Listener()
    async with KitEngine() as engine:
        feeds = [engine.feed_of(first), engine.feed_of(second)]
        await engine.register("a", "b")
        await feeds[0].start()
        for _ in range(3):
            await engine.send(engine.message("a", "b"))
        await first.until(lambda one: one.seqs("si_a_b") == [1, 2, 3])
        await feeds[0].stop()
        for _ in range(2):
            await engine.send(engine.message("a", "b"))
        await feeds[1].start()
        await second.until(lambda one: one.seqs("si_a_b") == [4, 5])
        await feeds[1].stop()


async def test_new_subscriber_may_begin_with_the_first_message() -> None:
    late, history = Listener("late"), Listener("history", from_first_message=True)
    async with KitEngine() as engine:
        await engine.register("a", "b")
        for _ in range(3):
            await engine.send(engine.message("a", "b"))
        for one in (late, history):
            await engine.feed_of(one).start()
        await history.until(lambda one: one.seqs("si_a_b") == [1, 2, 3])
        await engine.send(engine.message("a", "b"))
        await late.until(lambda one: one.seqs("si_a_b") == [4])
        await history.until(lambda one: one.seqs("si_a_b") == [1, 2, 3, 4])
