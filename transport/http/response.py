"""Sends responses. Large bodies are compressed if the client accepts gzip; a body may also be a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from isal import igzip, isal_zlib

from greenroom.actors.queries.slice_turns import next_slice
from greenroom.transport.http.request_body import discard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uvicorn._types import ASGISendCallable

    from greenroom.transport.http.http_request import HttpRequest

__all__ = ["JSON", "TEXT", "HttpResponse", "not_found", "redirect", "send_response"]

JSON: Final = b"application/json"
TEXT: Final = b"text/plain; charset=utf-8"

_GZIP_FROM_BYTES: Final = 1024
"""A smaller body fits into one packet without gzip."""
_GZIP_LEVEL: Final = 1
_GZIP_FORMAT: Final = 31
"""zlib's number for gzip with the largest window."""
_GZIP_SLICE_BYTES: Final = 512 * 1024
"""What is compressed in one turn of the loop, within some milliseconds."""


@dataclass(slots=True)
class HttpResponse:
    """A handler's own answer, in place of the protocol's envelope."""

    body: bytes | AsyncIterator[bytes] = b""
    """The next piece of an iterator is requested when the client has received enough of the previous ones, so memory is
    bounded. When the client disconnects, the iterator is closed."""
    status: int = 200
    content_type: bytes = JSON
    headers: Sequence[tuple[bytes, bytes]] = field(default=(), kw_only=True)
    """Header names are in lower case. A streamed body of known size should have `content-length`."""
    closes: bool = field(default=False, kw_only=True)
    """Whether the connection is closed after this response."""


def not_found() -> HttpResponse:
    return HttpResponse(b"404 page not found", 404, TEXT)


def redirect(location: str, *, status: int = 302) -> HttpResponse:
    """A redirect to `location`, which must already be escaped."""
    return HttpResponse(b"", status, TEXT, headers=((b"location", location.encode("ascii")),))


async def send_response(
    response: HttpResponse, request: HttpRequest, send: ASGISendCallable, *, http_id: bytes
) -> None:
    """Send a response. Returns when it was given to the connection and the rest of the request's body was received."""
    body = response.body
    headers = [(b"content-type", response.content_type), (b"x-http-id", http_id), *response.headers]
    if isinstance(body, bytes):
        if request.accepts_gzip and len(body) >= _GZIP_FROM_BYTES:
            body = await _gzip(body)
            headers += ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
        headers.append((b"content-length", b"%d" % len(body)))
    # A client that waits for 100 Continue may now send its body or the next request, and these cannot be told apart.
    if response.closes or request.expects_continue:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if not isinstance(body, bytes):
        if request.method != "HEAD":
            await _stream(body, request, send)
        body = b""
    if request.more_body and not request.expects_continue:
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await discard(request)
        body = b""
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _gzip(body: bytes) -> bytes:
    """Compress a body. A long one is compressed in slices, between which other tasks run."""
    if len(body) <= _GZIP_SLICE_BYTES:
        return igzip.compress(body, _GZIP_LEVEL)
    packer = isal_zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_FORMAT)
    pieces = []
    for start in range(0, len(body), _GZIP_SLICE_BYTES):
        pieces.append(packer.compress(body[start : start + _GZIP_SLICE_BYTES]))
        await next_slice()
    return b"".join((*pieces, packer.flush()))


async def _stream(body: AsyncIterator[bytes], request: HttpRequest, send: ASGISendCallable) -> None:
    """Send the body chunk by chunk, until the end or until the client disconnects."""
    # An empty chunk sends the head now, before the first chunk of the body is ready.
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    pump = asyncio.ensure_future(_pump(body, send))
    disconnected = asyncio.ensure_future(request.wait_disconnected())
    try:
        await asyncio.wait({pump, disconnected}, return_when=asyncio.FIRST_COMPLETED)
        if pump.done():
            pump.result()
    finally:
        for task in (pump, disconnected):
            task.cancel()
        await asyncio.wait({pump, disconnected})


async def _pump(body: AsyncIterator[bytes], send: ASGISendCallable) -> None:
    try:
        async for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # Other connections run, even if this one never has to wait.
    finally:
        if isinstance(body, AsyncGenerator):
            await body.aclose()
