"""A WebSocket client that uses little CPU: frames are made in advance, and counted by their first bytes."""

from __future__ import annotations

import asyncio
import binascii
import os
from gzip import compress as gzip_compress
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from greenroom.actors.wire import sdkws_pb2
from greenroom.transport.envelope.codec import Request, codec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LeanClient", "connect", "frame_of", "messages_of", "request_frame"]

PLATFORM = 2
TEXT_BYTES = 100
_MASK = b"\0\0\0\0"
_PING = b"\x89\x80" + _MASK
_ACK_LIMIT_BYTES = 290
"""Of a gzipped gob: an ack is shorter, a push of our messages longer. Checked while the load warms up."""


class LeanClient(asyncio.Protocol):
    """Counts acks (or other answers) and pushes; calls `on_data` once for each read that had any."""

    def __init__(self, head: bytes, *, plain: bool) -> None:
        self._head: bytes | None = head
        self._rest = b""
        self._plain = plain
        self.answers = self.pushes = self.sent = 0
        self.failed = False
        self.first_answer: bytes | None = None
        self.on_data: Callable[[LeanClient, int], None] | None = None
        self.on_answer: Callable[[bytes], None] | None = None
        """Called with the payload of each answer."""
        self.on_push: Callable[[bytes], None] | None = None
        """Called with the payload of each push."""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        assert self._head is not None
        self.transport.write(self._head)

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed = True
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("refused"))

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        position, size = 0, len(data)
        if self._head is not None:
            position = data.find(b"\r\n\r\n") + 4
            if position < 4:
                self._rest = data
                return
            self._head = None
            if data.startswith(b"HTTP/1.1 101"):
                self.opened.set_result(None)
            else:
                self.opened.set_exception(ConnectionError(data.decode(errors="replace")))
        answers = pushes = 0
        while size - position >= 2:
            length = data[position + 1]
            start = position + 2
            if length == 126:
                start = position + 4
                if start > size:
                    break
                length = data[position + 2] << 8 | data[position + 3]
            end = start + length
            if end > size:
                break
            if data[position] == 0x82:
                if data.startswith(b'{"reqIdentifier":2001', start) if self._plain else length > _ACK_LIMIT_BYTES:
                    pushes += 1
                    if self.on_push is not None:
                        self.on_push(data[start:end])
                else:
                    answers += 1
                    if self.first_answer is None:
                        self.first_answer = data[start:end]
                    if self.on_answer is not None:
                        self.on_answer(data[start:end])
            position = end
        self._rest = data[position:] if position < size else b""
        self.answers += answers
        self.pushes += pushes
        if self.on_data is not None and (answers or pushes):
            self.on_data(self, answers)

    def ping(self) -> None:
        self.transport.write(_PING)


async def connect(port: int, user_id: str, token: str, *, sdk_type: str = "js", gzip: bool = False) -> LeanClient:
    """Connect. Returns after the answer 101."""
    query = urlencode(
        {
            "sendID": user_id, "token": token, "platformID": PLATFORM, "operationID": f"op-{user_id}",
            "isBackground": "false", "sdkType": sdk_type, "compression": "gzip" if gzip else "",
        }
    )  # fmt: skip
    head = (
        f"GET /?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: LeanClient(head, plain=sdk_type == "js"), "127.0.0.1", port)
    await client.opened
    return client


def frame_of(payload: bytes) -> bytes:
    """A client's BINARY frame, masked with zeros, which leave it as it is."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x82" + length + _MASK + payload


def request_frame(
    number: int, user_id: str, data: bytes, *, sdk_type: str = "js", gzip: bool = False, count: int = 0
) -> bytes:
    operation_id, msg_incr = f"bench-{user_id:0>30}", f"{count:032x}"
    request = Request(
        req_identifier=number, send_id=user_id, operation_id=operation_id, msg_incr=msg_incr, data=data
    )
    payload = codec("go" if sdk_type == "go" else "js", False).encode_request(request)
    # As the SDKs do it: deflated, however short. Our own client stores short frames, which is cheaper to read.
    return frame_of(gzip_compress(payload, mtime=0) if gzip else payload)


def messages_of(
    user_id: str, *, to: str = "", group: str = "", sdk_type: str = "js", gzip: bool = False
) -> Callable[[], bytes]:
    """Makes frames that send a text. Everything but the client message id is made in advance."""
    text = os.urandom(TEXT_BYTES // 2).hex()
    while True:
        message = sdkws_pb2.MsgData(
            sendID=user_id, recvID=to, groupID=group, senderPlatformID=PLATFORM, senderNickname=user_id,
            sessionType=3 if group else 1, msgFrom=100, contentType=101, createTime=1_700_000_000_000,
            content=b'{"content":"%b"}' % text.encode(),
        )  # fmt: skip
        # Fields of protobuf come in any order: the id stands last, at a place where base64 begins anew.
        fixed = message.SerializeToString() + b"\x22\x20"
        if len(fixed) % 3 == 0:
            break
        text += "x"
    if sdk_type == "go":

        def gob() -> bytes:
            data = fixed + os.urandom(16).hex().encode()
            return request_frame(1003, user_id, data, sdk_type="go", gzip=gzip)

        return gob
    whole = request_frame(1003, user_id, fixed + b"0" * 32)
    changing = binascii.b2a_base64(b"0" * 32, newline=False)
    before, _, after = whole.rpartition(changing)

    def plain() -> bytes:
        return before + binascii.b2a_base64(os.urandom(16).hex().encode(), newline=False) + after

    return plain
