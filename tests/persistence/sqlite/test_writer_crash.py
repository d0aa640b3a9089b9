"""What was acked survives SIGKILL, at any moment, of the node and of its writer."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.errors import StoreUnavailable
from greenroom.persistence.sqlite import writer_client
from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.sqlite.writer import Writer
from greenroom.persistence.store import BEGINNING, MessageEvent, Reason, Slice
from greenroom.tests.kit.stored import messages_of
from greenroom.tests.kit.wire_kit import until
from greenroom.tests.persistence.store_writes import commit, message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.store import Refusal

KILLS = int(os.environ.get("GREENROOM_CRASH_KILLS", "5"))
SEED = int(os.environ.get("GREENROOM_CRASH_SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.mark.timeout(60 + 3 * KILLS)
@pytest.mark.parametrize("kind", ["process", "thread"])
async def test_kill_the_node(tmp_path: Path, kind: str) -> None:
    print(f"GREENROOM_CRASH_SEED={SEED}")
    dice = random.Random(f"{SEED}/{kind}")
    path = tmp_path / "greenroom.db"
    acked: dict[str, int] = {}
    read: list[tuple[str, int]] = []
    for _ in range(KILLS):
        before = sum(acked.values())
        await _run_and_kill(path, kind, dice, acked, read)
        assert sum(acked.values()) > before
        store = SqliteStore(path, writer="inline")
        await store.open()
        for chat, seq in acked.items():
            stored = [m.seq for m in await messages_of(store, chat)]
            assert stored == list(range(1, len(stored) + 1))
            assert len(stored) >= seq
            # What the subscriber has read, and what its cursor gives now: in order, and with no gap.
            told = [number for name, number in [*read, *await _unread(store)] if name == chat]
            assert list(dict.fromkeys(told)) == stored
        await store.close()
        assert check(path) == []


async def _unread(store: SqliteStore) -> list[tuple[str, int]]:
    """Conversation and seq of each message that the subscriber has not passed."""
    cursor = (await store.subscribers()).get("s", BEGINNING)
    tail = await store.tail(cursor, 1 << 20)
    return [(one.conversation_id, one.seq) for one in tail.events if isinstance(one, MessageEvent)]


async def _run_and_kill(
    path: Path, kind: str, dice: random.Random, acked: dict[str, int], read: list[tuple[str, int]]
) -> None:
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
            *subscriber, chat, seq = line.decode().split()
            if subscriber:
                read.append((chat, int(seq)))
            else:
                acked[chat] = int(seq)


async def test_writer_that_dies_while_no_descriptor_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started once there is one. Meanwhile commits fail, and none waits for ever."""
    store = SqliteStore(tmp_path / "greenroom.db", writer="process")
    await store.open()
    assert await commit(store, "conversation/a_b", message("si_a_b", 1)) is None
    real, refused = socket.socketpair, 0

    def out_of_files() -> tuple[socket.socket, socket.socket]:
        nonlocal refused
        refused += 1
        if refused > 2:
            return real()
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socketpair", out_of_files)
    first = store.writer_pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: store.writer_pid not in (None, first))
    assert refused == 3
    assert await commit(store, "conversation/a_b", message("si_a_b", 2)) is None
    await store.close()


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
        stored = await messages_of(store, "si_a_c")
        if len(stored) < seq:
            assert await commit(store, "conversation/a_c", message("si_a_c", seq)) is None
    assert store.epoch == epoch
    assert [m.seq for m in await messages_of(store, "si_a_b")] == [1, 2, 3]
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


async def test_writer_that_cannot_be_kept_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each death is said; past a number of them the store is lost, and works again when it is opened anew."""
    monkeypatch.setattr(writer_client, "DEATHS_MAX", 3)
    store = SqliteStore(tmp_path / "greenroom.db", writer="process")
    await store.open()
    epoch = store.epoch
    assert await commit(store, "conversation/a_b", message("si_a_b", 1)) is None
    lost = asyncio.ensure_future(store.lost())
    async with asyncio.timeout(15):
        while not lost.done():
            with contextlib.suppress(ProcessLookupError):
                if store.writer_pid is not None:
                    os.kill(store.writer_pid, signal.SIGKILL)
            await asyncio.sleep(0.01)
    with pytest.raises(StoreUnavailable, match=r"the writer process ended with -9, and 3 before it"):
        await lost
    said = [record.getMessage() for record in caplog.records if record.name == "greenroom.persistence"]
    assert [text.rpartition("in ")[2] for text in said[:3]] == ["0.05 s", "0.1 s", "0.2 s"]
    refused = await commit(store, "conversation/a_b", message("si_a_b", 2))
    assert refused is not None
    await store.open()
    assert store.epoch > epoch
    assert await commit(store, "conversation/a_b", message("si_a_b", 2)) is None
    await store.close()


async def test_thread_that_falls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path / "greenroom.db", writer="thread")
    await store.open()
    real = Writer.commit
    going, fall = threading.Event(), threading.Event()

    def commit_and_fall(self: Writer, slices: Sequence[Slice]) -> list[Refusal | None]:
        going.set()
        fall.wait()
        raise MemoryError

    monkeypatch.setattr(Writer, "commit", commit_and_fall)
    first = asyncio.ensure_future(commit(store, "conversation/a_b", message("si_a_b", 1)))
    await asyncio.to_thread(going.wait)
    second = asyncio.ensure_future(commit(store, "conversation/a_b", message("si_a_b", 2)))
    await asyncio.sleep(0)
    fall.set()
    monkeypatch.setattr(Writer, "commit", real)
    with pytest.raises(StoreUnavailable, match="MemoryError"):
        await store.lost()
    for outcome in (await first, await second, await commit(store, "conversation/a_b", message("si_a_b", 1))):
        assert outcome is not None
        assert outcome.reason == Reason.FAILED
    await store.open()
    assert await commit(store, "conversation/a_b", message("si_a_b", 1)) is None
    await store.close()
