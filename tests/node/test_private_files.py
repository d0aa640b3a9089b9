"""The data directory belongs to the node's user alone, whatever the umask, and whatever was there before."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.node_kit import SECRET, NodeProcess
from greenroom.tests.kit.wire_kit import Device, text_message

if TYPE_CHECKING:
    from pathlib import Path

GENERATED = {"GREENROOM_SECRET": ""}
OPEN = {"GREENROOM_NODE_HOST": "0.0.0.0"}
FILES = {"greenroom.db", "greenroom.db-wal", "greenroom.db-shm", "greenroom.db-mark", "lock", "secret"}


def modes(folder: Path) -> dict[str, int]:
    """Without the file of the addresses, which appears a moment after the ports answer."""
    found = {path.name: path.lstat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
    assert found.pop("addresses", 0o600) == found.pop("addresses.new", 0o600) == 0o600
    return found


def node_with_umask(folder: Path, umask: str, env: dict[str, str]) -> NodeProcess:
    return NodeProcess(folder, prefix=("sh", "-c", f'umask {umask}; exec "$@"', "sh"), env=env)


async def write_something(node: NodeProcess) -> None:
    token = (await node.tokens("alice", "bob"))["alice"]
    async with await Device.open(node, "alice", token) as alice:
        await alice.sent(text_message("alice", "bob"))


@pytest.mark.parametrize("umask", ["000", "777"])
async def test_umask(tmp_path: Path, umask: str) -> None:
    node = node_with_umask(tmp_path, umask, {})
    for _ in range(2):
        await node.start()
        try:
            await write_something(node)
            expected = dict.fromkeys(FILES - {"secret"}, 0o600) | {"data": 0o700}
            assert modes(node.data_dir) == expected
        finally:
            assert await node.terminate() == 0
    assert "private" not in node.log


async def test_directory_that_was_open(tmp_path: Path) -> None:
    """It is said once what had to be changed. Files of the user's own are left alone, and so are links."""
    node = NodeProcess(tmp_path, env=GENERATED)
    await node.start()
    assert await node.terminate() == 0
    for path in node.data_dir.iterdir():
        path.chmod(0o664)
    node.data_dir.chmod(0o777)
    mine = node.data_dir / "notes"
    mine.write_text("mine")
    mine.chmod(0o644)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    elsewhere.chmod(0o644)
    (node.data_dir / "greenroom.db.old").symlink_to(elsewhere)
    for _ in range(2):
        await node.start()
        try:
            changed = {name: mode for name, mode in modes(node.data_dir).items() if name in FILES | {"data"}}
            assert changed == dict.fromkeys(FILES, 0o600) | {"data": 0o700}
        finally:
            assert await node.terminate() == 0
    assert mine.stat().st_mode & 0o777 == elsewhere.stat().st_mode & 0o777 == 0o644
    told = [line for line in node.log.splitlines() if "is private to its user now" in line]
    assert len(told) == 2  # One for the directory, one for the secret.
    assert "data (0777)" in told[0]
    assert "greenroom.db (0664)" in told[0]


async def refused(node: NodeProcess, word: str) -> None:
    """It does not start, and says why on one line."""
    try:
        with pytest.raises(RuntimeError, match="did not start"):
            await node.start()
    finally:
        node.close()
    assert word in node.log
    assert len([line for line in node.log.splitlines() if not line.startswith("{")]) == 1
    (node.folder / "node.log").unlink()


async def test_lock_that_is_a_link(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("of another program")
    node = NodeProcess(tmp_path)
    node.data_dir.mkdir()
    for target in (theirs, tmp_path / "missing"):
        (node.data_dir / "lock").symlink_to(target)
        await refused(node, "is a link")
        (node.data_dir / "lock").unlink()
    assert not (tmp_path / "missing").exists()
    os.link(theirs, node.data_dir / "lock")
    await node.start()
    assert await node.terminate() == 0
    assert theirs.read_text() == "of another program"


@pytest.mark.ci
async def test_secret_that_others_can_read(tmp_path: Path) -> None:
    """As a weak one: it is refused on a host that others can reach."""
    node = NodeProcess(tmp_path, env=GENERATED | OPEN)
    node.data_dir.mkdir(mode=0o700)
    kept = node.data_dir / "secret"
    kept.write_text(f"{SECRET}\n")
    kept.chmod(0o644)
    for _ in range(2):
        await refused(node, "other users of this machine can read")
    kept.chmod(0o600)
    await node.start()
    assert await node.terminate() == 0
    (tmp_path / "node.log").unlink()
    kept.write_text("openIM123\n")
    await refused(node, "is well known")
    node.env = GENERATED
    kept.write_text("")
    await refused(node, "is empty")
