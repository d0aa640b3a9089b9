"""Time that passes at once: the loop jumps to its next timer instead of sleeping, so no test waits."""

from __future__ import annotations

import asyncio
import math
import selectors
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.thespian.system_base import LoopBase
from greenroom.tests.kit.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class JumpingSelector(selectors.DefaultSelector):
    """Where a loop would wait for its next timer, its clock jumps there."""

    def __init__(self) -> None:
        super().__init__()
        self.jumped = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self.jumped += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time is the real one plus all that was never waited for."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return super().time() + self._jumping.jumped


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test of this folder runs on a jumping loop."""
    return {"jumping": JumpingLoop}


@pytest.fixture
async def base() -> AsyncIterator[LoopBase]:
    """A base on the test's loop; fails the test when the base leaves a task or an actor behind."""
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks(loop)
    made = LoopBase(loop, tick_s=math.inf)  # A busy machine ends no tick.
    yield made
    await made.shutdown()
    assert made.running() == []
    left = {task for task in asyncio.all_tasks(loop) - before - {asyncio.current_task()} if not task.done()}
    assert not left


@pytest.fixture
async def settle() -> Callable[[], Any]:
    """Await it to let every turn that is due be taken."""

    async def settled() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    return settled


@pytest.fixture
def heard() -> list[str]:
    Recorder.heard.clear()
    Recorder.life.clear()
    return Recorder.heard.setdefault("1", [])


@pytest.fixture
def one(base: LoopBase, heard: list[str]) -> Address:
    base.register_kind("recorder", Recorder, idle_timeout_s=10.0)
    return Address("recorder", "1")
