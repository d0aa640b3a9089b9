"""A client that says it closes, and is gone before the answer: the gateway writes to a socket that is no more."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING

from websockets.frames import Close, Frame, Opcode

from greenroom.tests.transport.stage import get

if TYPE_CHECKING:
    import pytest

    from greenroom.tests.transport.stage import Stage


async def test_close_frame_and_gone(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    close = Frame(Opcode.CLOSE, Close(1000, "").serialize()).serialize(mask=True)
    head = get(stage.url().partition(f":{stage.gateway.port}")[2]).encode()
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", stage.gateway.port))
        await loop.sock_sendall(client, head)
        assert (await loop.sock_recv(client, 4096)).startswith(b"HTTP/1.1 101 ")
        client.send(close)  # Without a turn of the loop before the end, so that the server reads it afterwards.
    await stage.until(lambda: len(stage.gateway.connections) == 0)
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
