"""A page of the store is damaged: who asks for it is told, the log and the check name it, and all others are served."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.persistence.sqlite.statements import connect
from greenroom.tests.kit.node_kit import SECRET
from greenroom.tests.kit.wire_kit import Device, text_message
from greenroom.transport.client.api import Api
from greenroom.transport.client.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.tests.kit.node_kit import NodeProcess
    from greenroom.transport.envelope.codec import Response

STORE_UNAVAILABLE = 90002
PAGE_BYTES = 4096
DAMAGED, SOUND = "si_alice_bob", "si_alice_carol"


def flip(database: Path, table: str, kind: str) -> None:
    """One bit in one page of a table."""
    connection = connect(database, read_only=True)
    asked = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = ?"
    (page,) = connection.execute(asked, (table, kind)).fetchone()
    connection.close()
    with database.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES + 1_000)
        (byte,) = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 4]))


def greenroom(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "greenroom", *arguments]
    env = {**os.environ, "GREENROOM_SECRET": SECRET}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=50, check=False)


async def pull(device: Device, conversation_id: str, begin: int, end: int) -> Response:
    span = sdkws_pb2.SeqRange(conversationID=conversation_id, begin=begin, end=end, num=100)
    request = sdkws_pb2.PullMessageBySeqsReq(userID=device.user_id, seqRanges=[span])
    return await device.answer(RequestId.PULL_BY_RANGE, request.SerializeToString())


async def test_damaged_message(node: NodeProcess) -> None:
    tokens = await node.tokens("alice", "bob", "carol")
    async with await Device.open(node, "alice", tokens["alice"]) as alice:
        for receiver in ("bob", "carol"):
            for words in (1, 2_000 if receiver == "bob" else 1, 1):
                content = b'{"content":"%b"}' % (b"hello " * words)
                await alice.sent(text_message("alice", receiver, content=content))
    assert await node.terminate() == 0
    # Only the long one has pages of its own.
    flip(node.data_dir / "greenroom.db", "message", "overflow")
    await node.start()
    async with (
        await Device.open(node, "alice", tokens["alice"]) as alice,
        await Device.open(node, "bob", tokens["bob"]) as bob,
        await Device.open(node, "carol", tokens["carol"]) as carol,
    ):
        for _ in range(2):
            answer = await pull(bob, DAMAGED, 1, 3)
            assert (answer.err_code, answer.data) == (STORE_UNAVAILABLE, None)
        async with Api(node.api_url) as api:
            span = {"conversationID": DAMAGED, "begin": 2, "end": 2, "num": 1}
            with pytest.raises(Refused) as refused:
                await api.call("/msg/pull_msg_by_seq", {"userID": "bob", "seqRanges": [span]}, tokens["bob"])
        assert refused.value.code == STORE_UNAVAILABLE
        assert refused.value.detail == "the requested data is damaged in the store"
        assert [one.seq for seq in (1, 3) for one in await bob.pull(DAMAGED, seq, seq)] == [1, 3]
        assert [one.seq for one in await carol.pull(SOUND, 1, 3)] == [1, 2, 3]
        for device, conversation_id in ((bob, DAMAGED), (carol, SOUND)):
            await alice.sent(text_message("alice", device.user_id))
            await device.wait_for(conversation_id, 4)
    named = [line for line in node.log.splitlines() if "the store is damaged" in line]
    assert len(named) == 1
    assert f"conversations {DAMAGED}: a page is damaged" in named[0]
    shown = await asyncio.to_thread(greenroom, "status", "--api-port", f"{node.api_port}")
    assert shown.returncode == 1
    assert "the store is damaged" in shown.stdout
    assert "3 reads met damage" in shown.stdout
    assert await node.terminate() == 0
    found = await asyncio.to_thread(greenroom, "check", "--data-dir", str(node.data_dir))
    assert found.returncode == 1
    assert f"conversation {DAMAGED}: 1 messages cannot be read, the first is 2" in found.stdout
    assert "table message" in found.stdout
    assert SOUND not in found.stdout


async def test_cut_database(node: NodeProcess) -> None:
    """It is refused: the process ends, and its log says once what is wrong."""
    await node.tokens("alice")
    assert await node.terminate() == 0
    database = node.data_dir / "greenroom.db"
    os.truncate(database, database.stat().st_size - PAGE_BYTES)
    with pytest.raises(RuntimeError, match="did not start"):
        await node.start()
    assert node.log.count(f"{database} is cut") == 1
    found = await asyncio.to_thread(greenroom, "check", "--data-dir", str(node.data_dir))
    assert found.returncode == 1
    assert "is cut" in found.stdout


@pytest.mark.parametrize("table", ["user", "token"])
async def test_start_ends_if_the_users_cannot_be_read(node: NodeProcess, table: str) -> None:
    await node.tokens("alice")
    assert await node.terminate() == 0
    flip(node.data_dir / "greenroom.db", table, "leaf")
    with pytest.raises(RuntimeError, match="did not start"):
        await node.start()
    assert node.process is not None
    assert node.process.returncode == 1
    assert f"{node.data_dir}/greenroom.db: imAdmin cannot be registered (`greenroom check` lists damage)" in node.log
