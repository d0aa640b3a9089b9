"""The data directory, or a file in it, is moved or removed under a running node: it acks nothing that would be lost."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.sqlite.check import check
from greenroom.tests.kit.wire_kit import Device, text_message, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.actors.wire import sdkws_pb2
    from greenroom.tests.kit.node_kit import NodeProcess


def _whole(data: Path) -> Path:
    return data


def _database(data: Path) -> Path:
    return data / "greenroom.db"


def _log(data: Path) -> Path:
    return data / "greenroom.db-wal"


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def _message(number: int) -> sdkws_pb2.MsgData:
    return text_message("alice", "bob", clientMsgID=f"m{number}")


@pytest.mark.parametrize("part", [_whole, _database, _log])
async def test_moved_away_and_back(node: NodeProcess, part: Callable[[Path], Path]) -> None:
    tokens = await node.tokens("alice", "bob")
    moved, aside = part(node.data_dir), node.folder / "aside"
    async with await Device.open(node, "alice", tokens["alice"]) as alice:
        await alice.sent(_message(1))
        moved.rename(aside)
        for number in (2, 3):
            assert (await alice.send(_message(number))).err_code != 0
        assert f"{_database(node.data_dir)}" in node.log
        assert "was removed or moved" in node.log
        aside.rename(moved)
        for number in (2, 3, 4):
            while (await alice.send(_message(number))).err_code:
                pass
        assert [one.clientMsgID for one in await alice.pull("si_alice_bob", 1, 9)] == ["m1", "m2", "m3", "m4"]
    await node.terminate()
    assert check(node.data_dir) == []


@pytest.mark.parametrize("part", [_whole, _database, _log])
async def test_removed(node: NodeProcess, part: Callable[[Path], Path]) -> None:
    tokens = await node.tokens("alice", "bob")
    removed = part(node.data_dir)
    async with await Device.open(node, "alice", tokens["alice"]) as alice:
        await alice.sent(_message(1))
        if removed.is_dir():
            shutil.rmtree(removed)
        else:
            removed.unlink()
        for number in (2, 3, 4):
            assert (await alice.send(_message(number))).err_code != 0
        assert "was removed or moved" in node.log


async def test_writer_that_ends_makes_no_new_database(node: NodeProcess) -> None:
    tokens = await node.tokens("alice", "bob")
    async with await Device.open(node, "alice", tokens["alice"]) as alice:
        await alice.sent(_message(1))
        node.data_dir.rename(node.folder / "aside")
        node.data_dir.mkdir()
        assert node.process is not None
        for writer in _children(node.process.pid):
            os.kill(writer, signal.SIGKILL)
        await until(lambda: "did not start" in node.log)
        assert (await alice.send(_message(2))).err_code != 0
        assert list(node.data_dir.iterdir()) == []
