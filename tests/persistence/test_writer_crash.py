"""What was acked survives SIGKILL, at any moment, of the node and of its writer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from greenroom.persistence.check import check
from greenroom.persistence.store import Reason, Slice
from greenroom.persistence.store_sqlite import SqliteStore
from greenroom.tests.persistence.store_writes import commit, message

KILLS = int(os.environ.get("GREENROOM_CRASH_KILLS", "5"))
SEED = int(os.environ.get("GREENROOM_CRASH_SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.mark.timeout(60 + 3 * KILLS)
@pytest.mark.parametrize("kind", ["process", "thread"])
async def test_kill_the_node(tmp_path: Path, kind: str) -> None:
    print(f"GREENROOM_CRASH_SEED={SEED}")
    dice = random.Random(f"{SEED}/{kind}")
    path = tmp_path / "greenroom.db"
    acked: dict[str, int] = {}
    for _ in range(KILLS):
        before = sum(acked.values())
        await _run_and_kill(path, kind, dice, acked)
        assert sum(acked.values()) > before
        store = SqliteStore(path, writer="inline")
        await store.open()
        for chat, seq in acked.items():
            stored = [m.seq for m in await store.messages(chat, 0, 1 << 60)]
            assert stored == list(range(1, len(stored) + 1))
            assert len(stored) >= seq
        await store.close()
        assert check(path) == []


async def _run_and_kill(path: Path, kind: str, dice: random.Random, acked: dict[str, int]) -> None:
    script = Path(__file__).with_name("crash_node.py")
    node = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(path), kind, stdout=asyncio.subprocess.PIPE
    )
    assert node.stdout is not None
    writer = int((await node.stdout.readline()).split()[1])
    heard = await node.stdout.readline()
    deadline = asyncio.get_running_loop().time() + dice.uniform(0.0, 0.4)
    lines = [heard]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            while line := await node.stdout.readline():
                lines.append(line)
    victims = [node.pid] + ([writer] if writer and dice.random() < 0.5 else [])
    dice.shuffle(victims)
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    # What it had said before it died counts too.
    lines += (await node.stdout.read()).splitlines(keepends=True)
    await node.wait()
    for line in lines:
        if line.endswith(b"\n"):
            chat, seq = line.decode().split()
            acked[chat] = int(seq)


async def test_kill_the_writer(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "greenroom.db", writer="process")
    await store.open()
    epoch = store.epoch
    for seq in (1, 2, 3):
        assert await commit(store, "conversation/a_b", message("si_a_b", seq)) is None
        first = store.writer_pid
        assert first is not None
        under_way = asyncio.ensure_future(
            store.commit([Slice("conversation/a_c", epoch, [message("si_a_c", seq)])])
        )
        os.kill(first, signal.SIGKILL)
        (outcome,) = await under_way
        assert outcome is None or outcome.reason == Reason.FAILED
        async with asyncio.timeout(10):
            while (pid := store.writer_pid) is None or pid == first:
                refused = await commit(store, "conversation/a_b", message("si_a_b", seq + 1))
                assert refused is not None
                assert refused.reason == Reason.FAILED
                await asyncio.sleep(0.02)
        stored = await store.messages("si_a_c", 1, 99)
        if len(stored) < seq:
            assert await commit(store, "conversation/a_c", message("si_a_c", seq)) is None
    assert store.epoch == epoch
    assert [m.seq for m in await store.messages("si_a_b", 1, 99)] == [1, 2, 3]
    await store.close()


async def test_writer_outlives_the_signals_of_its_group(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "greenroom.db", writer="process")
    await store.open()
    pid = store.writer_pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert await commit(store, "conversation/a_b", message("si_a_b", 1)) is None
    assert store.writer_pid == pid
    await store.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_close_while_the_writer_restarts(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "greenroom.db", writer="process")
    await store.open()
    assert store.writer_pid is not None
    os.kill(store.writer_pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        while store.writer_pid is not None:  # noqa: ASYNC110 the store has no event for it
            await asyncio.sleep(0)
    await store.close()
    refused = await commit(store, "conversation/a_b", message("si_a_b", 1))
    assert refused is not None
