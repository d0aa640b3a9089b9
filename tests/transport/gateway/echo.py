"""An echo server: what the WebSocket layer does by itself, without a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.runtime.sampling import Sampler
from greenroom.transport.envelope.websocket_frame import binary_frame, text_frame
from greenroom.transport.gateway.outbox import Flusher
from greenroom.transport.gateway.read_turns import ReadTurns
from greenroom.transport.gateway.timer_wheel import TimerWheel
from greenroom.transport.gateway.websocket import WebSocketProtocol

if TYPE_CHECKING:
    import asyncio

    from greenroom.persistence.settings import WebSocketSettings
    from greenroom.transport.gateway.upgrade import UpgradeRequest

__all__ = ["Echo", "EchoServer"]


class EchoServer:
    """See `WebSocketServer`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: WebSocketSettings) -> None:
        self.loop = loop
        self.settings = settings
        self.sampler = Sampler(loop.time)
        self.wheel = TimerWheel(loop)
        self.flusher = Flusher(loop)
        self.turns = ReadTurns(loop)


class Echo(WebSocketProtocol):
    __slots__ = ()

    def on_request(self, request: UpgradeRequest) -> None:
        head = request.accept()
        if head is None:
            self.refuse(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            self.open(head)

    def on_text(self, text: str) -> None:
        self.outbox.add(text_frame(text.encode()))

    def on_binary(self, data: bytes) -> None:
        self.outbox.add(binary_frame(data))
