from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvloop

from greenroom.tests.kit.engine_kit import KitEngine, running_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@pytest.fixture
async def engine() -> AsyncIterator[KitEngine]:
    """Entities on a loop, with a store in memory and sessions that write down pushes."""
    async with running_engine() as one:
        yield one


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The engine's starts and stops are tested on both loops: what is left behind differs."""
    if item.path.name in ("test_engine.py", "test_cancelled_starts.py"):
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
