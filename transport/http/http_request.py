"""A request as handlers see it: the fields of its head, and its body as it arrives."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGIReceiveCallable, HTTPScope

    from greenroom.transport.client_address import ClientAddress
    from greenroom.transport.rate_limits import Limits

__all__ = ["ClientDisconnected", "HttpRequest"]


class ClientDisconnected(Exception):
    """The client disconnected before its request was received or answered."""


class HttpRequest:
    """A request whose head was read. Its body may still be arriving."""

    def __init__(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> None:
        self._receive = receive
        self._transport: asyncio.Transport | None = scope.get("state", {}).get("transport")
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        """The path without the query, with escapes decoded."""
        self.query_string: bytes = scope["query_string"]
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]  # type: ignore[assignment]
        """Header names are in lower case."""
        self.peer = scope.get("client")
        """The address and the port of the socket's other end."""
        self.operation_id = self.token = ""
        self.accepts_gzip = self.is_protobuf = False
        self.content_length = 0
        """The promised size of the body; 0 if it is sent in chunks."""
        self.more_body = False
        """Whether a part of the body was not received yet."""
        self.expects_continue = False
        """Whether the client waits for 100 Continue before it sends the body."""
        for name, value in self.headers:
            if name == b"operationid":
                self.operation_id = value.decode("latin-1")
            elif name == b"token":
                self.token = value.decode("latin-1")
            elif name == b"accept-encoding":
                self.accepts_gzip = _accepts_gzip(value)
            elif name == b"content-type":
                self.is_protobuf = b"protobuf" in value
            elif name == b"content-length":
                self.more_body = value.strip(b"0") != b""
                self.content_length = int(value)
            elif name == b"transfer-encoding":
                self.more_body = True
            elif name == b"expect":
                self.expects_continue = value.lower() == b"100-continue"

    def check_connected(self) -> None:
        """Raises ClientDisconnected, if the socket is known to be closed: nobody will read the answer."""
        if self._transport is not None and self._transport.is_closing():
            raise ClientDisconnected

    def query(self) -> dict[str, str]:
        """The query's fields, decoded. Of a repeated name, the last value counts."""
        return dict(parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True))

    def header(self, name: bytes) -> str:
        """The value of the last header with this lower-case name. Empty if there is none."""
        for each, value in reversed(self.headers):
            if each == name:
                return value.decode("latin-1")
        return ""

    def joined(self, name: bytes) -> str:
        """The values of all headers with this lower-case name, separated by commas. Empty if there is none."""
        return ",".join([value.decode("latin-1") for each, value in self.headers if each == name])

    def client(self, limits: Limits) -> ClientAddress:
        """The client that made this request."""
        return limits.client(self.peer, self.joined(b"x-forwarded-for"), self.header(b"x-real-ip"))

    async def receive(self) -> bytes:
        """The bytes of the body that arrived since the last call. Waits for some. Raises ClientDisconnected."""
        self.expects_continue = False
        event = await self._receive()
        if event["type"] != "http.request":
            raise ClientDisconnected
        self.more_body = event.get("more_body", False)
        return event.get("body", b"")

    async def wait_disconnected(self) -> None:
        """Returns when the client has disconnected. The rest of the body is received and discarded."""
        with contextlib.suppress(ClientDisconnected):
            while True:
                await self.receive()


def _accepts_gzip(value: bytes) -> bool:
    """Whether the header allows gzip (RFC 9110, 12.5.3): a quality of 0 forbids it."""
    qualities: dict[bytes, bool] = {}
    for coding in value.lower().split(b","):
        name, _, parameters = coding.partition(b";")
        quality = parameters.replace(b" ", b"").removeprefix(b"q=")
        qualities[name.strip()] = not parameters or quality.strip(b"0.") != b""
    return qualities.get(b"gzip", qualities.get(b"*", False))
