"""A node whose store fails is alive, is not ready, and says why. It is ready again without a restart or a message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from greenroom.tests.kit.disk_faults import no_room
from greenroom.tests.kit.wire_kit import Device, text_message

if TYPE_CHECKING:
    from greenroom.tests.kit.node_kit import NodeProcess

ALIVE, READY = (200, {"status": "ok"}), (200, {"status": "ready"})
NOT_READY = (503, {"status": "not ready", "reason": "the store fails"})


def _writer_of(node: NodeProcess) -> int:
    assert node.process is not None
    tasks = Path(f"/proc/{node.process.pid}/task").iterdir()
    [pid] = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return pid


async def test_store_that_fails_and_works_again(node: NodeProcess) -> None:
    tokens = await node.tokens("alice", "bob")
    async with httpx.AsyncClient(base_url=node.api_url, trust_env=False) as client:

        async def page(path: str) -> tuple[int, dict[str, str]]:
            answer = await client.get(path)
            return answer.status_code, answer.json()

        assert (await page("/healthz"), await page("/readyz")) == (ALIVE, READY)
        async with await Device.open(node, "alice", tokens["alice"]) as alice:
            with no_room(_writer_of(node)):
                assert (await alice.send(text_message("alice", "bob"))).err_code == 90002
                assert (await page("/healthz"), await page("/readyz")) == (ALIVE, NOT_READY)
        while (now := await page("/readyz")) != READY:  # The writer pauses before it tries again.
            assert now == NOT_READY
        async with await Device.open(node, "alice", tokens["alice"]) as alice:
            await alice.sent(text_message("alice", "bob"))
