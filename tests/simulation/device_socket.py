"""A client's socket: the upgrade and WebSocket frames by hand (mask zero), so that it costs little."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.tests.simulation.network import End

__all__ = ["DeviceSocket", "Gone"]

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Gone(Exception):
    """The connection or the node has ended. Pending requests may or may not have been carried out."""


class DeviceSocket(asyncio.Protocol):
    """One connection, from its upgrade to its end. `opened` fails with Gone if the upgrade is refused."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, query: dict[str, str], *,
        on_frame: Callable[[bytes], None], on_lost: Callable[[DeviceSocket], None],
    ) -> None:  # fmt: skip
        self.opened: asyncio.Future[None] = loop.create_future()
        self.refusal = b""
        """The body of the answer that refused the upgrade."""
        self.link: End
        self._query = query
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.link = cast("End", transport)
        self.link.write(
            b"GET /?%b HTTP/1.1\r\nHost: simulated\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            % urlencode(self._query).encode()
        )

    def send(self, payload: bytes, opcode: int = BINARY) -> None:
        size = len(payload)
        length = (0x80 | size,) if size < 126 else (0xFE, size >> 8, size & 255)
        self.link.write(bytes((0x80 | opcode, *length, 0, 0, 0, 0)) + payload)

    def ping(self) -> None:
        self.send(b"", PING)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self.opened.done():
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not buffer.startswith(b"HTTP/1.1 101"):
                return  # The answer's body, then the end, follow.
            del buffer[: end + 4]
            self.opened.set_result(None)
        while (frame := self._next_frame()) is not None:
            opcode, payload = frame
            if opcode == BINARY:
                self._on_frame(payload)
            elif opcode == PING:
                self.send(payload, PONG)
            elif opcode == CLOSE:
                self.link.close()

    def _next_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start + size or len(buffer) < start:
            return None
        frame = buffer[0] & 15, bytes(buffer[start : start + size])
        del buffer[: start + size]
        return frame

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.refusal = bytes(self._buffer)
            self.opened.set_exception(Gone())
            self.opened.exception()
        self._on_lost(self)
