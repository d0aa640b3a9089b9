"""The handshake: every failure with its code, both forms, the text answer, requests that do not ask for WebSocket."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from websockets.asyncio.client import connect

from greenroom.actors.errors import ArgsMissing, GreenroomError
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.tests.transport.stage import UPGRADE, Client, Stage, get
from greenroom.transport.gateway.handshake import parse_parameters

if TYPE_CHECKING:
    from greenroom.persistence.settings import WebSocketSettings

GOOD = {"sendID": "a", "token": "a-2-good", "platformID": "2", "operationID": "op", "isBackground": "false"}


def target(**changes: str | None) -> str:
    fields = {**GOOD, **changes}
    return "/any/path?" + "&".join(f"{name}={value}" for name, value in fields.items() if value is not None)


def packed(**fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()


async def talk(stage: Stage, request: str | bytes) -> bytes:
    """Send raw bytes, and read until the server has closed its side."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
    writer.write(request if isinstance(request, bytes) else request.encode())
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


REFUSED = [
    (target(operationID=None), 1602, "operationID is empty"),
    (target(operationID=None, token=None), 1602, "operationID is empty"),
    (target(token=None), 1602, "token is empty"),
    (target(sendID=""), 1602, "sendID is empty"),
    (target(platformID=None), 1602, "platformID is not int"),
    (target(platformID="two"), 1602, "platformID is not int"),
    (target(platformID="two", isMsgResp="x", isBackground="x"), 1602, "platformID is not int"),
    (target(platformID="77"), 1602, "platformID is invalid"),
    (target(platformID="0"), 1602, "platformID is invalid"),
    (target(sdkType="rust"), 1602, "sdkType is invalid"),
    (target(sdkType="rust", platformID="77"), 1602, "platformID is invalid"),
    (target(isMsgResp="yes"), 1602, "isMsgResp is not bool"),
    (target(isBackground="yes"), 500, "isBackground is not bool"),
    (target(isBackground=""), 500, "isBackground is not bool"),
    (target(isBackground="yes", operationID=None), 500, "isBackground is not bool"),
    (target(isMsgResp="true", sendID=""), 1602, "sendID is empty"),
    ("/?v=a+b", 1602, "v is not base64"),
    ("/?v=abcde", 1602, "v is not base64"),
    ("/?v=YWJj", 1602, "v is not valid JSON"),
    ("/?v=" + packed(userID="a", token="a-2-good", platformID=2), 1602, "operationID is empty"),
    ("/?v=" + packed(userID="a", operationID="o", platformID=2), 1602, "token is empty"),
    ("/?v=" + packed(userID="a", operationID="o", token="t", platformID=12), 1602, "platformID is invalid"),
    ("/?v=" + packed(platformID="2"), 1602, "v is not valid JSON"),
    ("/", 1602, "platformID is not int"),
    (target(token="a-2-expired"), 1501, ""),
    (target(token="rubbish"), 1503, ""),
    (target(token="b-2-good"), 1502, ""),
    (target(token="a-3-good"), 1502, ""),
    (target(token="a-2-kicked"), 1506, ""),
    (target(token="a-2-kicked", isMsgResp="false"), 1506, ""),
]


@pytest.mark.parametrize(("path", "code", "detail"), REFUSED)
async def test_refused_connect(stage: Stage, path: str, code: int, detail: str) -> None:
    head, _, body = (await talk(stage, get(path))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: application/json; charset=utf-8" in head
    answer = json.loads(body)
    assert list(answer) == ["errCode", "errMsg", "errDlt"]
    assert (answer["errCode"], answer["errDlt"]) == (code, detail)
    await stage.until(lambda: len(stage.gateway.connections) == 0)
    assert len(stage.sessions) == 0


@pytest.mark.parametrize(("word", "code"), [("expired", 1501), ("kicked", 1506)])
async def test_refused_token_with_text_answer(stage: Stage, word: str, code: int) -> None:
    async with connect(stage.url("a", 2, word, isMsgResp="true"), compression=None, proxy=None) as socket:
        text = await socket.recv()
        assert isinstance(text, str)
        assert json.loads(text)["errCode"] == code
        await socket.wait_closed()
        assert socket.close_code == 1006


async def test_accepted_text_answer_comes_first(stage: Stage) -> None:
    async with await stage.client("a", 5, "early", isMsgResp="true") as client:
        assert await client.socket.recv() == '{"errCode":0,"errMsg":"","errDlt":""}'
        assert (await client.receive()).req_identifier == RequestId.PUSH


async def test_push_before_the_answer_waits_for_the_upgrade(stage: Stage) -> None:
    async with await stage.client("a", 2, "early") as client:
        assert (await client.receive()).operation_id == "op-push"


@pytest.mark.parametrize("sdk_type", ["", "go", "js"])
@pytest.mark.parametrize("compression", ["", "gzip"])
async def test_both_forms_and_all_envelopes(stage: Stage, sdk_type: str, compression: str) -> None:
    v = packed(
        userID="a",
        token="a-2-good",
        platformID=2,
        operationID="op",
        compression=compression,
        sdkType=sdk_type,
        background=True,
        sdkVersion="x",
    )
    for url in (
        f"ws://127.0.0.1:{stage.gateway.port}/x?v={v}&sendID=ignored",
        stage.url(sdkType=sdk_type, compression=compression, isBackground="T"),
    ):
        socket = await connect(url, compression=None, proxy=None, origin="https://elsewhere.example")  # type: ignore[arg-type]
        async with Client(socket, "a", sdk_type or "go", compression == "gzip") as client:
            incr = await client.ask(RequestId.NEWEST_SEQS)
            assert (await client.receive()).msg_incr == incr
            assert stage.sessions.sessions_of("a")[-1].is_background
    assert [each.caller.platform_id for each in stage.opened] == [2, 2]
    assert stage.opened[0].digest == b"a-2-good"


async def test_compression_header_counts_when_the_parameter_is_missing(stage: Stage) -> None:
    socket = await connect(
        stage.url(), compression=None, proxy=None, additional_headers={"Compression": "gzip"}
    )
    async with Client(socket, "a", "go", True) as client:
        await client.ask(RequestId.NEWEST_SEQS)
        assert (await client.receive()).err_code == 0


@pytest.mark.parametrize(
    "request_",
    [
        get(target(), "Host: x\r\n"),
        get(target(), UPGRADE.replace("13", "12")),
        get(target(), UPGRADE.replace("dGhl", "!!!!")),
        get(target()).replace("GET", "PUT"),
        get(target()).replace("HTTP/1.1", "HTTP/1.0"),
        get(target()).replace("HTTP/1.1", "HTTP/9"),
        get(target(), "Host: x\r\nTransfer-Encoding: chunked\r\n"),
        "\r\n\r\n",
        b"\x16\x03\x01\xff\xff\r\n\r\n",
        get("/" + "x" * 17_000),
        get("/", "x: y\r\n" * 3_000),
        b"G" * 20_000,
    ],
)
async def test_no_websocket_request(stage: Stage, request_: str | bytes) -> None:
    assert (await talk(stage, request_)).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    await stage.until(lambda: len(stage.gateway.connections) == 0)


@pytest.mark.parametrize("request_", ["OPTIONS / HTTP/1.0\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"])
async def test_question_whether_the_gateway_is_there(stage: Stage, request_: str) -> None:
    """Like upstream, the gateway answers any method. The first is HAProxy's check, which wants a status below 400."""
    answer = await talk(stage, request_)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["errCode"] == 1602


@pytest.mark.parametrize("path", ["/", target(token="a-2-expired"), target()])
async def test_head_has_no_body(stage: Stage, path: str) -> None:
    answer = await talk(stage, get(path).replace("GET", "HEAD"))
    assert answer.startswith(b"HTTP/1.1 400 " if path == target() else b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")


async def test_white_space_behind_a_value(stage: Stage) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
    writer.write(get(target(), UPGRADE.replace("\r\n", " \t\r\n")).encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    writer.close()
    await writer.wait_closed()


async def test_request_in_small_pieces_and_frames_right_behind_it(stage: Stage) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
    request = get(target()).encode()
    for at in range(0, len(request), 50):
        writer.write(request[at : at + 50])
        await asyncio.sleep(0)
    writer.write(b"\x89\x80\x00\x00\x00\x00")
    async with asyncio.timeout(30):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await reader.readexactly(2) == b"\x8a\x00"
    writer.close()
    await writer.wait_closed()


async def test_connections_full(settings: WebSocketSettings) -> None:
    async with Stage(msgspec.structs.replace(settings, max_connections=1)) as stage:
        async with await stage.client():
            answer = await talk(stage, get("/?platformID=rubbish&isMsgResp=true"))
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["errCode"] == 1601
        await stage.until(lambda: len(stage.gateway.connections) == 0)
        async with await stage.client():
            pass


@pytest.mark.parametrize("word", ["GET / HTTP/1.1\r\nHost", get(target(token="a-2-silent"))])
async def test_handshake_timeout(settings: WebSocketSettings, word: str) -> None:
    async with Stage(msgspec.structs.replace(settings, handshake_timeout_s=0.1), tick_s=0.02) as stage:
        assert await talk(stage, word) == b""
        await stage.until(lambda: len(stage.gateway.connections) == 0)


def test_parameters_never_show_the_token() -> None:
    assert "a-2-good" not in repr(parse_parameters(target()))


def test_first_of_a_repeated_parameter_counts() -> None:
    parameters = parse_parameters(target() + "&sendID=z&compression=gzip", "none")
    assert (parameters.user_id, parameters.compression) == ("a", "gzip")


def test_background_is_false_when_left_out() -> None:
    assert parse_parameters(target(isBackground=None)).is_background is False


def test_too_many_parameters() -> None:
    with pytest.raises(ArgsMissing):
        parse_parameters("/?" + "a=b&" * 100)


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_bools_of_go(text: str) -> None:
    assert parse_parameters(target(isBackground=text)).is_background
    with pytest.raises(GreenroomError):
        parse_parameters(target(isBackground=text + "x"))
