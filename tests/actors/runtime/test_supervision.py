"""Fixed children: order, restart, intensity, the mail between two lives, the way down."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.supervision import ChildSpec, Supervisor

if TYPE_CHECKING:
    import pytest

    from greenroom.actors.runtime.thespian.system_base import LoopBase

ROOT = Address("supervisor", "root")


class Child(Entity):
    """Loads for a second, notes its life, crashes on "crash"."""

    def __init__(self, name: str, noted: list[str], load_s: float = 1.0, close_s: float = 0.0) -> None:
        self.name, self.noted, self.load_s, self.close_s = name, noted, load_s, close_s

    def on_start(self) -> None:
        self.noted.append(f"{self.name} starts")
        self.hold()
        self.pipe(asyncio.sleep(self.load_s))

    def receiveMsg_Piped(self, message: Any, sender: Address) -> None:
        self.noted.append(f"{self.name} loaded")
        self.release()

    def receiveMsg_str(self, message: str, sender: Address) -> None:
        if message == "crash":
            raise ValueError
        self.noted.append(f"{self.name} got {message}")
        self.send(sender, message)

    def on_stop(self) -> Any:
        self.noted.append(f"{self.name} stops")
        return asyncio.sleep(self.close_s) if self.close_s else None


class Nursery:
    """A supervisor with children a and b, and what was noted."""

    def __init__(self, base: LoopBase, **options: Any) -> None:
        self.base = base
        self.noted: list[str] = []
        self.fell: list[str] = []
        self.ready = asyncio.Event()
        self.a = ChildSpec("a", lambda: Child("a", self.noted), **options)
        self.b = ChildSpec("b", lambda: Child("b", self.noted))
        base.spawn(
            ROOT,
            lambda: Supervisor((self.a, self.b), on_ready=self.ready.set, on_failure=self.fell.append),
        )


async def test_children_start_in_order_once_loaded_and_stop_in_reverse(base: LoopBase) -> None:
    nursery = Nursery(base)
    await nursery.ready.wait()
    assert nursery.noted == ["a starts", "a loaded", "b starts", "b loaded"]
    nursery.noted.clear()
    base.stop(ROOT)
    await base.when_ended(ROOT)
    assert nursery.noted == ["b stops", "a stops"]
    assert nursery.fell == []


async def test_crashed_child_is_restarted_with_the_mail_it_left(base: LoopBase) -> None:
    nursery = Nursery(base)
    await nursery.ready.wait()
    nursery.noted.clear()
    base.tell(nursery.a.address, "crash")
    assert await base.ask(nursery.a.address, "hello") == "hello"
    assert nursery.noted == ["a starts", "a loaded", "a got hello"]


async def test_supervisor_falls_past_the_intensity(base: LoopBase) -> None:
    nursery = Nursery(base, intensity=(2, 10.0))
    await nursery.ready.wait()
    nursery.noted.clear()
    for _ in range(3):
        base.tell(nursery.a.address, "crash")
        await asyncio.sleep(1.1)
    await base.when_ended(ROOT)
    assert nursery.noted == ["a starts", "a loaded", "a starts", "a loaded", "b stops"]
    assert nursery.fell == ["a crashed with ValueError, 3 times within 10 s"]
    assert not base.awake(nursery.b.address)


async def test_crashes_far_apart_are_forgiven(base: LoopBase) -> None:
    nursery = Nursery(base, intensity=(1, 10.0))
    await nursery.ready.wait()
    for _ in range(4):
        base.tell(nursery.a.address, "crash")
        await asyncio.sleep(11)
    assert nursery.fell == []
    assert base.awake(nursery.a.address)


async def test_child_that_is_never_restarted(base: LoopBase) -> None:
    nursery = Nursery(base, restart="never")
    await nursery.ready.wait()
    base.tell(nursery.a.address, "crash")
    await asyncio.sleep(2)
    assert not base.awake(nursery.a.address)
    assert base.awake(nursery.b.address)


async def test_fallen_supervisor_is_restarted_by_its_own(base: LoopBase) -> None:
    noted: list[str] = []
    leaf = ChildSpec("leaf", lambda: Child("leaf", noted), intensity=(0, 10.0))
    branch = ChildSpec("branch", lambda: Supervisor((leaf,)))
    fell: list[str] = []
    base.spawn(ROOT, lambda: Supervisor((branch,), on_failure=fell.append))
    await asyncio.sleep(2)
    base.tell(leaf.address, "crash")
    await asyncio.sleep(2)
    assert noted == ["leaf starts", "leaf loaded", "leaf starts", "leaf loaded"]
    assert fell == []


async def test_child_whose_factory_fails_makes_the_supervisor_fall(base: LoopBase) -> None:
    def fail() -> Entity:
        raise OSError

    fell: list[str] = []
    base.spawn(ROOT, lambda: Supervisor((ChildSpec("x", fail),), on_failure=fell.append))
    await asyncio.sleep(1)
    assert fell == ["x crashed with OSError, 4 times within 60 s"]


async def test_child_that_does_not_load_in_time(base: LoopBase) -> None:
    noted: list[str] = []
    fell: list[str] = []
    spec = ChildSpec("x", lambda: Child("x", noted, load_s=100), start_s=5, intensity=(1, 60.0))
    base.spawn(ROOT, lambda: Supervisor((spec,), on_failure=fell.append))
    await asyncio.sleep(30)
    assert noted == ["x starts", "x starts"]
    assert len(fell) == 1


async def test_child_that_does_not_stop_in_time(base: LoopBase, caplog: pytest.LogCaptureFixture) -> None:
    noted: list[str] = []
    ready = asyncio.Event()
    spec = ChildSpec("x", lambda: Child("x", noted, close_s=1000), shutdown_s=5)
    base.spawn(ROOT, lambda: Supervisor((spec,), on_ready=ready.set))
    await ready.wait()
    began = base.loop.time()
    base.stop(ROOT)
    await base.when_ended(ROOT)
    assert 5 <= base.loop.time() - began < 6
    assert "x did not stop within 5 s" in caplog.text
