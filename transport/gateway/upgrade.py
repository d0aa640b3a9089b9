"""The upgrade to WebSocket (RFC 6455, section 4.2): reads a request's head, and makes the response that accepts it."""

from __future__ import annotations

import binascii
import re
from typing import Final

import httptools
from websockets.utils import accept_key

__all__ = ["HeadMalformed", "UpgradeRequest", "read_upgrade"]

_KEY_BYTES: Final = 16
_TOKEN: Final = re.compile(rb"[\t ]*,[\t ]*")


class HeadMalformed(ValueError):
    """These bytes are not the head of a request. The error never quotes them, because they may contain a token."""


class UpgradeRequest:
    """The head of the request that opens a connection.

    `headers` maps the name of each header, in lower case, to its values in their order.
    """

    def __init__(self) -> None:
        self.method = b""
        self.version = ""
        self.target = ""
        self.is_whole = False
        self.headers: dict[bytes, list[bytes]] = {}

    def first(self, name: bytes) -> str:
        """The first value of a header, empty if there is none."""
        values = self.headers.get(name)
        return values[0].decode("latin-1") if values else ""

    def joined(self, name: bytes) -> str:
        """All values of a header, separated by commas. Empty if there is none."""
        values = self.headers.get(name)
        return b",".join(values).decode("latin-1") if values else ""

    def accept(self) -> bytes | None:
        """The 101 that accepts this request. None if the request is not a valid upgrade.

        Extensions and subprotocols are ignored, which refuses them.
        """
        keys = self.headers.get(b"sec-websocket-key", ())
        if (
            self.method != b"GET"
            or self.version != "1.1"
            or self.headers.get(b"sec-websocket-version") != [b"13"]
            or len(keys) != 1
            or len(self.headers.get(b"host", ())) != 1
            or not self._lists(b"connection", b"upgrade")
            or not self._lists(b"upgrade", b"websocket")
        ):
            return None
        try:
            if len(binascii.a2b_base64(keys[0], strict_mode=True)) != _KEY_BYTES:
                return None
        except binascii.Error:
            return None
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept_key(keys[0].decode()).encode()
        )

    def trim(self, answer: bytes) -> bytes:
        """`answer`, without its body if the method is HEAD."""
        head, end, _ = answer.partition(b"\r\n\r\n")
        return head + end if self.method == b"HEAD" else answer

    def _lists(self, name: bytes, token: bytes) -> bool:
        """Whether a header that is a list contains this token, in any case."""
        for value in self.headers.get(name, ()):
            value = value.lower()
            if value == token or token in _TOKEN.split(value):
                return True
        return False

    # Called by httptools.

    def on_url(self, url: bytes) -> None:
        self.target += url.decode("utf-8", "surrogateescape")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.setdefault(name.lower(), []).append(value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        self.is_whole = True


def read_upgrade(data: bytes) -> UpgradeRequest:
    """Read a complete head, including its empty line. Raises HeadMalformed."""
    request = UpgradeRequest()
    parser = httptools.HttpRequestParser(request)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        raise HeadMalformed from None
    if not request.is_whole:
        raise HeadMalformed
    request.method, request.version = parser.get_method(), parser.get_http_version()
    return request
