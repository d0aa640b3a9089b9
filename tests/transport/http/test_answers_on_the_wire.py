"""Answers as bytes on a connection: what HTTP/1.1 asks of any server."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from greenroom.transport.http.metrics import Metrics

if TYPE_CHECKING:
    import pytest

    from greenroom.tests.kit.http_kit import HttpStage

BODY = b'{"status":"ok"}'


async def say(http: HttpStage, *parts: bytes) -> bytes:
    """All that comes until the server closes, which the last part asks for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", http.server.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    try:
        return await reader.read()
    finally:
        writer.close()


def request(method: str = "GET", *, close: bool = True, version: str = "1.1", path: str = "/healthz") -> bytes:
    closing = "connection: close\r\n" if close else ""
    return f"{method} {path} HTTP/{version}\r\nhost: x\r\n{closing}\r\n".encode()


async def test_head_has_the_length_and_no_body(http: HttpStage) -> None:
    head, _, body = (await say(http, request("HEAD"))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ncontent-length: %d" % len(BODY) in head
    assert head.count(b"\r\ndate: ") == 1
    assert b"\r\nconnection: close\r\n" in head
    assert body == b""


async def test_each_text_names_its_charset(http: HttpStage) -> None:
    """JSON needs none: it is UTF-8."""
    asked = {
        request(path="/no/such/page"): b"404",
        request(path="/healthz/"): b"301",
        request(path="/metrics"): b"200",
        request(method="PUT"): b"404",
        b"rubbish\r\n\r\n": b"400",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n": b"431",
        request(method="CONNECT", path="example.org:443"): b"400",
    }
    for data, status in asked.items():
        head = (await say(http, data)).partition(b"\r\n\r\n")[0]
        assert head.startswith(b"HTTP/1.1 " + status), data
        (kind,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-type: ")]
        assert kind.startswith(b"content-type: text/plain; "), data
        assert kind.endswith(b"charset=utf-8"), data
    head = (await say(http, request())).partition(b"\r\n\r\n")[0]
    assert b"\r\ncontent-type: application/json\r\n" in head


async def test_http_1_0_is_answered_and_closed(http: HttpStage) -> None:
    answer = await say(http, request(version="1.0", close=False))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\n" + BODY)


async def test_requests_at_once_are_answered_in_order(http: HttpStage) -> None:
    head, first, second, third = (
        await say(http, request(close=False) + request("PUT", close=False) + request())
    ).split(b"HTTP/1.1 ")
    assert head == b""
    assert first.endswith(b"\r\n\r\n" + BODY)
    assert second.startswith(b"404 Not Found\r\n")
    assert b"connection: close" not in first + second
    assert third.endswith(b"\r\n\r\n" + BODY)


async def test_client_that_waits_for_a_go_ahead(http: HttpStage) -> None:
    head = (
        "POST /msg/get_server_time HTTP/1.1\r\nhost: x\r\nconnection: close\r\noperationID: o\r\n"
        f"token: {http.tokens['u1']}\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", http.server.port)
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert b'"errCode":0' in await reader.read()
    writer.close()


async def test_unforeseen_error_outside_the_table(
    http: HttpStage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    quoted = "a secret nickname"

    def render(_: Metrics) -> bytes:
        raise ValueError(quoted)

    monkeypatch.setattr(Metrics, "render", render)
    with caplog.at_level(logging.DEBUG):
        answer = await say(http, request(path="/metrics"))
    assert answer.endswith(b'\r\n\r\n{"errCode":500,"errMsg":"ServerInternalError","errDlt":""}')
    assert quoted not in caplog.text
