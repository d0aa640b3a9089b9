"""More than the node can carry: memory stays within a bound, every send is answered, what was acked is kept.

How fast the answers come is the benchmark's to say (`tests/bench/overload.py`); here it is only printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.sqlite import statements
from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.schema import client_key
from greenroom.tests.bench.excess import TYPING, Crowd, Told, part_of
from greenroom.tests.bench.lean_client import PLATFORM, LeanClient, connect
from greenroom.tests.bench.measure import rss_bytes
from greenroom.tests.kit.node_kit import SECRET, NodeProcess
from greenroom.tests.kit.wire_kit import Device, text_message
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MIB = 2**20
BUSY = 500
GROWTH_LIMIT = 128 * MIB
"""Of the node while it is offered twice what it can: measured are 10 to 40 MiB, and 165 without an admission."""
LEFT_LIMIT = 96 * MIB


@contextlib.asynccontextmanager
async def running(folder: Path, **env: str) -> AsyncIterator[NodeProcess]:
    async with NodeProcess(folder, env=env) as node:
        yield node


async def tokens(node: NodeProcess, *user_ids: str) -> list[tuple[str, str]]:
    return list((await node.tokens(*user_ids, platform_id=PLATFORM)).items())


def _judge(node: NodeProcess, acked: list[str]) -> None:
    """After the node's end: what was acked is stored, each once, and no seq is missing."""
    database = node.data_dir / "greenroom.db"
    assert check(database) == []
    with contextlib.closing(statements.connect(database)) as connection:
        stored = [row[0] for row in connection.execute("SELECT client FROM message WHERE client IS NOT NULL")]
        gaps = connection.execute(
            "SELECT conversation FROM message GROUP BY conversation HAVING max(seq) <> count(*) OR min(seq) <> 1"
        ).fetchall()
    assert len(set(acked)) == len(acked) > 0
    missing = {client_key(each) for each in acked} - set(stored)
    assert not missing, f"{len(missing)} of {len(acked)} acked messages are not in the store"
    assert len(set(stored)) == len(stored)
    assert gaps == []


def _say(told: Told, rate: float) -> None:
    print(
        f"offered {told.planned}, acked {len(told.acked)}, refused {told.refused}; "
        f"closed loop {rate:,.0f}/s; ack p50 {part_of(told.written_ms, 0.5):.0f} ms, "
        f"p99 {part_of(told.written_ms, 0.99):.0f} ms; memory {[each // MIB for each in told.memory]} MiB"
    )


async def test_crowd_at_a_narrow_node(tmp_path: Path) -> None:
    """Few sends at a time, and little patience: much has to be refused, on any machine."""
    env = {
        "GREENROOM_OVERLOAD_REQUESTS_FLOOR": "1", "GREENROOM_OVERLOAD_ANSWER_WITHIN_S": "0.001",
        "GREENROOM_OVERLOAD_PATIENCE_S": "0.002",
    }  # fmt: skip
    async with running(tmp_path, **env) as node:
        users = await tokens(node, *(f"u{number:02}" for number in range(100)))
        crowd = Crowd(node.ws_port, users, window=16)
        await crowd.open()
        assert node.process is not None
        told = await crowd.open_loop(40_000, 1.0, pid=node.process.pid)
        assert crowd.lost == told.unanswered == 0
        assert told.refused.keys() == {BUSY}
        written = told.planned - told.never_written
        assert len(told.acked) + told.refused[BUSY] == written
        # Who is calm again is let in again.
        async with await Device.open(node, "u00", dict(users)["u00"], platform_id=PLATFORM) as device:
            response = await device.send(text_message("u00", "u01"))
        assert response.err_code == 0
        crowd.close()
        assert await node.terminate() == 0
        _judge(node, told.acked)


async def test_http_connections_and_heads_have_bounds(tmp_path: Path) -> None:
    async with running(tmp_path, GREENROOM_HTTP_MAX_CONNECTIONS="3") as node:
        opened = [await asyncio.open_connection("127.0.0.1", node.api_port) for _ in range(4)]
        readers = [reader for reader, _ in opened]
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert await readers[0].read() == b""  # It was silent longest.
        endless, healthy = opened[1][1], opened[3][1]
        with contextlib.suppress(ConnectionError):
            endless.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
            for _ in range(200):
                endless.write(b"x" * 1000)
                await endless.drain()
            async with asyncio.timeout(10):
                assert (await readers[1].read()).startswith(b"HTTP/1.1 431")
        healthy.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await readers[3].readline()).startswith(b"HTTP/1.1 200")
        for _, writer in opened:
            writer.close()


@pytest.mark.ci
@pytest.mark.timeout(120)
async def test_twice_what_the_node_can_carry(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        assert node.process is not None
        pid = node.process.pid
        users = await tokens(node, *(f"u{number:03}" for number in range(400)))
        typists = await tokens(node, *(f"t{number:02}" for number in range(20)))
        crowd = Crowd(node.ws_port, users, window=16)
        typing = Crowd(node.ws_port, typists, window=16, content_type=TYPING)
        await asyncio.gather(crowd.open(), typing.open())
        calm_signs = await typing.open_loop(100, 1.0, pid=pid)
        shown = typing.pushes
        assert shown == len(calm_signs.acked) == calm_signs.planned
        rate = await crowd.closed_loop(3.0, pid=pid)
        kept = [*crowd.told.acked]
        before, shown, pushed = rss_bytes(pid), typing.pushes, crowd.pushes
        told, signs = await asyncio.gather(
            crowd.open_loop(2 * rate, 20.0, pid=pid), typing.open_loop(100, 20.0, pid=pid)
        )
        _say(told, rate)
        assert crowd.lost == typing.lost == told.unanswered == signs.unanswered == 0
        assert told.refused.keys() | signs.refused.keys() <= {BUSY}
        assert len(told.acked) + sum(told.refused.values()) == told.planned - told.never_written
        assert max(told.memory) - told.memory[0] < GROWTH_LIMIT
        # Messages went on, and each that was acked was delivered; typing was acked and left out.
        await _until(lambda: crowd.pushes - pushed >= len(told.acked))
        assert typing.pushes - shown < len(signs.acked)
        await asyncio.sleep(2)
        assert rss_bytes(pid) - before < LEFT_LIMIT
        shown = typing.pushes
        calm_signs = await typing.open_loop(100, 1.0, pid=pid)
        assert typing.pushes - shown == len(calm_signs.acked) > 0
        crowd.close()
        typing.close()
        assert await node.terminate() == 0
        _judge(node, kept + told.acked)


@pytest.mark.ci
@pytest.mark.timeout(90)
async def test_fifty_readers_that_stop_reading(tmp_path: Path) -> None:
    """12 MiB for each of them: they are ended at 4 MiB, and the others get all."""
    stuck_count, messages, size = 50, 300, 30_000
    async with running(tmp_path) as node:
        assert node.process is not None
        pid = node.process.pid
        names = ["sender", "reader", *(f"stuck{number:02}" for number in range(stuck_count))]
        users = dict(await tokens(node, *names))
        async with Api(node.api_url) as api:
            admin = await api.admin_token(SECRET)
            group = await api.create_group("sender", names[1:], name="busy", token=admin)
        stuck: list[LeanClient] = []
        for name in names[2:]:
            client = await connect(node.ws_port, name, users[name])
            client.transport.pause_reading()
            stuck.append(client)
        async with (
            await Device.open(node, "sender", users["sender"], platform_id=PLATFORM) as sender,
            await Device.open(node, "reader", users["reader"], platform_id=PLATFORM) as reader,
        ):
            before = rss_bytes(pid)
            for number in range(messages):
                message = text_message("sender", "", content=b'{"content":"%b"}' % os.urandom(size // 2).hex().encode())
                message.groupID, message.sessionType, message.clientMsgID = group, 3, f"large-{number:03}"
                await sender.sent(message)
            conversation = f"sg_{group}"
            await reader.wait_for(conversation, messages)
            seqs = [seq for seq in reader.seqs(conversation) if seq]
            assert seqs == sorted(seqs)
            assert seqs[-1] - seqs[0] == len(seqs) - 1
        grown = _peak_bytes(pid) - before
        print(f"{stuck_count} stuck readers: {grown / MIB:.0f} MiB at the peak")
        assert grown < stuck_count * 4 * MIB + 64 * MIB
        for client in stuck:
            client.transport.resume_reading()
        await _until(lambda: all(client.failed for client in stuck))
        assert max(client.pushes for client in stuck) < messages
        assert await node.terminate() == 0


def _peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


async def _until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
