"""Actors that crash in the middle of messages, under load: the judge's word on what was acked, and what others see."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from greenroom import Client
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import MAX_FRAME_BYTES, RequestId
from greenroom.persistence.sqlite.check import check
from greenroom.tests.kit.load_kit import SHORT, start_load, wait_load
from greenroom.tests.kit.node_kit import SECRET, NodeProcess
from greenroom.transport.client.api import Api
from greenroom.transport.client.errors import ClientError, ConnectionLost, Refused
from greenroom.transport.client.link import Link, Login
from greenroom.transport.client.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.transport.client.client_message import Received

pytestmark = pytest.mark.ci

SEED = int(os.environ.get("GREENROOM_SEED", str(random.randrange(10**6))))
CRASHING_SENDS = 10_000
HOLD_S = float(os.environ.get("GREENROOM_CRASH_S", "25"))
"""How long the load goes on."""
# The drain is longer than the longest quarantine (60 s).
SCENARIO = f"""
title = "Everything that an actor class answers, over connections that break"
users = 60

[pace]
rate_per_s = 200.0
ramp_s = 0.5
hold_s = {HOLD_S}
drain_s = 70.0

[client]
reconnect_base_s = 0.1

[thresholds]
error_share = 1.0

[[step]]
kind = "direct"
weight = 2

[[step]]
kind = "group"
groups = 60
members = 5
weight = 2

[[step]]
kind = "churn"
share = 0.8
every_s = 1.0
"""
PLANS: dict[str, tuple[float, list[str]]] = {
    "User": (0.2, ["OpenSession", "CloseSession", "Piped"]),
    "Pair": (0.2, ["SendMessage", "SliceStored", "Piped"]),
    "Group": (0.25, ["SendMessage", "SliceStored", "Piped", "MemberOnline"]),
    "ConnectionActor": (0.1, ["Answer", "Failed"]),
}
"""By class: the share of its messages that crash it, and their classes."""


def crashing(folder: Path, actor: str, share: float, messages: list[str], *ids: str) -> NodeProcess:
    print(f"seed {SEED}")
    plan = {"actor": actor, "messages": messages, "share": share, "seed": SEED, "ids": ids}
    return NodeProcess(folder, module="greenroom.tests.kit.crashing_node", env={"CRASH_PLAN": json.dumps(plan)})


def toggle(node: NodeProcess) -> None:
    assert node.process is not None
    node.process.send_signal(signal.SIGUSR1)


async def status_of(node: NodeProcess) -> Any:
    async with Api(node.api_url) as api:
        return await api.call("/greenroom/status", {"secret": SECRET})


def crashes(status: Any, actor: str) -> int:
    return int(next(one["crashes"] for one in status["actors"] if one["name"] == actor))


async def said(process: asyncio.subprocess.Process, word: bytes) -> None:
    assert process.stdout is not None
    while word not in await process.stdout.readline():
        assert not process.stdout.at_eof()


@pytest.mark.timeout(150)
@pytest.mark.parametrize("actor", PLANS)
async def test_judge_of_a_run_with_crashes(tmp_path: Path, actor: str) -> None:
    """Nothing acked is lost, doubled or out of order; whoever is not acked is told, or loses the connection."""
    node = crashing(tmp_path, actor, *PLANS[actor])
    scenario = tmp_path / "crashes.toml"
    scenario.write_text(SCENARIO)
    await node.start()
    try:
        process = await start_load(tmp_path, str(scenario), *SHORT[4:], node=node)
        await said(process, b"acked/s")
        toggle(node)
        # Not until "draining": that waits for what is to be sent again, while quarantines double from crash to crash.
        # By the clock, as the load holds: on a busy machine its lines of progress come later than once a second.
        await asyncio.sleep(HOLD_S - 3)
        toggle(node)
        await said(process, b"draining")
        run = await wait_load(process, tmp_path, "crashes")
        status = await status_of(node)
        assert run.code == 0, run.out + run.err
        figures = run.figures
        assert figures["verdict"]["ok"]
        assert figures["drained"], run.out
        assert not [error for error in figures["errors"] if "in time" in error], figures["errors"]
        assert figures["counts"]["acked"] > 200
        print(f"{crashes(status, actor)} crashes, {figures['counts']}")
        assert crashes(status, actor) >= 150
        assert {one["name"]: one["crashes"] for one in status["actors"] if one["crashes"]}.keys() == {actor}
        assert sum(" crashed: " in line for line in node.log.splitlines()) < 20
        assert sum(" in quarantine " in line for line in node.log.splitlines()) < crashes(status, actor)
        assert await node.terminate() == 0
    finally:
        node.close()
    assert check(node.data_dir) == []


@pytest.mark.timeout(150)
async def test_judge_of_a_run_with_crashing_children(tmp_path: Path) -> None:
    """Store, lane and gateway, each as often as its intensity allows."""
    children = ["store", "lane-0", "gateway"] * 3
    node = NodeProcess(
        tmp_path, module="greenroom.tests.kit.crashing_node", env={"CRASH_CHILD": ",".join(children)}
    )
    scenario = tmp_path / "crashes.toml"
    scenario.write_text(SCENARIO)
    await node.start()
    try:
        process = await start_load(tmp_path, str(scenario), *SHORT[4:], node=node)
        await said(process, b"acked/s")
        for _ in children:
            assert node.process is not None
            node.process.send_signal(signal.SIGUSR2)
            await asyncio.sleep(0.4)
        run = await wait_load(process, tmp_path, "crashes")
        status = await status_of(node)
        assert run.code == 0, run.out + run.err
        assert run.figures["verdict"]["ok"]
        assert run.figures["drained"], run.out
        assert not [error for error in run.figures["errors"] if "in time" in error], run.figures["errors"]
        assert run.figures["counts"]["acked"] > 50
        assert status["restarts"] == {"store": 3, "lane-0": 3, "gateway": 3, "admins": 0, "http": 0}
        assert await node.terminate() == 0
    finally:
        node.close()
    assert check(node.data_dir) == []


class Attacker:
    """A client whose every message crashes a conversation; it comes back whenever its connection is closed."""

    def __init__(self, node: NodeProcess, token: str) -> None:
        self.login = Login(
            ws_url=node.ws_url, user_id="attacker", token=token, platform_id=5, encoding="go", compression=False
        )
        self.connections = 0
        self.refused = 0
        self.cut_off = 0

    async def attack(self, targets: list[str]) -> None:
        """One message to each, in order, however long it takes."""
        while targets:
            link = Link(
                self.login, on_push=lambda _: None, on_lost=lambda _: None, ticker=Ticker.shared(),
                request_timeout_s=10, max_frame_bytes=1 << 20, send_limit_bytes=MAX_FRAME_BYTES,
            )  # fmt: skip
            await link.open(timeout_s=10)
            self.connections += 1
            answers = [link.post(RequestId.SEND_MESSAGE, self._message(target)) for target in targets[:8]]
            for answer in await asyncio.gather(*answers, return_exceptions=True):
                # Each is answered with an error, or the connection ends: never silence, never an ack.
                assert isinstance(answer, (Refused, ConnectionLost)), answer
                assert not isinstance(answer, Refused) or answer.retryable, answer
                self.refused += isinstance(answer, Refused)
                self.cut_off += isinstance(answer, ConnectionLost)
            del targets[:8]
            link.abort()

    @staticmethod
    def _message(target: str) -> bytes:
        return sdkws_pb2.MsgData(
            sendID="attacker", recvID=target, clientMsgID=f"{random.getrandbits(128):032x}", sessionType=1,
            contentType=101, content=b'{"content":"boom"}',
        ).SerializeToString()  # fmt: skip


class Bystanders:
    """Pairs that talk on, one message after another, and write down what they were shown."""

    def __init__(self, node: NodeProcess, tokens: dict[str, str], pairs: int) -> None:
        self.acked: dict[str, list[str]] = {f"a{i}": [] for i in range(pairs)}
        self.shown: dict[str, list[str]] = {f"b{i}": [] for i in range(pairs)}
        self.clients = {
            name: Client(
                ws_url=node.ws_url, user_id=name, token=tokens[name], on_message=self._reader(name), since="beginning"
            )
            for name in (*self.acked, *self.shown)
        }
        self.stopped = False

    def _reader(self, name: str) -> Callable[[Received], None]:
        return lambda message: self.shown[name].append(message.client_msg_id)

    async def talk(self) -> None:
        async def one(name: str) -> None:
            while not self.stopped:
                sent = await self.clients[name].send(recv_id=f"b{name[1:]}", text="on we go", timeout_s=10)
                self.acked[name].append(sent.client_msg_id)
                await asyncio.sleep(0.005)

        await asyncio.gather(*(one(name) for name in self.acked))


def resident_bytes(node: NodeProcess) -> int:
    assert node.process is not None
    line = next(
        line for line in Path(f"/proc/{node.process.pid}/status").read_text().splitlines() if "VmRSS" in line
    )
    return int(line.split()[1]) * 1024


@pytest.mark.timeout(120)
async def test_client_that_crashes_ten_thousand_times(tmp_path: Path) -> None:
    node = crashing(tmp_path, "Pair", 1.0, ["SendMessage"], "_attacker")
    await node.start()
    pairs = 4
    names = [f"{side}{i}" for i in range(pairs) for side in "ab"]
    tokens = await node.tokens("attacker", *names)
    attacker, bystanders = Attacker(node, tokens["attacker"]), Bystanders(node, tokens, pairs)
    toggle(node)
    try:
        for client in bystanders.clients.values():
            await client.start()
        talk = asyncio.create_task(bystanders.talk())
        warm_up = CRASHING_SENDS // 5
        await attacker.attack([f"{number}" for number in range(1, warm_up + 1)])
        before = resident_bytes(node)
        await attacker.attack([f"{number}" for number in range(warm_up + 1, CRASHING_SENDS + 1)])
        assert resident_bytes(node) - before < 16 << 20
        # All that came before a connection was closed for its crashes did crash; the rest of its sends was not read.
        status = await status_of(node)
        assert crashes(status, "Pair") == attacker.refused
        assert attacker.refused + attacker.cut_off == CRASHING_SENDS
        assert attacker.refused > 0.7 * CRASHING_SENDS
        assert len(node.log.splitlines()) < 100
        # And all on one: it is quarantined, and one can see it.
        left_s = 0.0
        while left_s < 7:  # The fourth quarantine takes 8 s: on a busy machine a command needs some to start.
            await attacker.attack(["0"] * 8)
            left_s = max((one["leftS"] for one in (await status_of(node))["quarantined"]), default=0.0)
        await _look_at_quarantine(node)
        bystanders.stopped = True
        await talk
        assert not any(client.reconnects for client in bystanders.clients.values())
        for name, acked in bystanders.acked.items():
            assert len(acked) > 50
            shown = bystanders.shown[f"b{name[1:]}"]
            for _ in range(500):
                if len(shown) == len(acked):
                    break
                await asyncio.sleep(0.02)
            assert shown == acked
        await asyncio.gather(*(client.close() for client in bystanders.clients.values()))
        assert await node.terminate() == 0
    finally:
        node.close()
    assert check(node.data_dir) == []


async def _look_at_quarantine(node: NodeProcess) -> None:
    """By the metric, by the log, by the command."""
    address = "conversation:0_attacker"
    async with httpx.AsyncClient(base_url=node.api_url) as http:
        metrics = (await http.get("/metrics")).text
    assert 'greenroom_actor_quarantined{actor="Pair"} 1.0' in metrics
    assert "attacker" not in metrics
    events = [json.loads(line) for line in node.log.splitlines() if line.startswith("{")]
    quarantines = [event for event in events if "in quarantine" in event["event"]]
    assert {(one["address"], one["actor"], one["level"]) for one in quarantines} == {(address, "Pair", "error")}
    # Three crashes, then one after each quarantine; each is told once.
    assert [(one["strikes"], one["crashes"]) for one in quarantines] == [(1, 3), (2, 4), (3, 5), (4, 6)]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "greenroom", "status", "--api-port", str(node.api_port), "--data-dir", "x"],
        capture_output=True, text=True, timeout=50, env={**os.environ, "GREENROOM_SECRET": SECRET}, cwd=node.folder,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "1 in quarantine" in done.stdout.splitlines()[0]
    assert address in done.stdout.splitlines()[1]


@pytest.mark.timeout(40)
@pytest.mark.parametrize("child", ["store", "root"])
async def test_child_past_its_intensity_ends_the_process(tmp_path: Path, child: str) -> None:
    """Up to the root: not zero, and one line that says which child and how often. What was acked is on disk."""
    node = NodeProcess(
        tmp_path, module="greenroom.tests.kit.crashing_node", env={"CRASH_CHILD": child, "CRASH_TIMES": "4"}
    )
    await node.start()
    try:
        tokens = await node.tokens("a", "b")
        async with Client(ws_url=node.ws_url, user_id="a", token=tokens["a"], receive=False) as client:
            sent = await client.send(recv_id="b", text="kept")
        assert node.process is not None
        node.process.send_signal(signal.SIGUSR2)
        assert await asyncio.to_thread(node.process.wait, 20) == 1
        lines = [line for line in node.log.splitlines() if line.startswith("greenroom: ")]
        why = "supervisor crashed with RuntimeError"
        if child != "root":
            why = f"{child} crashed with RuntimeError, 4 times within 60 s"
        assert lines == [f"greenroom: the node failed: {why}"], node.log
        await node.start()
        tokens = await node.tokens("b")
        async with Client(ws_url=node.ws_url, user_id="b", token=tokens["b"], receive=False) as client:
            (kept,) = await client.pull_history("si_a_b", begin=1, end=10)
        assert kept.client_msg_id == sent.client_msg_id
    except ClientError as problem:
        raise AssertionError(node.log) from problem
    finally:
        node.close()
