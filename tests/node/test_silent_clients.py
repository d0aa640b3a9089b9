"""More sockets than there may be, all without a token: the silent ones go, and honest clients are served."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.node_kit import NodeProcess
from greenroom.tests.kit.wire_kit import Device, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.ci

PLACES = 20
HANDSHAKES = 1024
WELL = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
BODY_TO_COME = b"POST /auth/parse_token HTTP/1.1\r\nHost: x\r\noperationID: o\r\nContent-Length: 99\r\n\r\n"
REFUSED_BODY_TO_COME = b"POST /user/get_users_info HTTP/1.1\r\nHost: x\r\noperationID: o\r\nContent-Length: 99\r\n\r\n"
HTTP = {"GREENROOM_HTTP_MAX_CONNECTIONS": str(PLACES), "GREENROOM_HTTP_BODY_TIMEOUT_S": "60"}
CROWDS = {
    "nothing": b"",
    "half a head": WELL[:20],
    "a request, and then nothing": WELL,
    "a head whose body does not come": BODY_TO_COME,
    "a refused head whose body does not come": REFUSED_BODY_TO_COME,
    "no request": b"\x16\x03\x01\x02",
}


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


@contextlib.contextmanager
def crowd(port: int, count: int, said: bytes = b"") -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(count):
            one = stack.enter_context(dial(port))
            one.sendall(said)
            sockets.append(one)
        yield sockets


def is_well(one: socket.socket) -> bool:
    """Whether a request on this connection is answered."""
    try:
        one.sendall(WELL)
        answer = one.recv(4096)
    except ConnectionError:
        return False
    return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b'{"status":"ok"}')


def is_closed(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize("said", CROWDS.values(), ids=CROWDS)
async def test_crowd_at_the_http_port(tmp_path: Path, said: bytes) -> None:
    async with NodeProcess(tmp_path, env={**HTTP, "GREENROOM_HTTP_HEAD_TIMEOUT_S": "60"}) as node:
        with crowd(node.api_port, PLACES + 5, said):
            # The bodies count as late after a review, which comes every second.
            await asyncio.sleep(1.5 if b"POST" in said else 0)
            with contextlib.closing(dial(node.api_port)) as late:
                assert is_well(late)
                assert is_well(late)


async def test_silent_clients_go_before_one_that_is_between_two_requests(tmp_path: Path) -> None:
    async with NodeProcess(tmp_path, env=HTTP) as node:
        with contextlib.closing(dial(node.api_port)) as honest:
            assert is_well(honest)
            with crowd(node.api_port, 3 * PLACES) as sockets:
                assert is_well(sockets[-1])
                assert is_well(honest)
                await until(lambda: sum(is_closed(one) for one in sockets) >= 2 * PLACES)
                assert all(is_closed(one) for one in sockets[: 2 * PLACES])


async def test_silence_before_the_first_request_ends_soon(tmp_path: Path) -> None:
    async with NodeProcess(tmp_path, env={"GREENROOM_HTTP_HEAD_TIMEOUT_S": "1"}) as node:
        with contextlib.closing(dial(node.api_port)) as honest, crowd(node.api_port, 3) as sockets:
            assert is_well(honest)
            await until(lambda: all(is_closed(one) for one in sockets))
            assert is_well(honest)


async def test_crowd_at_the_websocket_port(tmp_path: Path) -> None:
    """The silent sockets may take all places, and still a device with a token comes in."""
    env = {"GREENROOM_WEBSOCKET_MAX_CONNECTIONS": "5", "GREENROOM_WEBSOCKET_HANDSHAKE_TIMEOUT_S": "60"}
    async with NodeProcess(tmp_path, env=env) as node:
        tokens = await node.tokens("a")
        places = 5 + HANDSHAKES
        with crowd(node.ws_port, places + 50) as sockets:
            async with await Device.open(node, "a", tokens["a"]) as device:
                await device.newest()
                await until(lambda: sum(is_closed(one) for one in sockets) == 51)
                assert all(is_closed(one) for one in sockets[:51])
