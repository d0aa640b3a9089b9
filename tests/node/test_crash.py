"""An ack is a promise: what was acked survives SIGKILL, in order and once; SIGTERM answers what is under way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from node_kit import NodeProcess

from greenroom import Client
from greenroom.persistence.check import check
from greenroom.transport.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from greenroom.transport.client.message import Received

PAIRS = 8
SENDS_IN_FLIGHT = 12
KILLS = int(os.environ.get("GREENROOM_KILLS", "20" if os.environ.get("CI") else "3"))
ACKED_A_SECOND = 500
"""At least so many sends must have been under way for a kill to mean something."""


class Journal:
    """What the clients were promised, and what they were shown."""

    def __init__(self) -> None:
        self.acked: dict[str, dict[str, str]] = defaultdict(dict)
        """By conversation: clientMsgID to serverMsgID."""
        self.shown: dict[str, list[tuple[int, str]]] = defaultdict(list)
        """By reader and conversation: (seq, clientMsgID), in the order shown."""
        self.count = 0

    def reader(self, name: str) -> Callable[[Received], None]:
        def note(message: Received) -> None:
            self.shown[f"{name}/{message.conversation_id}"].append((message.seq, message.client_msg_id))

        return note


async def _talk(client: Client, peer: str, conversation_id: str, journal: Journal, stop: asyncio.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        with contextlib.suppress(ClientError):
            sent = await client.send(recv_id=peer, text=f"{number}")
            journal.acked[conversation_id][sent.client_msg_id] = sent.server_msg_id
            journal.count += 1


async def _commit_under_way(node: NodeProcess) -> bool:
    """Whether the write-ahead log is just being written: a moment that tears a commit."""
    log = node.data_dir / "greenroom.db-wal"
    with contextlib.suppress(FileNotFoundError):
        before = log.stat().st_mtime_ns
        for _ in range(2000):
            if log.stat().st_mtime_ns != before:
                return True
            await asyncio.sleep(0)
    return False


@pytest.mark.parametrize(
    "kills", [pytest.param(KILLS, marks=pytest.mark.timeout(60 + 10 * KILLS))], ids=lambda n: f"{n}-kills"
)
async def test_killed_at_random_moments(tmp_path: Path, kills: int) -> None:
    seed = int(os.environ.get("GREENROOM_SEED", str(random.randrange(10**6))))
    print(f"seed {seed}")
    rng = random.Random(seed)
    node = NodeProcess(tmp_path)
    await node.start()
    names = [f"{side}{i}" for i in range(PAIRS) for side in "ab"]
    tokens = await node.tokens(*names)
    journal, stop = Journal(), asyncio.Event()
    clients = {
        name: Client(
            ws_url=node.ws_url, user_id=name, token=tokens[name], since="beginning", own_messages=True,
            encoding="js" if rng.random() < 0.5 else "go", compression=rng.random() < 0.5,
            on_message=journal.reader(name), backoff_base_s=0.05,
        )
        for name in names
    }  # fmt: skip
    during_commit, rates = 0, []
    try:
        await asyncio.gather(*(client.start() for client in clients.values()))
        talks = [
            asyncio.create_task(_talk(clients[f"{side}{i}"], f"{other}{i}", f"si_a{i}_b{i}", journal, stop))
            for i in range(PAIRS)
            for side, other in ("ab", "ba")
            for _ in range(SENDS_IN_FLIGHT // 2)
        ]
        for _ in range(kills):
            before, began = journal.count, time.monotonic()
            await asyncio.sleep(rng.uniform(0.4, 1.0))
            during_commit += await _commit_under_way(node)
            node.kill()
            rates.append((journal.count - before) / (time.monotonic() - began))
            await node.start()
            await _until(lambda: all(client.state == "online" for client in clients.values()))
        stop.set()
        await asyncio.gather(*talks)
        total = {f"si_a{i}_b{i}": 0 for i in range(PAIRS)}
        for conversation_id in total:
            newest = await clients[conversation_id.split("_")[1]].newest_seqs()
            total[conversation_id] = newest[conversation_id]
        await _until(
            lambda: all(
                len(journal.shown[f"{side}{i}/si_a{i}_b{i}"]) >= total[f"si_a{i}_b{i}"]
                for i in range(PAIRS)
                for side in "ab"
            )
        )
    finally:
        await asyncio.gather(*(client.close() for client in clients.values()))
        node.close()
    rate = sorted(rates)[len(rates) // 2]
    print(f"{journal.count} acked, {rate:.0f} a second at the median, {during_commit} of {kills} kills in a commit")
    assert during_commit >= kills // 4
    assert rate >= ACKED_A_SECOND
    for reader, shown in journal.shown.items():
        conversation_id = reader.split("/")[1]
        assert [seq for seq, _ in shown] == list(range(1, total[conversation_id] + 1)), reader
        ids = [client_id for _, client_id in shown]
        assert len(set(ids)) == len(ids), f"{reader} was shown a message twice"
        assert set(journal.acked[conversation_id]) <= set(ids), f"{reader} misses what was acked"
    assert check(node.data_dir) == []


async def _until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


@pytest.mark.timeout(60)
async def test_terminated_with_a_thousand_sends_under_way(tmp_path: Path) -> None:
    """Every send that the node has read is answered before it exits; none that was acked is lost."""
    node = NodeProcess(tmp_path)
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

    async def send(client: Client) -> None:
        sent = await client.send(recv_id=client.user_id, text="x")
        acked[client.user_id].add(sent.client_msg_id)

    sends = [asyncio.create_task(send(client)) for _ in range(16) for client in clients]
    await _until(lambda: sum(map(len, acked.values())) > 0)
    before = sum(map(len, acked.values()))
    code = await node.terminate()
    answered = sum(map(len, acked.values()))
    assert code == 0, node.log
    assert (before < 1000, answered) == (True, 1024)
    await asyncio.gather(*sends)
    await node.start()
    await _until(lambda: all(client.state == "online" for client in clients))
    for client in clients:
        kept = await client.pull_history(f"si_{client.user_id}_{client.user_id}", begin=1, end=1000, limit=100)
        assert sorted(one.client_msg_id for one in kept) == sorted(acked[client.user_id])
    await asyncio.gather(*(client.close() for client in clients))
    node.close()
    assert check(node.data_dir) == []
