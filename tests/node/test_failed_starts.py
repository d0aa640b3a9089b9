"""A start that fails for a reason that the operator can mend says it on one line. Nothing is tried again."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.node_kit import NodeProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
    (line,) = [line for line in node.log.splitlines() if not line.startswith("{")]
    assert line.startswith("greenroom: ")
    assert all(word in line for word in words), line
    (node.folder / "node.log").unlink()


@pytest.mark.ci
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
    await refused(node, "node.ws_port", "192.0.2.1", "Cannot assign")


async def test_unknown_variables(tmp_path: Path) -> None:
    """They are warned of, by name alone."""
    env = {"GREENROOM_WEBSOKET_MAX_CONNECTIONS": "the value", "GREENROOM_NODE_LOG_FORMAT": "console"}
    node = NodeProcess(tmp_path, env=env)
    await node.start()
    assert await node.terminate() == 0
    (line,) = [line for line in node.log.splitlines() if "GREENROOM_" in line]
    assert "GREENROOM_WEBSOKET_MAX_CONNECTIONS (did you mean GREENROOM_WEBSOCKET_MAX_CONNECTIONS?)" in line
    assert "the value" not in node.log
