"""What frames an HTTP request, by hand: its version, its Host, and fields behind the body."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.node_kit import LIMITED, NodeProcess
from greenroom.tests.kit.wire_kit import dial_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = b'{"userIDs":["a"]}'
INFO = "/user/get_users_info"
WELL = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, str]]:
    node = NodeProcess(tmp_path_factory.mktemp("framing"))

    async def begin() -> str:
        await node.start()
        return (await node.tokens("a"))["a"]

    token = asyncio.run(begin())
    yield node, token
    node.close()


class Line:
    """A connection to the HTTP port."""

    def __init__(self, node: NodeProcess) -> None:
        self.socket = socket.create_connection(("127.0.0.1", node.api_port), timeout=10)
        self._received = b""

    def say(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def answer(self) -> tuple[int, bytes]:
        """(status, body) of the next answer."""
        head = self._until(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        while len(self._received) < size:
            self._receive()
        body, self._received = self._received[:size], self._received[size:]
        return int(head[9:12]), body

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(end)
        return head

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        assert data, "closed"
        self._received += data

    def is_closed(self) -> bool:
        with contextlib.suppress(ConnectionError):
            return self.socket.recv(65536) == b""
        return True


@contextlib.contextmanager
def line(node: NodeProcess) -> Iterator[Line]:
    one = Line(node)
    with one.socket:
        yield one


def chunked(*head: str, trailers: bytes = b"", path: str = INFO, body: bytes = BODY) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", *head, "", ""]
    return "\r\n".join(lines).encode() + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)


def fields(*lines: str) -> bytes:
    return "".join(f"{each}\r\n" for each in lines).encode()


def test_trailer_is_no_header(running: tuple[NodeProcess, str]) -> None:
    node, token = running
    good, operation = f"token: {token}", "operationID: o"
    with line(node) as one:
        for head, trailers, code in [
            ([operation], [good], 1001),
            ([], [operation, good], 1001),
            ([operation, "token: x"], [good], 1503),
            ([operation, good], ["token: x"], 0),
            ([operation, good], ["Expect: 100-continue", "Connection: Upgrade", "Upgrade: h2c"], 0),
            ([operation, good], [f"x{number}: y" for number in range(100)], 0),
        ]:
            one.say(chunked(*head, trailers=fields(*trailers)) + WELL)
            status, body = one.answer()
            assert (status, b'"errCode":%d,' % code in body) == (200, True), body
            assert one.answer() == (200, b'{"status":"ok"}')


def test_connection_that_a_trailer_ends(running: tuple[NodeProcess, str]) -> None:
    """The parser reads nothing more, so the connection does not stay open in vain."""
    node, token = running
    with line(node) as one:
        one.say(chunked("operationID: o", f"token: {token}", trailers=fields("Connection: close")) + WELL)
        assert one.answer()[0] == 200
        assert one.is_closed()


async def test_trailer_names_no_other_client(tmp_path: Path) -> None:
    """Behind a proxy, the address that a client writes into a trailer does not evade its limit."""
    env = {
        **LIMITED, "GREENROOM_LIMITS_TRUSTED_PROXIES": "127.0.0.1",
        "GREENROOM_LIMITS_ANONYMOUS_BURST": "5", "GREENROOM_LIMITS_ANONYMOUS_PER_S": "0.01",
    }  # fmt: skip
    async with NodeProcess(tmp_path, env=env) as node:
        with line(node) as one:
            statuses = []
            for number in range(10):
                trailers = fields(f"X-Forwarded-For: 1.1.2.{number}", f"X-Real-IP: 1.1.2.{number}")
                head = "operationID: o", "X-Forwarded-For: 9.9.9.9"
                one.say(chunked(*head, trailers=trailers, path="/auth/parse_token", body=b'{"token":"x"}'))
                statuses.append(one.answer()[0])
            assert statuses == [200] * 5 + [429] * 5


@pytest.mark.parametrize(
    "trailers",
    [fields(*("x: y" for _ in range(110))), b"x: " + b"y" * 40_000, b"x" * 40_000],
    ids=["fields", "value", "name"],
)
def test_trailers_have_a_bound(running: tuple[NodeProcess, str], trailers: bytes) -> None:
    node, token = running
    with line(node) as one:
        one.say(chunked("operationID: o", f"token: {token}", trailers=trailers)[:-2])
        assert one.answer()[0] == 431
        one.socket.shutdown(socket.SHUT_WR)
        assert one.is_closed()


def test_extension_of_a_chunk_has_a_bound(running: tuple[NodeProcess, str]) -> None:
    node, token = running
    with line(node) as one:
        head = chunked("operationID: o", f"token: {token}").partition(b"\r\n\r\n")[0]
        one.say(head + b"\r\n\r\n1;" + b"x" * 40_000)
        assert one.answer()[0] == 431


def test_chunks_of_one_byte_have_none(running: tuple[NodeProcess, str]) -> None:
    """What frames them is longer than a head may be, but each is a part of the body."""
    node, token = running
    with line(node) as one:
        head = chunked("operationID: o", f"token: {token}").partition(b"\r\n\r\n")[0]
        body = b" " * 10_000 + BODY
        pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
        one.say(head + b"\r\n\r\n" + pieces + b"0\r\n\r\n")
        status, answer = one.answer()
        assert (status, b'"errCode":0,' in answer) == (200, True)


HEADS = {
    "1.1 without Host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "1.1 with two": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n", 400),
    "1.1 without Host, with an offer": (b"GET /healthz HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 400),
    "1.1 with an empty one": (b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", 200),
    "1.0 without Host": (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    "1.0 with two": (b"GET /healthz HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    "2.0": (b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    "0.9": (b"GET /healthz HTTP/0.9\r\nHost: x\r\n\r\n", 505),
}


@pytest.mark.parametrize(("head", "status"), HEADS.values(), ids=HEADS)
def test_version_and_host(running: tuple[NodeProcess, str], head: bytes, status: int) -> None:
    node, _ = running
    with line(node) as one:
        one.say(head)
        assert one.answer()[0] == status
    with line(node) as one:  # Behind an earlier request, which is still answered.
        one.say(WELL + head)
        assert one.answer() == (200, b'{"status":"ok"}')
        assert one.answer()[0] == 200 if status == 200 else one.is_closed()


def test_upgrade_without_host(running: tuple[NodeProcess, str]) -> None:
    node, token = running
    path = dial_url(node, "a", token).removeprefix(node.ws_url)
    rest = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    )
    for host, status in (("", b"400"), ("Host: x\r\nHost: y\r\n", b"400"), ("Host: x\r\n", b"101")):
        with socket.create_connection(("127.0.0.1", node.ws_port), timeout=10) as one:
            one.sendall(f"GET {path} HTTP/1.1\r\n{host}{rest}".encode())
            assert one.recv(4096)[9:12] == status
