"""The base: fair turns, plain actors, threads outside, two systems, what an idle actor costs."""

from __future__ import annotations

import asyncio
import gc
import itertools
import pickle
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorSystem,
    ActorSystemMessage,
    ChildActorExited,
    DeadEnvelope,
    PoisonMessage,
    WakeupMessage,
)

from greenroom.actors.errors import ActorAbsent
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.thespian.system_base import ActorSystemBase, ChildCrashed, LoopBase

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTSIDE = Address("test", "outside")


class Plain(Actor):
    """Keeps what it gets; "boom" fails, "echo" answers."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def receiveMessage(self, message: Any, sender: Any) -> None:
        self.got.append(message)
        if message == "boom":
            raise ValueError("boom")
        if message == "echo":
            self.send(sender, "echoed")


def spawn(base: LoopBase, id_: str, actor: Actor | None = None) -> tuple[Address, Any]:
    made = actor or Plain()
    return base.spawn(Address("plain", id_), lambda: made), made


# Addresses.


def test_address_is_a_name() -> None:
    address = Address("conversation", "a:b_c")
    assert (address.kind, address.id) == ("conversation", "a:b_c")
    assert address == Address("conversation", "a:b_c") != Address("conversation", "a")
    assert {address: 1}[Address("conversation", "a:b_c")] == 1
    assert isinstance(address, ActorAddress)
    assert str(address) == address.actorAddressString == "conversation:a:b_c"
    assert ActorAddress("conversation:a:b_c") == address


def test_address_survives_pickling() -> None:
    address = pickle.loads(pickle.dumps(Address("user", "1")))
    assert type(address) is Address
    assert address == Address("user", "1")


# Turns.


async def test_hot_actor_does_not_starve_the_others(base: LoopBase) -> None:
    hot, _ = spawn(base, "hot")
    order: list[int] = []

    class Cold(Plain):
        def receiveMessage(self, message: Any, sender: Any) -> None:
            if not isinstance(message, ActorSystemMessage):
                order.append(base.stats()["Plain"].messages)

    cold, _ = spawn(base, "cold", Cold())
    for n in range(10_000):
        base.tell(hot, n)
    base.tell(cold, "hello")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == [base.turn_limit]


async def test_two_actors_that_never_rest_do_not_starve_the_loop(base: LoopBase) -> None:
    class Restless(Plain):
        def receiveMessage(self, message: Any, sender: Any) -> None:
            if message == "go":
                self.send(self.myAddress, "go")

    address, _ = spawn(base, "1", Restless())
    base.tell(address, "go")
    for _ in range(5):
        before = base.stats().get("Restless")
        await asyncio.sleep(0)
        assert base.stats()["Restless"].messages - (before.messages if before else 0) <= base.tick_limit + 64


async def test_slow_messages_leave_the_loop_its_turns(base: LoopBase) -> None:
    """A thousand groups are told of a change at once, and each wakes for it."""
    loop: Any = asyncio.get_running_loop()
    base.tick_s = 0.004

    class Slow(Plain):
        def receiveMessage(self, message: Any, sender: Any) -> None:
            super().receiveMessage(message, sender)
            loop._jumping.jumped += 0.001

    actors = [spawn(base, str(number), Slow()) for number in range(100)]
    for address, _ in actors:
        base.tell(address, "changed")
    handled = [0]
    while handled[-1] < len(actors):
        await asyncio.sleep(0)
        handled.append(sum(len(actor.got) for _, actor in actors))
    assert max(later - earlier for earlier, later in itertools.pairwise(handled)) <= 16


async def test_mailbox_alarms_and_drops_nothing(base: LoopBase, caplog: pytest.LogCaptureFixture) -> None:
    address, actor = spawn(base, "1")
    base.counters_of(Plain).alarm = 100
    for n in range(500):
        base.tell(address, n)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "Plain has 500 messages waiting" in caplog.text
    assert base.stats()["Plain"].mailbox_high_water == 500
    await asyncio.sleep(0)
    assert actor.got == list(range(500))


# Plain actors.


async def test_message_that_fails_twice_returns_as_poison(base: LoopBase) -> None:
    address, actor = spawn(base, "1")
    sender, asker = spawn(base, "2")
    base.send(sender, address, "boom")
    base.send(sender, address, "next")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert actor.got == ["boom", "next", "boom"]
    assert asker.got == [PoisonMessage("boom")]


async def test_exit_is_told_to_parent_and_children(base: LoopBase) -> None:
    class Parent(Plain):
        def receiveMessage(self, message: Any, sender: Any) -> None:
            super().receiveMessage(message, sender)
            if message == "bear":
                self.child = self.createActor(Plain)

    grand, grandparent = spawn(base, "0")
    parent = Parent()
    address = base.spawn(Address("plain", "1"), lambda: parent, parent=grand)
    base.tell(address, "bear")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert base.awake(parent.child)
    base.tell(address, ActorExitRequest())
    await base.when_ended(parent.child)
    assert not base.awake(address)
    assert ChildActorExited(address) in grandparent.got


async def test_mail_to_the_dead_goes_to_the_handler_of_dead_letters(base: LoopBase) -> None:
    handler, actor = spawn(base, "1")
    base._handleDeadLetters(handler, True)
    base.send(OUTSIDE, Address("nobody", "1"), "hello")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert actor.got == [DeadEnvelope(Address("nobody", "1"), "hello")]


async def test_wakeup_of_a_plain_actor(base: LoopBase) -> None:
    address, actor = spawn(base, "1")
    actor.wakeupAfter(5, "now")
    await asyncio.sleep(6)
    assert actor.got == [WakeupMessage(5, "now")]
    actor.wakeupAfter(5, "never")
    base.stop(address)
    await base.when_ended(address)
    await asyncio.sleep(6)
    assert len(actor.got) == 2


async def test_spawn_at_an_address_that_is_taken(base: LoopBase) -> None:
    spawn(base, "1")
    with pytest.raises(ValueError, match="taken"):
        spawn(base, "1")


async def test_crash_of_a_spawned_entity_is_told_to_its_parent(base: LoopBase) -> None:
    class Fragile(Entity):
        def receiveMsg_str(self, message: str, sender: Address) -> None:
            raise KeyError

    parent, actor = spawn(base, "1")
    child = base.spawn(Address("fragile", "1"), Fragile, parent=parent)
    base.tell(child, "x")
    await base.when_ended(child)
    await asyncio.sleep(0)
    (told,) = actor.got
    assert isinstance(told, ChildCrashed)
    assert told.childAddress == child
    assert isinstance(told.error, KeyError)


async def test_shutdown_ends_everything(base: LoopBase) -> None:
    class Stubborn(Entity):
        async def never(self) -> None:
            await asyncio.Event().wait()

        def on_stop(self) -> Any:
            return self.never()

    address, _ = spawn(base, "1")
    base.spawn(Address("stubborn", "1"), Stubborn)
    asked = base.ask(address, "nothing")
    await asyncio.sleep(0)
    await base.shutdown()
    assert base.running() == []
    assert isinstance(asked.exception(), Exception)
    base.tell(address, "too late")
    with pytest.raises(ActorAbsent):
        await base.ask(address, "too late")


# Systems and threads.


async def test_two_systems_in_one_process() -> None:
    loop = asyncio.get_running_loop()
    bases = [LoopBase(loop), LoopBase(loop)]
    systems = [ActorSystem(base, transientUnique=True) for base in bases]
    assert systems[0]._systemBase is not systems[1]._systemBase
    actors = [Plain(), Plain()]
    addresses = [spawn(base, "same", actor)[0] for base, actor in zip(bases, actors, strict=True)]
    assert addresses[0] == addresses[1]
    systems[0].tell(addresses[0], "only here")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [one.got for one in actors] == [["only here"], []]
    for system in systems:
        await system._systemBase.shutdown()
        system.shutdown()


async def test_blocking_ask_on_the_loop_raises_at_once(base: LoopBase) -> None:
    address, _ = spawn(base, "1")
    system = ActorSystem(base, transientUnique=True)
    with pytest.raises(RuntimeError, match="own thread"):
        system.ask(address, "echo", 1)
    with pytest.raises(RuntimeError, match="own thread"):
        system.listen(1)


async def test_ask_from_another_thread(base: LoopBase) -> None:
    system = ActorSystem(base, transientUnique=True)

    def outside() -> Any:
        address = system.createActor(Plain)
        return system.ask(address, "echo", 10)

    # Real time: the loop must be asked to wait for the thread, not to jump past it.
    assert await asyncio.to_thread(outside) == "echoed"


@pytest.fixture
def threaded() -> Iterator[Any]:
    system = ActorSystem()
    base = ActorSystemBase(system)
    system._systemBase = base
    yield system
    base.shutdown()
    assert not any(thread.name == "greenroom-actors" for thread in threading.enumerate())


def test_base_with_a_loop_of_its_own(threaded: Any) -> None:
    address = threaded.createActor(Plain, globalName="plain")
    assert threaded.createActor(Plain, globalName="plain") == address
    assert threaded.ask(address, "echo", 5) == "echoed"
    assert threaded.ask(address, "nothing", 0.01) is None
    with threaded.private() as private:
        assert private.ask(address, "echo", 5) == "echoed"


# Memory.


COUNT = 10_000


@pytest.fixture
def traced() -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    yield
    tracemalloc.stop()


def size_of_each(make: Any) -> float:
    """Bytes for each of many, after as many have taught Python the shape."""
    make("warm")
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    make("measured")
    gc.collect()
    return (tracemalloc.get_traced_memory()[0] - before) / COUNT


async def test_bare_idle_actor_is_small(base: LoopBase, traced: None) -> None:
    def make(kind: str) -> None:
        for n in range(COUNT):
            base.spawn(Address(kind, str(n)), Actor)

    assert size_of_each(make) < 512
    for address in base.running():
        base.kill(address)


async def test_idle_entity_is_small(base: LoopBase, traced: None) -> None:
    class Bare(Entity):
        def receiveMsg_int(self, message: int, sender: Address) -> None:
            pass

    def make(kind: str) -> None:
        base.register_kind(kind, lambda id_: Bare(), idle_timeout_s=60.0)
        for n in range(COUNT):
            base.tell(Address(kind, str(n)), n)
        while base.ready:
            base._run()

    assert size_of_each(make) < 600
    for address in base.running():
        base.kill(address)
