"""A connection's requests: the table, their order, pipelining and pressure, and what ends a connection."""

from __future__ import annotations

import asyncio
import gzip
import logging
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode

from greenroom.actors.wire import push_pb2, sdkws_pb2
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.tests.transport.stage import get, kick
from greenroom.transport.envelope.codec import Request, codec
from greenroom.transport.gateway.requests import REQUESTS
from greenroom.transport.gateway.websocket import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from greenroom.tests.transport.stage import Client, Stage


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[Client]:
    async with await stage.client() as client:
        yield client


@pytest.fixture
async def bystander(stage: Stage) -> AsyncIterator[Client]:
    """A second client. Whatever happens to the first one must not disturb it."""
    async with await stage.client("z") as client:
        yield client
        await client.ask(RequestId.NEWEST_SEQS)
        assert (await client.receive()).err_code == 0


async def test_queries_with_their_caller(stage: Stage, client: Client) -> None:
    names = {
        RequestId.NEWEST_SEQS: "newest_seqs",
        RequestId.PULL_BY_RANGE: "pull_by_range",
        RequestId.PULL_BY_SEQS: "pull_by_seqs",
        RequestId.SEQ_STATES: "seq_states",
        RequestId.LAST_MESSAGES: "last_messages",
    }
    for req_identifier, name in names.items():
        incr = await client.ask(req_identifier)
        response = await client.receive()
        assert (response.req_identifier, response.msg_incr, response.err_code) == (req_identifier, incr, 0)
        called, caller = stage.queries.calls[-1]
        assert called == name
        assert (caller.user_id, caller.platform_id, caller.operation_id) == ("a", 2, response.operation_id)


async def test_send(stage: Stage, client: Client) -> None:
    await client.send_message("m1", content=b"hello")
    response = await client.receive()
    assert response.req_identifier == RequestId.SEND_MESSAGE
    assert response.data == b"\x12\x02m1\x18\x01"
    assert stage.sent[0].caller.user_id == "a"
    assert stage.sent[0].message.content == b"hello"


@pytest.mark.parametrize(("client_msg_id", "session_type"), [("refused", 1), ("nowhere", 9)])
async def test_send_refused(client: Client, client_msg_id: str, session_type: int) -> None:
    message = sdkws_pb2.MsgData(sendID="a", clientMsgID=client_msg_id, sessionType=session_type)
    await client.ask(RequestId.SEND_MESSAGE, message.SerializeToString())
    response = await client.receive()
    assert (response.err_code, response.err_msg, response.data) == (1004, "RecordNotFoundError", None)


@pytest.mark.parametrize(("user_id", "code"), [("nobody", 1004), ("bug", 500)])
async def test_query_that_fails(client: Client, user_id: str, code: int) -> None:
    await client.ask(RequestId.NEWEST_SEQS, sdkws_pb2.GetMaxSeqReq(userID=user_id).SerializeToString())
    assert (await client.receive()).err_code == code
    await client.ask(RequestId.NEWEST_SEQS)
    assert (await client.receive()).err_code == 0


@pytest.mark.parametrize("req_identifier", [number for number, kind in REQUESTS.items() if kind.payload])
async def test_undecodable_protobuf(client: Client, bystander: Client, req_identifier: int) -> None:
    await client.ask(req_identifier, b"\xff\xff\xff")
    response = await client.receive()
    assert (response.err_code, response.err_msg) == (500, "ServerInternalError")
    if req_identifier != RequestId.LOGOUT:
        await client.ask(RequestId.NEWEST_SEQS)
        assert (await client.receive()).err_code == 0
    else:
        assert await client.closed() == 1006


@pytest.mark.parametrize("field", ["operation_id", "msg_incr"])
@pytest.mark.parametrize(
    "req_identifier",
    [
        RequestId.NEWEST_SEQS, RequestId.PULL_BY_RANGE, RequestId.SEND_MESSAGE, RequestId.PULL_BY_SEQS,
        RequestId.SEQ_STATES, RequestId.LAST_MESSAGES, RequestId.SET_BACKGROUND, RequestId.PRESENCE,
    ],
)  # fmt: skip
async def test_empty_envelope_fields(client: Client, req_identifier: int, field: str) -> None:
    await client.ask(req_identifier, b"", **{field: ""})
    strict = req_identifier in (
        RequestId.PULL_BY_RANGE, RequestId.PULL_BY_SEQS, RequestId.SEQ_STATES, RequestId.SET_BACKGROUND,
    )  # fmt: skip
    assert (await client.receive()).err_code == (500 if strict else 0)


async def test_signal_always_fails(client: Client) -> None:
    await client.ask(RequestId.SEND_SIGNAL, b"\xff")
    assert (await client.receive()).err_code == 500


@pytest.mark.parametrize("req_identifier", [RequestId.NEWEST_SEQS, RequestId.SET_BACKGROUND])
async def test_many_unknown_fields(client: Client, req_identifier: int) -> None:
    """A few are ignored, as always in protobuf. Hundreds of thousands, in a frame of 1 KB with gzip, are refused."""
    known, unknown = sdkws_pb2.GetMaxSeqReq(userID="a").SerializeToString(), b"\x78\x01"
    await client.ask(req_identifier, known + 100 * unknown)
    assert (await client.receive()).err_code == 0
    await client.ask(req_identifier, known + 10_000 * unknown)
    refusal = await client.receive()
    assert (refusal.err_code, refusal.err_msg) == (1001, "ArgsError: data: longer than 16384 bytes")


async def test_logout_ends_after_the_reply(stage: Stage, client: Client) -> None:
    await client.ask(RequestId.LOGOUT, push_pb2.DelUserPushTokenReq(userID="a", platformID=2).SerializeToString())
    assert (await client.receive()).err_code == 0
    assert await client.closed() == 1006
    await stage.until(lambda: len(stage.closed) == 1)


async def test_background_on_ios_gets_no_pushes(stage: Stage) -> None:
    async with await stage.client("i", 1) as client:
        for is_background in (True, False):
            request = sdkws_pb2.SetAppBackgroundStatusReq(isBackground=is_background)
            await client.ask(RequestId.SET_BACKGROUND, request.SerializeToString())
            assert (await client.receive()).data is None
            assert stage.push("i", b"%r" % is_background) == []
        response = await client.receive()
        assert b"False" in (response.data or b"")


BAD_FRAMES: list[Any] = [
    pytest.param(lambda codec: b"rubbish", id="no envelope"),
    pytest.param(lambda codec: b"", id="empty"),
    pytest.param(lambda codec: codec.encode_request(Request(1999, send_id="a")), id="unknown id"),
    pytest.param(lambda codec: codec.encode_request(Request(RequestId.PUSH, send_id="a")), id="the server's id"),
    pytest.param(lambda codec: codec.encode_request(Request(RequestId.NEWEST_SEQS, send_id="b")), id="another user"),
    pytest.param(lambda codec: codec.encode_request(Request(RequestId.NEWEST_SEQS)), id="no user"),
    pytest.param(lambda codec: codec.encode_request(Request(RequestId.NEWEST_SEQS, send_id="a"))[:-1], id="cut short"),
    pytest.param(lambda codec: gzip.compress(bytes(40_000_000)), id="bomb"),
    pytest.param(lambda codec: "hello", id="text"),
    pytest.param(lambda codec: '{"type":"close","body":1}', id="unknown text"),
    pytest.param(lambda codec: '{"body":1}', id="text without type"),
    pytest.param(lambda codec: "[1]", id="text list"),
]


@pytest.mark.parametrize("frame", BAD_FRAMES)
@pytest.mark.parametrize("compression", ["", "gzip"])
@pytest.mark.parametrize("sdk_type", ["go", "js"])
async def test_bad_frame_ends_this_connection_only(
    stage: Stage, bystander: Client, frame: Callable[..., bytes | str], compression: str, sdk_type: str
) -> None:
    async with await stage.client(compression=compression, sdkType=sdk_type) as client:
        await client.send_message("before")
        await client.socket.send(frame(client.codec))
        assert (await client.receive()).req_identifier == RequestId.SEND_MESSAGE
        assert await client.closed() == 1006
        await stage.until(lambda: len(stage.closed) == 1)
    assert len(stage.sessions) == 1


async def test_plain_frame_on_a_compressed_connection(stage: Stage, client: Client) -> None:
    async with await stage.client("b", compression="gzip") as other:
        await other.socket.send(client.codec.encode_request(Request(RequestId.NEWEST_SEQS, send_id="b")))
        assert await other.closed() == 1006


async def test_oversize_frame(client: Client, bystander: Client) -> None:
    await client.socket.send(b"x" * 51_201)
    assert await client.closed() == 1009


async def test_text_ping_and_pong(client: Client) -> None:
    for text, answer in [
        ('{"type":"ping","body":"op-ping"}', '{"type":"pong","body":"op-ping"}'),
        ('{"type":"ping","body":{"a": [1]}}', '{"type":"pong","body":{"a": [1]}}'),
        ('{"type":"ping"}', '{"type":"pong","body":null}'),
    ]:
        await client.socket.send('{"type":"pong","body":"ignored"}')
        await client.socket.send(text)
        assert await client.socket.recv() == answer


async def test_websocket_ping(client: Client) -> None:
    async with asyncio.timeout(30):
        await (await client.socket.ping("operation"))


async def test_kick(stage: Stage, client: Client, bystander: Client) -> None:
    await stage.until(lambda: len(stage.opened) == 2)
    kick(stage, stage.opened[0])
    response = await client.receive()
    assert (response.req_identifier, response.msg_incr, response.operation_id) == (RequestId.KICK, "", "")
    assert await client.closed() == 1006
    await stage.until(lambda: len(stage.closed) == 1)
    assert stage.closed[0].connection == stage.opened[0].connection
    assert not stage.base.awake(stage.opened[0].connection)


async def test_sends_are_pipelined_up_to_the_bound(stage: Stage, client: Client) -> None:
    stage.hold_sends = True
    for number in range(10):
        await client.send_message(f"m{number}")
    await stage.until(lambda: len(stage.sent) == 4)
    stage.release(1)
    assert (await client.receive()).msg_incr == "a_1"
    await stage.until(lambda: len(stage.sent) == 5)
    stage.hold_sends = False
    stage.release(4)
    incrs = [(await client.receive()).msg_incr for _ in range(9)]
    assert sorted(incrs) == sorted(f"a_{number}" for number in range(2, 11))
    assert [each.message.clientMsgID for each in stage.sent] == [f"m{number}" for number in range(10)]


async def test_other_requests_run_alone(stage: Stage, client: Client) -> None:
    stage.hold_sends = True
    stage.queries.gate = asyncio.Event()
    await client.send_message("m1")
    await client.ask(RequestId.NEWEST_SEQS)
    await client.send_message("m2")
    await client.ask(RequestId.SET_BACKGROUND)
    await stage.until(lambda: len(stage.sent) == 1)
    assert stage.queries.calls == []
    stage.release(1)
    assert (await client.receive()).req_identifier == RequestId.SEND_MESSAGE
    await stage.until(lambda: len(stage.queries.calls) == 1)
    assert len(stage.sent) == 1
    stage.queries.gate.set()
    assert (await client.receive()).req_identifier == RequestId.NEWEST_SEQS
    await stage.until(lambda: len(stage.sent) == 2)
    stage.release(1)
    assert (await client.receive()).req_identifier == RequestId.SEND_MESSAGE
    assert (await client.receive()).req_identifier == RequestId.SET_BACKGROUND


async def test_client_that_asks_more_is_read_no_further(stage: Stage, client: Client) -> None:
    stage.hold_sends = True

    async def flood() -> None:
        for number in range(2_000):
            await client.send_message(f"m{number}", content=b"x" * 10_000)

    flooding = asyncio.create_task(flood())
    await stage.until(lambda: len(stage.sent) == 4)
    await asyncio.sleep(0.2)
    assert not flooding.done()
    assert len(stage.sent) == 4
    flooding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flooding
    client.socket.transport.abort()
    stage.hold_sends = False
    stage.release(4)
    await stage.until(lambda: len(stage.gateway.connections) == 0)


@pytest.mark.parametrize("how", ["with the upgrade", "with the request", "end of its side"])
async def test_last_words_with_the_request(stage: Stage, how: str) -> None:
    """A request is answered even if a close frame, or the end of the client's side, follows it at once."""
    stage.queries.gate = asyncio.Event()
    speech = codec("js", False)
    request = Request(req_identifier=RequestId.NEWEST_SEQS, send_id="a", operation_id="op", msg_incr="1", data=b"")
    words = Frame(Opcode.BINARY, speech.encode_request(request)).serialize(mask=True)
    close, echo = Frame(Opcode.CLOSE, Close(1000, "").serialize()), b"\x88\x02\x03\xe8"
    if how == "end of its side":
        echo = b""
    else:
        words += close.serialize(mask=True)
    head = get(stage.url(sdkType="js").partition(f":{stage.gateway.port}")[2]).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
    async with asyncio.timeout(30):
        writer.write(head + words if how == "with the upgrade" else head)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        if how != "with the upgrade":
            writer.write(words)
        if how == "end of its side":
            writer.write_eof()
        await stage.until(lambda: len(stage.queries.calls) == 1)
        stage.queries.gate.set()
        rest = await reader.read()
    assert rest.endswith(echo)
    frame = rest[: len(rest) - len(echo)]
    answer = speech.decode_response(frame[4 if frame[1] == 126 else 2 :])
    assert (answer.req_identifier, answer.err_code, answer.msg_incr) == (1001, 0, "1")
    writer.close()
    await writer.wait_closed()
    await stage.until(lambda: len(stage.gateway.connections) == 0)


def _phases(stage: Stage) -> list[Phase]:
    return [each.phase for each in stage.gateway.connections]


async def test_client_that_leaves_with_requests_in_flight(stage: Stage, client: Client) -> None:
    stage.hold_sends = True
    await client.send_message("m1")
    await stage.until(lambda: len(stage.sent) == 1)
    client.socket.transport.abort()
    await stage.until(lambda: _phases(stage) == [Phase.DRAINING])
    stage.release(1)
    await stage.until(lambda: len(stage.closed) == 1)
    assert len(stage.gateway.connections) == 0
    assert len(stage.sessions) == 0


async def test_nothing_secret_is_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("websockets.client", "websockets.protocol"):
        logging.getLogger(name).disabled = True
    try:
        async with await stage.client("a", 2, "tokenword") as client:
            await client.send_message("m1", content=b"secret body")
            await client.receive()
            await client.ask(RequestId.NEWEST_SEQS, sdkws_pb2.GetMaxSeqReq(userID="bug").SerializeToString())
            await client.receive()
            stage.push("a", b"secret body")
            await client.receive()
            await client.socket.send('{"type":"secret body"}')
            await client.closed()
        with pytest.raises((ConnectionClosed, Exception)):
            await stage.client("a", 2, "tokenword-expired")
    finally:
        for name in ("websockets.client", "websockets.protocol"):
            logging.getLogger(name).disabled = False
    await stage.until(lambda: len(stage.closed) == 1)
    assert "tokenword" not in caplog.text
    assert "secret" not in caplog.text
    assert "sendID" not in caplog.text
    assert any(record.name == "greenroom.transport" for record in caplog.records)
