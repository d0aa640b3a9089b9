"""Request bodies: read whole, within a size and a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive

__all__ = ["BodyLate", "ClientGone", "read_body"]

_TIMEOUT_S = 10.0
"""The SDK gives up after 10 s; a slower body would only hold one of the bounded places."""
_EXCESS = 4
"""How many times the limit is read (and thrown away) so that the client hears the answer."""


class ClientGone(Exception):
    """The connection ended before the body did."""


class BodyLate(Exception):
    """The body did not come in time."""


async def read_body(receive: Receive, limit_bytes: int) -> tuple[bytes, bool]:
    """The body cut at the limit, and whether all of it was read from the socket.

    Raises ClientGone, BodyLate.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                body: bytes = message.get("body", b"")
                return body[:limit_bytes], True
            return await _read_more(message["type"], message.get("body", b""), receive, limit_bytes)
    except TimeoutError:
        raise BodyLate from None


async def _read_more(kind: str, first: bytes, receive: Receive, limit_bytes: int) -> tuple[bytes, bool]:
    body, seen = bytearray(first[:limit_bytes]), len(first)
    while kind == "http.request":
        message = await receive()
        kind = message["type"]
        chunk = message.get("body", b"")
        seen += len(chunk)
        body += chunk[: limit_bytes - len(body)]
        if kind == "http.request" and not message.get("more_body"):
            return bytes(body), True
        if seen > _EXCESS * limit_bytes:
            return bytes(body), False
    raise ClientGone
