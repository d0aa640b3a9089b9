"""An echo on the shell: what the WebSocket layer does by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.transport.envelope.websocket_frame import binary_frame, text_frame
from greenroom.transport.gateway.shell import FrameProtocol

if TYPE_CHECKING:
    from greenroom.transport.gateway.upgrade import Head


class Echo(FrameProtocol):
    __slots__ = ()

    def on_request(self, request: Head) -> None:
        head = request.accepted()
        if head is None:
            self.refuse(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            self.open(head)

    def on_text(self, text: str) -> None:
        self.outbox.add(text_frame(text.encode()))

    def on_binary(self, data: bytes) -> None:
        self.outbox.add(binary_frame(data))
