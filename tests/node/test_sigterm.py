"""SIGTERM answers what is under way, and loses nothing of it. (For SIGKILL, see tests/torture.)"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from greenroom import Client
from greenroom.persistence.sqlite.check import check
from greenroom.tests.kit.node_kit import NodeProcess
from greenroom.transport.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable


async def _until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


@pytest.mark.timeout(60)
async def test_terminated_with_a_thousand_sends_under_way(tmp_path: Path) -> None:
    """Every send that the node has read is answered before it exits; none that was acked is lost."""
    # A slow machine would have some told to try again: that is another promise's test.
    node = NodeProcess(tmp_path, env={"GREENROOM_OVERLOAD_PATIENCE_S": "30"})
    await node.start()
    names = [f"u{i}" for i in range(64)]
    tokens = await node.tokens(*names)
    acked: dict[str, set[str]] = defaultdict(set)
    clients = [
        Client(ws_url=node.ws_url, user_id=name, token=tokens[name], receive=False, requests_in_flight=16,
               backoff_base_s=0.05, send_timeout_s=30)
        for name in names
    ]  # fmt: skip
    await asyncio.gather(*(client.start() for client in clients))

    begun = asyncio.Event()

    async def send(client: Client) -> None:
        sent = await client.send(recv_id=client.user_id, text="x")
        acked[client.user_id].add(sent.client_msg_id)
        if not begun.is_set():
            # Here, and not where it is waited for: by then a fast node has answered them all.
            assert node.process is not None
            node.process.send_signal(signal.SIGTERM)
            begun.set()

    sends = [asyncio.create_task(send(client)) for _ in range(16) for client in clients]
    await asyncio.wait_for(begun.wait(), 50.0)
    assert node.process is not None
    code = await asyncio.to_thread(node.process.wait, 30)
    assert code == 0, node.log
    assert sum(map(len, acked.values())) == 1024
    await asyncio.gather(*sends)
    await node.start()
    await _until(lambda: all(client.state == "online" for client in clients))
    for client in clients:
        kept = await client.pull_history(f"si_{client.user_id}_{client.user_id}", begin=1, end=1000, limit=100)
        assert sorted(one.client_msg_id for one in kept) == sorted(acked[client.user_id])
    await asyncio.gather(*(client.close() for client in clients))
    node.close()
    assert check(node.data_dir) == []


@pytest.mark.timeout(60)
async def test_terminated_while_the_writer_hangs(tmp_path: Path) -> None:
    """The node gives it up by itself; what was acked is there, what was not is nobody's."""
    node = NodeProcess(tmp_path)
    await node.start()
    assert node.process is not None
    token = (await node.tokens("a"))["a"]
    client = Client(ws_url=node.ws_url, user_id="a", token=token, receive=False, backoff_base_s=0.05)
    await client.start()
    acked = await client.send(recv_id="a", text="acked")
    [writer] = _children(node.process.pid)
    os.kill(writer, signal.SIGSTOP)
    hanging = asyncio.create_task(client.send(recv_id="a", text="hangs"))
    await _until(lambda: "does not answer a commit" in node.log)
    code = await node.terminate()
    assert code == 0, node.log
    assert "the writer process did not end" in node.log
    assert "store did not stop" not in node.log
    with pytest.raises(ProcessLookupError):
        os.kill(writer, 0)
    await client.close()
    with pytest.raises(ClientError):
        await hanging
    await node.start()
    async with Client(ws_url=node.ws_url, user_id="a", token=token) as again:
        kept = await again.pull_history("si_a_a", begin=1, end=9)
    assert [one.client_msg_id for one in kept] == [acked.client_msg_id]
    node.close()
    assert check(node.data_dir) == []
