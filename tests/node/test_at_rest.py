"""What a node that has nothing to do takes of its machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.bench.measure import members_of, rss_bytes

if TYPE_CHECKING:
    from greenroom.tests.kit.node_kit import NodeProcess

LIMIT_BYTES = 100_000_000
"""For the node and its writer together. It leaves room for plain code."""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_memory_at_rest(node: NodeProcess) -> None:
    assert node.process is not None
    members = members_of(node.process.pid)
    assert len(members) == 2
    assert sum(map(rss_bytes, members)) < LIMIT_BYTES
