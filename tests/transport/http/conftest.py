from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from http_kit import HttpStage, http_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def http() -> AsyncIterator[HttpStage]:
    async with http_stage() as stage:
        yield stage
