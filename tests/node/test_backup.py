"""`greenroom backup` of a node that runs, and `greenroom restore`, as an operator types them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from greenroom.persistence.sqlite import statements
from greenroom.persistence.sqlite.backup import back_up
from greenroom.persistence.sqlite.check import check
from greenroom.tests.kit.node_kit import NodeProcess
from greenroom.tests.kit.wire_kit import Device, text_message

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def _greenroom(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "greenroom", *map(str, arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_backup_of_a_node_that_runs(node: NodeProcess, tmp_path: Path) -> None:
    tokens = await node.tokens("alice", "bob")
    copy = tmp_path / "copy"
    acked = 0
    async with await Device.open(node, "alice", tokens["alice"]) as alice:

        async def send() -> None:
            nonlocal acked
            await alice.sent(text_message("alice", "bob", clientMsgID=f"m{acked + 1}"))
            acked += 1

        async def talk() -> None:
            while not copied.done():
                await send()

        for _ in range(50):
            await send()
        copied = asyncio.create_task(_greenroom("backup", copy, "--data-dir", node.data_dir))
        await talk()
        code, out, err = await copied
        assert (code, out.startswith(f"{copy}: ")) == (0, True), err
        assert "100 % of" in err
        assert "checking the copy" in err
        assert (await alice.newest())["si_alice_bob"] == acked
    assert check(copy) == []
    code, _, err = await _greenroom("restore", copy, "--data-dir", node.data_dir)
    assert (code, "is in use by process" in err) == (1, True)

    (tmp_path / "second").mkdir()
    second = NodeProcess(tmp_path / "second")
    code, out, err = await _greenroom("restore", copy, "--data-dir", second.data_dir)
    assert (code, out.startswith(f"{second.data_dir}: ")) == (0, True), err
    await second.start()
    try:
        async with await Device.open(second, "alice", tokens["alice"]) as alice:
            newest = (await alice.newest())["si_alice_bob"]
            assert 50 <= newest <= acked
            pulled = [one.clientMsgID for one in await alice.pull("si_alice_bob", 1, newest)]
            assert pulled == [f"m{number}" for number in range(1, newest + 1)]
            await alice.sent(text_message("alice", "bob", clientMsgID="after"))
    finally:
        second.close()
    code, _, err = await _greenroom("backup", copy, "--data-dir", node.data_dir)
    assert (code, "is not empty" in err) == (1, True)


async def test_node_that_is_killed_while_its_copy_is_made(
    node: NodeProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "COPIED_PAGES", 1)
    await node.tokens("alice", "bob")

    def kill(what: str, done: int, total: int) -> None:
        assert node.process is not None
        if node.process.poll() is None:
            node.kill()

    made = back_up(node.data_dir, tmp_path / "copy", tell=kill)
    assert made.commits > 0
    assert check(tmp_path / "copy") == []
    await node.start()
    await node.tokens("carol")
