"""The programs of the README, as they stand there, beside a node of `make run`: one folder and one pair of ports are
taken."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import greenroom
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from greenroom.tests.kit.node_kit import NodeProcess

README = (Path(greenroom.__file__).parent / "README.md").read_text()
PROGRAMS = {
    name: next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if f"{name}(" in block)
    for name in ("Client", "Engine", "Node")
}


@pytest.fixture
def node(node_of_the_page: NodeProcess) -> NodeProcess:
    return node_of_the_page


async def _start(program: str, folder: Path) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", program, cwd=folder, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def _line(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 30)).decode()


@pytest.mark.timeout(60)
async def test_engine(node: NodeProcess) -> None:
    process = await _start(PROGRAMS["Engine"], node.folder)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, out.decode()
    assert "imAdmin" in out.decode()


@pytest.mark.timeout(60)
async def test_node_and_client(node: NodeProcess) -> None:
    """The client's program talks to the node of the README's other program, and its subscriber prints the message."""
    served = await _start(PROGRAMS["Node"], node.folder)
    try:
        ports = await _line(served)
        assert re.fullmatch(r"\d+ \d+\n", ports), ports
        ws_port, api_port = ports.split()
        secret = (node.folder / "node-data" / "secret").read_text().strip()
        async with Api(f"http://127.0.0.1:{api_port}") as api:
            admin = await api.admin_token(secret)
            await api.register("alice", "bob", admin_token=admin)
            token = await api.user_token("alice", admin_token=admin)
        client = await _start(PROGRAMS["Client"].replace(":10001", f":{ws_port}"), node.folder)
        try:
            assert client.stdin is not None
            client.stdin.write(f"{token}\n".encode())
            assert await _line(served) == "si_alice_bob 1 alice\n"
        finally:
            client.kill()
            await client.wait()
    finally:
        served.kill()
        await served.wait()


def test_every_public_name_is_there() -> None:
    assert all(getattr(greenroom, name) is not None for name in greenroom.__all__)
    assert set(greenroom.__all__) == set(greenroom._MODULES)
    errors = [kind for name in greenroom.__all__ if isinstance(kind := getattr(greenroom, name), type)]
    assert {kind.__name__ for kind in errors if issubclass(kind, Exception)} >= {
        "SettingsError", "DataDirectoryInUse", "Refused", "TokenRejected", "CannotConnect", "EngineFell",
    }  # fmt: skip
