from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.node_kit import NodeProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[NodeProcess]:
    """A node that runs, in a process of its own."""
    one = NodeProcess(tmp_path)
    await one.start()
    try:
        yield one
    finally:
        one.close()
