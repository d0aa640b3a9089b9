"""The server as a guest: in a process that has other things to do, more than once, and leaving nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from greenroom.tests.kit.http_kit import http_stage
from greenroom.transport.http.server import HttpServer

if TYPE_CHECKING:
    from greenroom.tests.kit.http_kit import HttpStage


async def status_of(server: HttpServer) -> int:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        return (await client.get(f"http://127.0.0.1:{server.port}/healthz")).status_code


async def test_restart_on_the_same_port(http: HttpStage) -> None:
    port = http.server.port
    for end in (http.server.stop, lambda: http.server.drain(5)):
        await end()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await end()  # Of a server that does not run: nothing.
        await http.server.start()
        assert http.server.port == port
        assert await status_of(http.server) == 200


async def test_two_at_once(http: HttpStage) -> None:
    async with http_stage() as other:
        assert http.server.port != other.server.port
        await http.server.stop()
        assert await status_of(other.server) == 200


async def test_port_that_is_taken(http: HttpStage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = HttpServer(http.parts, http.limits)
        server._port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await server.start()
        await server.stop()


def _process_wide() -> tuple[object, ...]:
    loggers = [logging.getLogger(name) for name in ("", "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio")]
    return (
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        [(each.level, list(each.handlers), each.propagate, each.disabled) for each in loggers],
        logging.root.manager.disable,
        asyncio.get_running_loop().get_exception_handler(),
    )


async def test_nothing_is_left_behind(http: HttpStage) -> None:
    before = _process_wide()
    server = HttpServer(http.parts, http.limits)
    await server.start()
    assert await status_of(server) == 200
    await server.stop()
    tasks, descriptors = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
    for round_ in range(10):
        await server.start()
        assert await status_of(server) == 200
        await (server.stop() if round_ % 2 else server.drain(5))
    for _ in range(3):
        await asyncio.sleep(0)
    assert (len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))) == (tasks, descriptors)
    assert _process_wide() == before


async def test_requests_are_logged_by_nobody_else(http: HttpStage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await http.client.get("/healthz")
        peer = await http.connect()
        await peer.say(b"GET /secret HTTP/1.1\r\n: bad\r\n\r\n")
        await peer.reader.read()
        peer.writer.close()
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


def test_server_is_loaded_when_it_starts() -> None:
    """An engine without sockets does without it."""
    code = "import greenroom.supervisor, sys; print('uvicorn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.strip() == "False"
