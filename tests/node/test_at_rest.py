"""What a node that has nothing to do takes of its machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.sqlite.check import check
from greenroom.tests.bench.measure import members_of, rss_bytes
from greenroom.tests.kit.wire_kit import Device, text_message, until

if TYPE_CHECKING:
    from greenroom.tests.kit.node_kit import NodeProcess

LIMIT_BYTES = 100_000_000
"""For the node and its writer together. It leaves room for plain code."""

LOG_LIMIT_BYTES = 16 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_memory_at_rest(node: NodeProcess) -> None:
    assert node.process is not None
    members = members_of(node.process.pid)
    assert len(members) == 2
    assert sum(map(rss_bytes, members)) < LIMIT_BYTES


@pytest.mark.ci
async def test_log_at_rest(node: NodeProcess) -> None:
    """After a burst, the store's log is moved into the database and its file is cut."""
    tokens = await node.tokens("alice", "bob")
    log = node.data_dir / "greenroom.db-wal"
    async with await Device.open(node, "alice", tokens["alice"]) as alice:
        longest = number = 0
        while longest <= LOG_LIMIT_BYTES:
            number += 1
            await alice.sent(text_message("alice", "bob", clientMsgID=f"m{number}", content=b"x" * 30_000))
            longest = log.stat().st_size
        await until(lambda: log.stat().st_size <= LOG_LIMIT_BYTES)
        await alice.sent(text_message("alice", "bob", clientMsgID="last"))
        assert (await alice.newest())["si_alice_bob"] == number + 1
    await node.terminate()
    assert check(node.data_dir) == []
