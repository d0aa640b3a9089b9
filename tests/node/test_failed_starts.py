"""A start that fails for a reason that the operator can mend says it on one line. Nothing is tried again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.disk_faults import injecting
from greenroom.tests.kit.node_kit import NodeProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.ci

PAGE_BYTES = 4096


def cut(database: Path) -> None:
    os.truncate(database, database.stat().st_size - PAGE_BYTES)


def overwrite(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(PAGE_BYTES // 2)
        file.write(bytes(PAGE_BYTES))


def replace(database: Path) -> None:
    database.write_bytes(b"no database at all\n" * 1000)


async def refused(node: NodeProcess, *words: str) -> None:
    try:
        with pytest.raises(RuntimeError, match="did not start"):
            await node.start()
    finally:
        node.close()
    assert node.process is not None
    assert node.process.returncode in (1, 2)
    (line,) = [line for line in node.log.splitlines() if not line.startswith("{")]
    assert line.startswith("greenroom: ")
    assert all(word in line for word in words), line
    levels = {json.loads(line)["level"] for line in node.log.splitlines() if line.startswith("{")}
    assert levels <= {"info", "warning"}, node.log
    (node.folder / "node.log").unlink()


async def test_damaged_store(node: NodeProcess) -> None:
    await node.tokens("alice")
    assert await node.terminate() == 0
    (node.folder / "node.log").unlink()
    database = node.data_dir / "greenroom.db"
    sound = database.read_bytes()
    ways: dict[str, Callable[[Path], None]] = {
        "is cut": cut, "a page is damaged": overwrite, f"{database}": replace,
        "is missing or empty": lambda path: path.unlink(),
    }  # fmt: skip
    for word, damage in ways.items():
        damage(database)
        await refused(node, "did not start", f"{database}", word, "greenroom check")
        database.write_bytes(sound)
    await node.start()
    await node.tokens("bob")
    assert await node.terminate() == 0


@pytest.mark.parametrize("name", ["greenroom.db", "greenroom.db-mark", "greenroom.db-wal", "lock", "secret"])
async def test_folder_in_the_place_of_a_file(tmp_path: Path, name: str) -> None:
    node = NodeProcess(tmp_path, env={"GREENROOM_SECRET": ""})
    place = node.data_dir / name
    place.mkdir(parents=True)
    await refused(node, str(place).removesuffix("-wal"))  # SQLite does not say which of its files it cannot open.
    assert place.is_dir()


async def test_file_in_the_place_of_the_data_directory(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path)
    node.data_dir.write_text("not a folder")
    await refused(node, f"{node.data_dir} is not a folder", "node.data_dir")
    assert node.data_dir.read_text() == "not a folder"


DENIED = {
    "database that may not be read": ("greenroom.db", "EACCES", "Permission denied"),
    "mark that may not be read": ("greenroom.db-mark", "EACCES", "Permission denied"),
    "data directory that is read-only": ("lock", "EROFS", "Read-only file system"),
}


async def test_files_that_cannot_be_opened(node: NodeProcess) -> None:
    assert await node.terminate() == 0
    for name, error, words in DENIED.values():
        (node.folder / "node.log").unlink()
        (node.data_dir / name).touch()
        node.prefix = injecting(node.data_dir / name, "openat", f"error={error}")
        await refused(node, f"{node.data_dir / name}: {words}")
        (node.folder / "node.log").touch()
    node.prefix = ()
    await node.start()
    await node.tokens("alice")


async def test_data_directory_of_another_user(tmp_path: Path) -> None:
    """Its lock may be written, but not made private."""
    node = NodeProcess(tmp_path)
    node.data_dir.mkdir()
    (node.data_dir / "lock").touch(0o666)
    node.prefix = injecting(node.data_dir / "lock", "fchmod", "error=EPERM")
    await refused(node, f"{node.data_dir / 'lock'}: Operation not permitted")


FULL = {
    "full": ("addresses.new", "write", "error=ENOSPC", "No space left on device"),
    "folder in its place": ("addresses.new", "openat", "error=EISDIR", "is not a file"),
}


@pytest.mark.parametrize("fault", FULL)
async def test_addresses_that_cannot_be_written_are_a_warning(tmp_path: Path, fault: str) -> None:
    """The node serves; only commands without ports do not find it."""
    name, calls, action, words = FULL[fault]
    node = NodeProcess(tmp_path)
    node.prefix = injecting(node.data_dir / name, calls, action)
    try:
        await node.start()
        await node.tokens("alice")
        lines = [json.loads(line) for line in node.log.splitlines() if line.startswith("{")]
        (warning,) = [line["event"] for line in lines if line["level"] not in ("info", "debug")]
        assert warning.startswith("the addresses cannot be written to the data directory: ")
        assert words in warning
        assert not (node.data_dir / "addresses").exists()
        assert not (node.data_dir / "addresses.new").exists()
        assert await node.terminate() == 0
    finally:
        node.close()


async def test_ports(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path)
    ws_port, api_port = node.ws_port, node.api_port
    node.ws_port = api_port
    await refused(node, "ws_port and api_port are both", f"{api_port}")
    node.ws_port = ws_port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for name in ("ws_port", "api_port"):
            node.ws_port, node.api_port = ws_port, api_port
            setattr(node, name, taken.getsockname()[1])
            await refused(node, f"node.{name}", "127.0.0.1", f"{taken.getsockname()[1]}", "in use")
    node.ws_port, node.api_port = ws_port, api_port
    node.env = {"GREENROOM_NODE_HOST": "192.0.2.1"}
    await refused(node, "node.host", "192.0.2.1", "Cannot assign")
    node.env = {"GREENROOM_NODE_HOST": "no.such.host.invalid"}
    await refused(node, "node.host: cannot listen on no.such.host.invalid")


async def test_log_file_that_cannot_be_opened(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path, env={"GREENROOM_NODE_LOG_FILE": "/nosuch/dir/x.log"})
    await refused(node, "greenroom: node.log_file: /nosuch/dir/x.log: No such file or directory")


async def test_unknown_variables(tmp_path: Path) -> None:
    """They are warned of, by name alone."""
    env = {"GREENROOM_WEBSOKET_MAX_CONNECTIONS": "the value", "GREENROOM_NODE_LOG_FORMAT": "console"}
    node = NodeProcess(tmp_path, env=env)
    await node.start()
    assert await node.terminate() == 0
    (line,) = [line for line in node.log.splitlines() if "GREENROOM_" in line]
    assert "GREENROOM_WEBSOKET_MAX_CONNECTIONS (did you mean GREENROOM_WEBSOCKET_MAX_CONNECTIONS?)" in line
    assert "the value" not in node.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_a_start_that_waits(node: NodeProcess, number: signal.Signals) -> None:
    """The start waits for a database that somebody else has locked."""
    assert await node.terminate() == 0
    (node.folder / "node.log").unlink()
    with contextlib.closing(sqlite3.connect(node.data_dir / "greenroom.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        node.waits_for_ports = False
        await node.start()
        assert node.process is not None
        while '"event": "start"' not in node.log:  # noqa: ASYNC110 (another process tells no event)
            await asyncio.sleep(0.02)
        node.process.send_signal(number)
        assert await asyncio.to_thread(node.process.wait, 30) == 0
    events = [json.loads(line)["event"] for line in node.log.splitlines()]
    assert events == ["start", "stopped"]
