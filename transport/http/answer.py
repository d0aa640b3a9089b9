"""Answers on their way out: CORS on every one, gzip for those who take it and where it pays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from isal import igzip

if TYPE_CHECKING:
    from starlette.types import Send

__all__ = ["JSON", "TEXT", "Answer", "write"]

JSON = b"application/json"
TEXT = b"text/plain"

_EXPOSED = (
    b"Content-Length, Access-Control-Allow-Origin, Access-Control-Allow-Headers,Cache-Control,"
    b"Content-Language,Content-Type,Expires,Last-Modified,Pragma,FooBar"
)
_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"*"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-expose-headers", _EXPOSED),
    (b"access-control-max-age", b"172800"),
    (b"access-control-allow-credentials", b"false"),
)

_GZIP_FROM_BYTES = 1024
"""Below this an answer fits one packet anyway."""
_GZIP_LEVEL = 1


class Answer(NamedTuple):
    body: bytes
    status: int = 200
    content_type: bytes = JSON
    closes: bool = False
    """The connection is of no more use: the rest of a body is still on its way."""


async def write(send: Send, answer: Answer, *, http_id: str, takes_gzip: bool) -> None:
    body = answer.body
    headers: list[tuple[bytes, bytes]] = [
        *_CORS, (b"content-type", answer.content_type), (b"x-http-id", http_id.encode()),
    ]  # fmt: skip
    if takes_gzip and len(body) >= _GZIP_FROM_BYTES:
        body = igzip.compress(body, _GZIP_LEVEL)
        headers.append((b"content-encoding", b"gzip"))
        headers.append((b"vary", b"accept-encoding"))
    if answer.closes:
        headers.append((b"connection", b"close"))
    headers.append((b"content-length", b"%d" % len(body)))
    start: dict[str, Any] = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
