"""A node that runs out of descriptors: clients wait, nobody is reset, and the writer comes back."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.node_kit import NodeProcess
from greenroom.tests.kit.wire_kit import Device, text_message, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT = 150
"""The number of descriptors that the node may open."""
CLIENTS = 170
CONNECTS_WITHIN_S = 0.02
"""A client that takes longer waits for a place in the system's queue."""
RESERVE = 8
ANSWERED_WITHIN_S = 15.0
"""A client whose first packet met a full queue tries again after 1, 3 and 7 s."""


def limited(folder: Path, ulimit: str) -> NodeProcess:
    env = {"GREENROOM_WEBSOCKET_HANDSHAKE_TIMEOUT_S": "60"}  # The clients of a crowd say nothing for some seconds.
    return NodeProcess(folder, prefix=("bash", "-c", f'ulimit {ulimit}; exec "$@"', "node"), env=env)


async def test_soft_limit_is_raised_to_the_hard_one(tmp_path: Path) -> None:
    async with limited(tmp_path, "-Sn 128") as node:
        soft, hard = limits_of(node)
        assert soft == hard != "128"


def limits_of(node: NodeProcess) -> list[str]:
    assert node.process is not None
    limits = Path(f"/proc/{node.process.pid}/limits").read_text().splitlines()
    return next(line.split()[3:5] for line in limits if line.startswith("Max open files"))


class Crowd:
    """Clients that connect and say nothing."""

    def __init__(self, port: int) -> None:
        self.sockets = []
        for _ in range(CLIENTS):
            one = socket.socket()
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(("127.0.0.1", port))
            self.sockets.append(one)
            select.select((), (one,), (), CONNECTS_WITHIN_S)

    def closed_by_the_node(self) -> int:
        """Number of clients whose connection was reset or closed."""
        count = 0
        for one in self.sockets:
            try:
                count += one.recv(1) == b""
            except OSError as error:
                count += error.errno not in (errno.EAGAIN, errno.ENOTCONN)
        return count

    def leave(self) -> None:
        for one in self.sockets:
            one.close()


@contextlib.asynccontextmanager
async def crowd(port: int) -> AsyncIterator[Crowd]:
    clients = Crowd(port)
    try:
        yield clients
    finally:
        clients.leave()


def descriptors_of(node: NodeProcess) -> int:
    assert node.process is not None
    return len(list(Path(f"/proc/{node.process.pid}/fd").iterdir()))


@pytest.mark.ci
@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_clients_wait_and_none_is_reset(tmp_path: Path, kind: str) -> None:
    async with limited(tmp_path, f"-n {LIMIT}") as node:
        port = node.api_port if kind == "http" else node.ws_port
        async with crowd(port) as clients:
            await until(lambda: "out of descriptors" in node.log or clients.closed_by_the_node(), 20)
            await asyncio.sleep(0.5)
            assert clients.closed_by_the_node() == 0
            assert descriptors_of(node) < LIMIT - RESERVE
            assert 1 <= node.log.count("out of descriptors") <= 4
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            assert (await reader.readline()).startswith(b"HTTP/1.1 ")
        writer.close()
        assert "Traceback" not in node.log


def children_of(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def writer_of(node: NodeProcess) -> int | None:
    assert node.process is not None
    for child in (child for task in Path(f"/proc/{node.process.pid}/task").iterdir() for child in children_of(task)):
        if b"writer_process" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    return None


@pytest.mark.ci
@pytest.mark.timeout(90)
async def test_writer_that_dies_while_no_descriptor_is_free(tmp_path: Path) -> None:
    async with limited(tmp_path, f"-n {LIMIT}") as node:
        tokens = await node.tokens("a", "b")
        async with await Device.open(node, "a", tokens["a"]) as device:
            await device.sent(text_message("a", "b"))
            async with crowd(node.api_port) as clients:
                await until(lambda: "out of descriptors" in node.log or clients.closed_by_the_node(), 20)
                writer = writer_of(node)
                assert writer is not None
                os.kill(writer, signal.SIGKILL)
                await until(lambda: "the writer process ended" in node.log)
                await asyncio.sleep(0.5)
            codes = [-1]
            for _ in range(100):
                codes.append((await device.send(text_message("a", "b"))).err_code)
                if not codes[-1]:
                    break
                await asyncio.sleep(0.1)
            assert codes[-1] == 0
