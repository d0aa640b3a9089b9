"""Answers on their way out: CORS on every one, gzip for those who take it and where it pays."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

from isal import igzip

__all__ = ["JSON", "TEXT", "Answer", "Ready", "ready"]

JSON = b"application/json"
TEXT = b"text/plain"

_FIRST = {
    each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode()
    + b"access-control-allow-origin: *\r\n"
    b"access-control-allow-methods: *\r\n"
    b"access-control-allow-headers: *\r\n"
    b"access-control-expose-headers: Content-Length, Access-Control-Allow-Origin, Access-Control-Allow-Headers,"
    b"Cache-Control,Content-Language,Content-Type,Expires,Last-Modified,Pragma,FooBar\r\n"
    b"access-control-max-age: 172800\r\n"
    b"access-control-allow-credentials: false\r\n"
    for each in HTTPStatus
}
"""The lines that begin an answer, by its status."""

_GZIP_FROM_BYTES = 1024
"""Below this an answer fits one packet anyway."""
_GZIP_LEVEL = 1


class Answer(NamedTuple):
    body: bytes
    status: int = 200
    content_type: bytes = JSON
    closes: bool = False
    """The connection is of no more use: the rest of a body is still on its way."""


class Ready(NamedTuple):
    """An answer as it goes over the wire, but for what is the connection's: the date and whether it stays open."""

    head: bytes
    """The status line and headers, each with its end of line; no empty line."""
    body: bytes
    closes: bool


def ready(answer: Answer, *, http_id: str, takes_gzip: bool) -> Ready:
    body, encoding = answer.body, b""
    if takes_gzip and len(body) >= _GZIP_FROM_BYTES:
        body = igzip.compress(body, _GZIP_LEVEL)
        encoding = b"content-encoding: gzip\r\nvary: accept-encoding\r\n"
    head = b"%bcontent-type: %b\r\nx-http-id: %b\r\n%bcontent-length: %d\r\n" % (
        _FIRST[answer.status], answer.content_type, http_id.encode(), encoding, len(body),
    )  # fmt: skip
    return Ready(head, body, answer.closes)
