"""Responses on their way out: gzip for those who take it and where it pays, and bodies that stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from isal import igzip

from greenroom.transport.http.request_body import discard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uvicorn._types import ASGISendCallable

    from greenroom.transport.http.http_request import HttpRequest

__all__ = ["JSON", "TEXT", "HttpResponse", "not_found", "redirect", "send_response"]

JSON: Final = b"application/json"
TEXT: Final = b"text/plain"

_GZIP_FROM_BYTES: Final = 1024
"""Below this an answer fits one packet anyway."""
_GZIP_LEVEL: Final = 1


@dataclass(slots=True)
class HttpResponse:
    """A handler's own answer, in place of the protocol's envelope."""

    body: bytes | AsyncIterator[bytes] = b""
    """An iterator is asked for the next piece when the client has taken the one before, so memory is bounded. When the
    client goes, the iterator is closed."""
    status: int = 200
    content_type: bytes = JSON
    headers: Sequence[tuple[bytes, bytes]] = field(default=(), kw_only=True)
    """Names in lower case. A streamed body whose size is known should have `content-length`."""
    closes: bool = field(default=False, kw_only=True)
    """Close the connection after it."""


def not_found() -> HttpResponse:
    return HttpResponse(b"404 page not found", 404, TEXT)


def redirect(location: str, *, status: int = 302) -> HttpResponse:
    """To an address that is already escaped."""
    return HttpResponse(b"", status, TEXT, headers=((b"location", location.encode("ascii")),))


async def send_response(
    response: HttpResponse, request: HttpRequest, send: ASGISendCallable, *, http_id: bytes
) -> None:
    """Returns when the response was given to the connection, and the rest of the request's body was received."""
    body = response.body
    headers = [(b"content-type", response.content_type), (b"x-http-id", http_id), *response.headers]
    if isinstance(body, bytes):
        if request.takes_gzip and len(body) >= _GZIP_FROM_BYTES:
            body = igzip.compress(body, _GZIP_LEVEL)
            headers += ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
        headers.append((b"content-length", b"%d" % len(body)))
    # A client that waits for 100 Continue may now send its body or not. What it sends next cannot be told apart.
    if response.closes or request.awaits_go_ahead:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if not isinstance(body, bytes):
        if request.method != "HEAD":
            await _stream(body, request, send)
        body = b""
    if request.more_body and not request.awaits_go_ahead:
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await discard(request)
        body = b""
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _stream(body: AsyncIterator[bytes], request: HttpRequest, send: ASGISendCallable) -> None:
    """Send piece by piece, until the end or until the client has gone."""
    # The head does not wait for the first piece.
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    pump = asyncio.ensure_future(_pump(body, send))
    gone = asyncio.ensure_future(request.gone())
    try:
        await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
        if pump.done():
            pump.result()
    finally:
        for task in (pump, gone):
            task.cancel()
        await asyncio.wait({pump, gone})


async def _pump(body: AsyncIterator[bytes], send: ASGISendCallable) -> None:
    try:
        async for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # Other connections get their turn, even if pieces and client are quick.
    finally:
        if isinstance(body, AsyncGenerator):
            await body.aclose()
