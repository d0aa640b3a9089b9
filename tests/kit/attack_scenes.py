"""Attacks on the memory of a node: many connections, or much on each, that are held for as long as the scene lasts."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from websockets.frames import Opcode

from greenroom.actors.wire import msg_pb2
from greenroom.tests.kit.attack_corpus import MIB, frame
from greenroom.tests.kit.attack_sizes import ATTACKER
from greenroom.tests.kit.wire_kit import Device, dial_url, text_message
from greenroom.transport.envelope.codec import Request, codec

if TYPE_CHECKING:
    from greenroom.tests.kit.attack_range import Range

__all__ = ["SCENES"]

AT_ONCE = 200
"""Connections that are opened at the same time: fewer than wait in the system's queue."""
SMALL_BUFFER_BYTES = 4096
HELD_S = 5.0


class _Crowd:
    """Sockets that never read, unless they are asked to."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    async def open(self, port: int, count: int, *says: bytes) -> None:
        for start in range(0, count, AT_ONCE):
            await asyncio.gather(*(self._open(port, says) for _ in range(min(AT_ONCE, count - start))))

    async def _open(self, port: int, says: tuple[bytes, ...]) -> None:
        loop = asyncio.get_running_loop()
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        one.setblocking(False)
        self._sockets.append(one)
        with contextlib.suppress(OSError, TimeoutError):  # The node may refuse it, or take no more.
            await loop.sock_connect(one, ("127.0.0.1", port))
            for data in says:
                async with asyncio.timeout(HELD_S):
                    await loop.sock_sendall(one, data)

    def close(self) -> None:
        for one in self._sockets:
            one.close()


Scene = Callable[["Range"], AbstractAsyncContextManager[None]]
"""What is attacked is held until the end of its block."""


@asynccontextmanager
async def _crowd() -> AsyncIterator[_Crowd]:
    crowd = _Crowd()
    try:
        yield crowd
        await asyncio.sleep(HELD_S)  # So that the node can do all it may with what it has.
    finally:
        crowd.close()


def _head(one: Range, path: str, size: int, *more: str, token: bool = True) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", "operationid: op", f"content-length: {size}", *more]
    if token:
        lines.append(f"token: {one.tokens[ATTACKER]}")
    return "\r\n".join([*lines, "", ""]).encode()


def _upgrade(one: Range, *, compression: str = "") -> bytes:
    url = dial_url(one.node, ATTACKER, one.tokens[ATTACKER], sdkType="js", compression=compression)
    path = url.removeprefix(one.node.ws_url)
    return (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


@asynccontextmanager
async def heads_that_never_end(one: Range) -> AsyncIterator[None]:
    start = b"POST /user/get_users_info HTTP/1.1\r\nhost: x\r\n"
    async with _crowd() as crowd:
        for fields in (b"a: b\r\n" * 10_000, b"a: " + b"b" * 61_000, b"a: b\r\n" * 90):
            await crowd.open(one.node.api_port, 1000, start + fields)
        yield


@asynccontextmanager
async def handshakes_that_never_end(one: Range) -> AsyncIterator[None]:
    async with _crowd() as crowd:
        await crowd.open(one.node.ws_port, 3000, _upgrade(one)[:-2] + b"a: " + b"b" * 15_000)
        yield


@asynccontextmanager
async def messages_to_a_long_id(one: Range) -> AsyncIterator[None]:
    """1.1 KB each, as they are sent."""
    message = text_message(ATTACKER, "x" * 700_000)
    data, encoder = message.SerializeToString(), codec("js", True)
    requests = (Request(1003, send_id=ATTACKER, operation_id="o", msg_incr=f"{n}", data=data) for n in range(100))
    repeated = b"".join(frame(Opcode.BINARY, encoder.encode_request(one)) for one in requests)
    async with _crowd() as crowd:
        await crowd.open(one.node.ws_port, 20, _upgrade(one, compression="gzip"), *[repeated] * 2)
        yield


@asynccontextmanager
async def promised_bodies(one: Range) -> AsyncIterator[None]:
    async with _crowd() as crowd:
        await crowd.open(one.node.api_port, 1000, _head(one, "/user/get_users_info", 100_000))
        yield


@asynccontextmanager
async def large_promised_bodies(one: Range) -> AsyncIterator[None]:
    """More than all bodies together may have; each lacks its last byte. Eight promise sixteen megabytes."""
    size = 2 * MIB
    async with _crowd() as crowd:
        await crowd.open(one.node.api_port, 8, _head(one, "/user/get_users_info", 16 * MIB), b" " * (16 * MIB - 1))
        await crowd.open(one.node.api_port, 100, _head(one, "/user/get_users_info", size), b" " * (size - 1))
        yield


@asynccontextmanager
async def large_bodies_without_a_token(one: Range) -> AsyncIterator[None]:
    body = b'{"token":[' + b"0," * (8 * MIB - 20) + b"0]}"
    async with _crowd() as crowd:
        await crowd.open(one.node.api_port, 20, _head(one, "/auth/parse_token", len(body), token=False), body)
        yield


@asynccontextmanager
async def answers_never_read(one: Range) -> AsyncIterator[None]:
    """Each is eight megabytes."""
    body = json.dumps({"userIDs": [f"long{number}" for number in range(1000)]}).encode()
    async with _crowd() as crowd:
        await crowd.open(one.node.api_port, 300, _head(one, "/user/get_users_info", len(body)) + body)
        yield


@asynccontextmanager
async def requests_never_read(one: Range) -> AsyncIterator[None]:
    """Many on each connection, without a pause."""
    request = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
    async with _crowd() as crowd:
        await crowd.open(one.node.api_port, 300, request * 1000)
        yield


@asynccontextmanager
async def sockets_of_one_token(one: Range) -> AsyncIterator[None]:
    async with _crowd() as crowd:
        await crowd.open(one.node.ws_port, 6000, _upgrade(one))
        yield


@asynccontextmanager
async def pushes_never_read(one: Range) -> AsyncIterator[None]:
    """To as many connections as a token may have, 18 MB each."""
    content = b"x" * 360_000
    async with _crowd() as crowd:
        await crowd.open(one.node.ws_port, 30, _upgrade(one))
        async with await Device.open(one.node, "x1", one.tokens["x1"], gzip=True) as sender:
            for number in range(50):
                await sender.send(text_message("x1", ATTACKER, clientMsgID=f"p{number}", content=content))
        yield


@asynccontextmanager
async def long_last_messages(one: Range) -> AsyncIterator[None]:
    """Lists of chats, each of which ends with a message of 500 KB."""
    async with await Device.open(one.node, ATTACKER, one.tokens[ATTACKER], gzip=True) as device:
        for number in range(300):
            message = text_message(ATTACKER, f"x{number}", clientMsgID=f"l{number}", content=b"x" * 500_000)
            assert (await device.send(message)).err_code == 0
        ids = [f"si_{ATTACKER}_x{number}" for number in range(300)]
        page = {"pageNumber": 1, "showNumber": 1000}
        asked = {"ownerUserID": ATTACKER, "userID": ATTACKER, "count": 500, "conversationIDs": ids, "pagination": page}
        body = json.dumps(asked).encode()
        async with _crowd() as crowd:
            lists = ("jssdk/get_conversations", "jssdk/get_active_conversations")
            for path in (*lists, "conversation/get_sorted_conversation_list"):
                await crowd.open(one.node.api_port, 10, _head(one, f"/{path}", len(body)) + body)
            newest = msg_pb2.GetLastMessageReq(userID=ATTACKER, conversationIDs=ids).SerializeToString()
            await asyncio.gather(*[device.answer(1007, newest) for _ in range(10)])
            yield


@asynccontextmanager
async def bombs(one: Range) -> AsyncIterator[None]:
    bomb = frame(Opcode.BINARY, gzip.compress(bytes(40 * MIB)))
    nearly = frame(Opcode.BINARY, gzip.compress(b" " * (MIB - 100)))
    async with _crowd() as crowd:
        for data in (bomb, nearly):
            await crowd.open(one.node.ws_port, 30, _upgrade(one, compression="gzip"), data * 10)
        yield


@asynccontextmanager
async def fragments_that_never_end(one: Range) -> AsyncIterator[None]:
    begun = frame(Opcode.BINARY, b"x" * 500, fin=False) + frame(Opcode.CONT, b"x" * 500, fin=False) * 100
    async with _crowd() as crowd:
        await crowd.open(one.node.ws_port, 30, _upgrade(one), begun)
        yield


SCENES: dict[str, Scene] = {
    "3,000 HTTP heads of 61 KB that never end": heads_that_never_end,
    "3,000 handshakes that never end": handshakes_that_never_end,
    "4,000 messages to an id of 700 KB": messages_to_a_long_id,
    "1,000 silent sockets with a promised body": promised_bodies,
    "108 large bodies without their last byte": large_promised_bodies,
    "20 x 16 MiB of small JSON without a token": large_bodies_without_a_token,
    "300 answers of 8 MB, never read": answers_never_read,
    "300,000 requests whose answers are never read": requests_never_read,
    "6,000 sockets of one token": sockets_of_one_token,
    "30 sockets that never read their pushes": pushes_never_read,
    "lists of 300 chats that end with 500 KB": long_last_messages,
    "600 compressed bombs": bombs,
    "30 fragmented messages that never end": fragments_that_never_end,
}
