from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.engine_kit import Engine, running_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """Entities on a loop, with a store in memory and sessions that write down pushes."""
    async with running_engine() as one:
        yield one
