"""A node that is stopped for a while, as with a virtual machine, and goes on: no healthy client is closed."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.node_kit import NodeProcess
from greenroom.tests.kit.wire_kit import Device, text_message

if TYPE_CHECKING:
    from pathlib import Path

READ_TIMEOUT_S = 3
CLIENTS = 20


@pytest.mark.ci
@pytest.mark.timeout(60)
async def test_clients_of_a_node_that_was_stopped(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path, env={"GREENROOM_WEBSOCKET_READ_TIMEOUT_S": str(READ_TIMEOUT_S)})
    await node.start()
    try:
        names = [f"u{number}" for number in range(CLIENTS)]
        tokens = await node.tokens(*names)
        devices = [await Device.open(node, name, tokens[name]) for name in names]

        async def ping() -> None:
            while True:
                for device in devices:
                    await device.socket.ping()
                await asyncio.sleep(READ_TIMEOUT_S / 4)

        pinging = asyncio.create_task(ping())
        assert node.process is not None
        for _ in range(2):
            node.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(READ_TIMEOUT_S + 1.5)
            node.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(2.5)
        for device in devices:
            await device.sent(text_message(device.user_id, "u0"))
        pinging.cancel()
        for device in devices:
            await device.socket.close()
    finally:
        node.close()


@pytest.mark.ci
@pytest.mark.timeout(60)
async def test_body_that_arrives_while_the_node_is_stopped(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path, env={"GREENROOM_HTTP_BODY_TIMEOUT_S": str(READ_TIMEOUT_S)})
    await node.start()
    try:
        assert node.process is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", node.api_port)
        body = b'{"token":"x"}'
        head = f"POST /auth/parse_token HTTP/1.1\r\nHost: x\r\noperationID: o\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[:5])
        await asyncio.sleep(0.5)
        node.process.send_signal(signal.SIGSTOP)
        writer.write(body[5:])
        await asyncio.sleep(READ_TIMEOUT_S + 1.5)
        node.process.send_signal(signal.SIGCONT)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()
    finally:
        node.close()
