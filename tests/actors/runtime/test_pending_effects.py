"""What a life leaves undone reaches the next life before all other mail, or those who wait for it are told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from greenroom.actors.errors import ActorAbsent, ActorCrashed, GreenroomError, Quarantined
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Answer, Outcome
from greenroom.tests.kit.recorder import Crash, Say

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.actors.runtime.base import LoopBase

WORKER = Address("worker", "1")


class Work(Outcome, frozen=True):
    """To be done in any life; "poison" crashes the life that begins it."""

    is_redelivered: ClassVar[bool] = True
    name: str
    told: list[str]

    def notify_waiters(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        self.told.append(f"{self.name}: {type(error).__name__}")


class News(Work, frozen=True):
    """Nobody needs it later."""

    is_redelivered: ClassVar[bool] = False


class Worker(Entity):
    """Notes work; does what it has noted when something is said to it."""

    cannot_be_made: ClassVar[int] = 0
    done: ClassVar[list[str]] = []

    def __init__(self, id_: str) -> None:
        if Worker.cannot_be_made:
            Worker.cannot_be_made -= 1
            raise ValueError
        self.noted: Work | None = None

    def receiveMsg_Work(self, message: Work, sender: Address) -> None:
        if message.name == "poison":
            raise ValueError
        self.noted = message

    def receiveMsg_Say(self, message: Say, sender: Address) -> None:
        if self.noted is not None:
            Worker.done.append(self.noted.name)
            self.noted = None
        Worker.done.append(message.word)
        self.send(sender, Answer(message.ref))

    def receiveMsg_Crash(self, message: Crash, sender: Address) -> None:
        raise ValueError

    def pending_effects(self) -> Outcome | None:
        return self.noted


@pytest.fixture
def told(base: LoopBase) -> list[str]:
    base.register_kind("worker", Worker, idle_timeout_s=None)
    Worker.done.clear()
    Worker.cannot_be_made = 0
    return []


@pytest.mark.parametrize("end", ["crash", "stop"])
async def test_next_life_gets_it_first(base: LoopBase, told: list[str], end: str) -> None:
    base.tell(WORKER, Work("work", told))
    if end == "stop":
        base.stop(WORKER)
        await base.ask(WORKER, Say("after"))
    else:
        crash = base.ask(WORKER, Crash())
        after = base.ask(WORKER, Say("after"))
        with pytest.raises(ActorCrashed):
            await crash
        await after
    assert Worker.done == ["work", "after"]
    assert told == []


async def test_crash_on_work_tells_those_who_wait_unless_it_is_left(base: LoopBase, told: list[str]) -> None:
    base.tell(WORKER, Work("poison", told))
    await base.ask(WORKER, Say("after"))
    assert Worker.done == ["after"]
    assert told == ["poison: ActorCrashed"]


async def test_work_for_an_entity_that_cannot_be_made_is_kept(base: LoopBase, told: list[str]) -> None:
    Worker.cannot_be_made = 2
    base.tell(WORKER, Work("work", told))
    await base.ask(WORKER, Say("after"))
    assert Worker.done == ["work", "after"]
    assert told == []


@pytest.mark.parametrize("kind", [Work, News])
async def test_quarantine_tells_at_once_and_keeps_work(base: LoopBase, told: list[str], kind: type[Work]) -> None:
    crashes = [base.ask(WORKER, Crash()) for _ in range(3)]
    await asyncio.gather(*crashes, return_exceptions=True)
    assert base.quarantined() == [WORKER]
    base.tell(WORKER, kind("kept", told))
    with pytest.raises(Quarantined):
        await base.ask(WORKER, Say("refused"))
    assert told == ["kept: Quarantined"]
    await asyncio.sleep(2)
    await base.ask(WORKER, Say("after"))
    assert Worker.done == ["kept", "after"] if kind is Work else ["after"]


async def test_kill_tells_those_who_wait(base: LoopBase, told: list[str], settle: Callable[[], Any]) -> None:
    base.tell(WORKER, Work("work", told))
    await settle()
    base.kill(WORKER)
    assert told == [f"work: {ActorAbsent.__name__}"]
