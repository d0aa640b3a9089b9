"""The store fails: nothing is acked that is not kept, each sender is told, and the node goes on when the fault is
gone, without a restart. After each fault the node is killed: what was acked must be there all the same."""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.writer import CHECKPOINT_BYTES
from greenroom.tests.kit.disk_faults import injected, locked, no_room
from greenroom.tests.kit.fault_load import FaultLoad
from greenroom.tests.kit.node_kit import NodeProcess
from greenroom.tests.kit.wire_kit import Device, text_message, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SEED = os.environ.get("GREENROOM_FAULT_SEED") or str(random.SystemRandom().randrange(1 << 32))
STORE_UNAVAILABLE = 90002
SYNCS = "fdatasync,fsync"
INJECTED = {
    "sync-eio": (SYNCS, "error=EIO"),
    "write-eio": ("pwrite64", "error=EIO"),
    "write-enospc": ("pwrite64", "error=ENOSPC"),
    "hang": (SYNCS, "delay_enter=60000000"),
}
HARD = (*INJECTED, "no-room", "lock")
"""While one of these lasts, nothing can be stored."""
PAYLOAD_BYTES = 6000
CHECKPOINT = {"checkpoint-eio": ("pwrite64", "error=EIO"), "checkpoint-sync-eio": (SYNCS, "error=EIO")}


@asynccontextmanager
async def faulty(node: NodeProcess, fault: str) -> AsyncIterator[None]:
    """The fault lasts as long as the block."""
    database, pid, trace = node.data_dir / "greenroom.db", node.writer, node.folder / "trace"
    if fault == "lock":
        async with locked(database):
            yield
    elif fault == "no-room":
        with no_room(pid):
            yield
    else:
        async with injected(pid, *INJECTED[fault], trace) as injection:
            yield
        assert injection.hits, "the fault was not met"


async def hard_round(load: FaultLoad, fault: str, length_s: float) -> None:
    """Nothing is acked during the fault, somebody is told, and all goes on after it in the same processes."""
    node = load.node
    pids = node.process, node.writer
    refused = len(load.refusals)
    async with faulty(node, fault):
        began = time.monotonic_ns()
        await asyncio.sleep(length_s)
        acked = [sent for sent, _ in load.acks if sent > began]
        assert not acked, f"{fault}: acked what cannot be stored"
        await until(lambda: len(load.refusals) > refused)
    await load.goes_on()
    assert (node.process, node.writer) == pids


async def checkpoint_round(load: FaultLoad, fault: str) -> None:
    """The log takes what comes; moving it into the database fails."""
    database = load.node.data_dir / "greenroom.db"
    trace = load.node.folder / "trace"
    async with injected(load.node.writer, *CHECKPOINT[fault], trace, only=database) as injection:
        for _ in range(2):
            before, acks = injection.hits, len(load.acks)
            load.resume()
            # So many fill what it takes by themselves, however many share a commit.
            await until(lambda acks=acks: len(load.acks) > acks + CHECKPOINT_BYTES // PAYLOAD_BYTES, 60)
            # When there is nothing else to do, it moves what has gathered.
            load.pause()
            await until(lambda before=before: injection.hits > before)
        load.resume()
        await load.goes_on()
    await load.goes_on()


async def judged(load: FaultLoad) -> None:
    verdict = await load.verdict()
    assert verdict.ok, (verdict.totals, verdict.violations[:3], verdict.notes)
    assert load.codes <= {STORE_UNAVAILABLE}
    assert min(verdict.counts.acked, verdict.counts.required) > 100
    assert verdict.counts.failed
    assert await load.node.terminate() == 0
    assert check(load.node.data_dir) == []
    print(f"acked {verdict.counts.acked}, failed {verdict.counts.failed}, slowest answer {load.slowest_s:.2f} s")


@pytest.mark.timeout(60)
async def test_disk_that_fails_and_works_again(node: NodeProcess) -> None:
    async with FaultLoad(node, seed="everyday") as load:
        await load.goes_on()
        for fault in ("sync-eio", "write-enospc"):
            await hard_round(load, fault, 0.2)
        await load.kill_node()
        await load.goes_on()
        await judged(load)


@pytest.mark.ci
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["process", "thread"])
async def test_all_faults_under_load(tmp_path: Path, kind: str) -> None:
    print(f"GREENROOM_FAULT_SEED={SEED}")
    dice = random.Random(f"{SEED}/{kind}")
    # A shorter patience than the default, so that a hang of a second or two is one.
    node = NodeProcess(tmp_path, env={"GREENROOM_STORE_WRITER": kind, "GREENROOM_STORE_WRITE_TIMEOUT_S": "1"})
    await node.start()
    try:
        async with FaultLoad(node, seed=f"{SEED}/{kind}") as load:
            faults = [*HARD, dice.choice(HARD)] if kind == "process" else dice.sample(HARD, 3)
            dice.shuffle(faults)
            for fault in faults:
                await hard_round(load, fault, dice.uniform(0.1, 1.5))
                await load.kill_node()
                await load.goes_on()
            if kind == "process":
                async with faulty(node, dice.choice(("sync-eio", "write-eio"))):
                    await asyncio.sleep(dice.uniform(0.1, 0.5))
                    await load.kill_node()
                await load.goes_on()
            await judged(load)
    finally:
        node.close()


@pytest.mark.ci
@pytest.mark.timeout(60)
async def test_writer_that_acks_in_spite_of_a_failed_sync_is_caught(tmp_path: Path) -> None:
    """What these tests are worth: with this fault planted, the judge finds messages that were acked and are gone."""
    node = NodeProcess(
        tmp_path, env={"GREENROOM_STORE_WRITER": "thread"}, module="greenroom.tests.kit.lying_node"
    )
    await node.start()
    try:
        async with FaultLoad(node, seed="planted") as load:
            await load.goes_on()
            with pytest.raises(AssertionError, match="acked what cannot be stored"):
                await hard_round(load, "sync-eio", 0.3)
            await load.kill_node()
            await load.goes_on()
            assert "acked_not_stored" in (await load.verdict()).totals
    finally:
        node.close()


@pytest.mark.ci
@pytest.mark.timeout(150)
async def test_checkpoints_that_fail(node: NodeProcess) -> None:
    async with FaultLoad(node, seed=SEED, payload_bytes=PAYLOAD_BYTES, rate=1600) as load:
        await load.goes_on()
        for fault in CHECKPOINT:
            await checkpoint_round(load, fault)
            await load.kill_node()
            await load.goes_on()
        await hard_round(load, "sync-eio", 0.3)
        await judged(load)


@pytest.mark.ci
@pytest.mark.timeout(120)
async def test_slow_disk_and_one_that_hangs(node: NodeProcess) -> None:
    """With the default patience: each sender hears within it, though a sync takes seconds or does not return."""
    async with FaultLoad(node, seed=SEED) as load:
        await load.goes_on()
        async with injected(node.writer, SYNCS, "delay_enter=3000000", node.folder / "trace") as injection:
            await until(lambda: injection.hits >= 3, 30)
            load.check()
        await load.goes_on()
        await hard_round(load, "hang", 7.0)
        refused = len(load.refusals)
        await hard_round(load, "lock", 3.0)
        assert len(load.refusals) > refused
        await load.kill_node()
        await load.goes_on()
        await judged(load)


@pytest.mark.ci
@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["process", "thread"])
async def test_reads_that_fail(tmp_path: Path, kind: str) -> None:
    """Each is answered with an error; nobody is disconnected, nothing is quarantined, and the next reads work."""
    node = NodeProcess(tmp_path, env={"GREENROOM_STORE_WRITER": kind, "GREENROOM_MESSAGE_IDLE_TIMEOUT_S": "0.2"})
    await node.start()
    try:
        assert node.process is not None
        names = [f"u{number}" for number in range(12)]
        tokens = await node.tokens(*names)
        async with await Device.open(node, "u0", tokens["u0"]) as device:
            for name in names:
                for _ in range(20):
                    await device.sent(text_message("u0", name, content=b"x" * 4000))
            acked = dict.fromkeys(names, 20)
            for _ in range(2):
                await _fail_reads(node, device, names, acked)
            for name in names:
                chat = "si_" + "_".join(sorted(("u0", name)))
                assert [one.seq for one in await device.pull(chat, 1, 1000)] == list(range(1, acked[name] + 1))
        assert await node.terminate() == 0
    finally:
        node.close()
    assert check(node.data_dir) == []


async def _fail_reads(node: NodeProcess, device: Device, names: list[str], acked: dict[str, int]) -> None:
    assert node.process is not None
    pids = node.process, node.writer
    await asyncio.sleep(0.5)  # Until the conversations are asleep: they have to be loaded again.
    failed = 0
    async with injected(node.process.pid, "pread64", "error=EIO", node.folder / "trace"):
        for number, name in enumerate(names):
            span = sdkws_pb2.SeqRange(conversationID=f"si_u0_{name}", begin=1, end=20, num=20)
            pull = sdkws_pb2.PullMessageBySeqsReq(userID="u0", seqRanges=[span])
            answers = [
                await device.answer(RequestId.PULL_BY_RANGE, pull.SerializeToString()),
                await device.send(text_message("u0", name, clientMsgID=f"r{number}-{len(device.answers)}")),
            ]
            assert {answer.err_code for answer in answers} <= {0, STORE_UNAVAILABLE}
            acked[name] += answers[1].err_code == 0
            failed += sum(answer.err_code != 0 for answer in answers)
    assert failed, "the fault was not met"
    for name in names:
        await _sent_soon(device, name)
        acked[name] += 1
    assert (node.process, node.writer) == pids


async def _sent_soon(device: Device, name: str) -> None:
    """A conversation that could not be loaded tries again twice a second."""
    message = text_message("u0", name, clientMsgID=f"after-{len(device.answers)}")
    deadline = time.monotonic() + 5
    while (await device.send(message)).err_code:
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.1)
