"""One connection that sends as fast as it can, of what costs it least: a pair goes on chatting, and controls end it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import time
from typing import TYPE_CHECKING

import pytest
from websockets.frames import Frame, Opcode

from greenroom.actors.errors import ArgsError
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.tests.kit.wire_kit import Device, Pair, dial_url
from greenroom.transport.envelope.codec import Request, codec

if TYPE_CHECKING:
    from greenroom.tests.kit.node_kit import NodeProcess

FLOOD_S = 2.5
BLOCK_BYTES = 1 << 18
LAST_BYTES = 64
CONNECTIONS_PER_TOKEN = 30


@pytest.fixture
def node(module_node: NodeProcess) -> NodeProcess:
    return module_node


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=True)


CONTROLS = {
    "pings": (b"", frame(Opcode.PING)),
    "pongs": (b"", frame(Opcode.PONG)),
    "text pings": (b"", frame(Opcode.TEXT, b'{"type":"ping","body":1}')),
    "empty fragments": (frame(Opcode.BINARY, fin=False), frame(Opcode.CONT, fin=False)),
}


def upgraded(node: NodeProcess, token: str) -> socket.socket:
    """A connection of user `mallory`, by hand."""
    path = dial_url(node, "mallory", token, sdkType="js").removeprefix(node.ws_url)
    one = socket.create_connection(("127.0.0.1", node.ws_port), timeout=10)
    one.sendall(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert one.recv(4096).startswith(b"HTTP/1.1 101")
    return one


def flood(one: socket.socket, first: bytes, repeated: bytes, seconds: float) -> bytes:
    """Write for so long, or until the node ends it; returns the last bytes that it wrote."""
    one.sendall(first)
    block = memoryview(repeated * (BLOCK_BYTES // len(repeated)))
    one.setblocking(False)
    deadline = time.monotonic() + seconds
    written, received = 0, b""
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                written = (written + one.send(block[written:])) % len(block)
            with contextlib.suppress(BlockingIOError):
                data = one.recv(1 << 16)
                received = received[-LAST_BYTES:] + data
                if not data:
                    break
    return received


@pytest.mark.ci
@pytest.mark.parametrize("name", CONTROLS)
async def test_flood_of_controls(node: NodeProcess, name: str) -> None:
    tokens = await node.tokens("mallory", "alice", "bob")
    async with Pair(node, tokens, ("alice", "bob"), body="hello") as pair, pair.chatting():
        one = upgraded(node, tokens["mallory"])
        with contextlib.closing(one):
            last = await asyncio.to_thread(flood, one, *CONTROLS[name], FLOOD_S)
        assert last.endswith(b"\x03\xf0too many control frames")  # 1008


@pytest.mark.ci
async def test_flood_of_tiny_requests(node: NodeProcess) -> None:
    tokens = await node.tokens("mallory", "alice", "bob")
    request = Request(RequestId.SEND_SIGNAL, send_id="mallory", operation_id="o", msg_incr="1")
    repeated = frame(Opcode.BINARY, codec("js", False).encode_request(request))
    async with Pair(node, tokens, ("alice", "bob"), body="hello") as pair:
        async with pair.chatting():
            before = pair.count
            with contextlib.closing(upgraded(node, tokens["mallory"])) as one:
                await asyncio.to_thread(flood, one, b"", repeated, FLOOD_S)
        assert pair.count - before > 20
    assert "the store does not answer" not in node.log


@pytest.mark.ci
async def test_many_connections_of_one_user(node: NodeProcess) -> None:
    """Each asks for what is dear to read. Together they cost the pair no more than one of them: a message goes both
    ways while one or two of them are answered, not once in a round of all."""
    tokens = await node.tokens("mallory", "alice", "bob")
    data = sdkws_pb2.PullMessageBySeqsReq(userID="mallory").SerializeToString() + b"\x12\x00" * 140_000
    answers = 0

    async def ask(device: Device) -> None:
        nonlocal answers
        while True:
            assert (await device.answer(RequestId.PULL_BY_RANGE, data)).err_code == ArgsError.code
            answers += 1

    async with Pair(node, tokens, ("alice", "bob"), body="hello") as pair, contextlib.AsyncExitStack() as stack:
        opened = [Device.open(node, "mallory", tokens["mallory"], gzip=True) for _ in range(CONNECTIONS_PER_TOKEN - 5)]
        devices = [await stack.enter_async_context(await each) for each in opened]
        async with pair.chatting():
            before = pair.count
            asking = [asyncio.create_task(ask(device)) for device in devices]
            await asyncio.wait(asking, timeout=FLOOD_S)
            count = pair.count - before
            assert not any(task.done() for task in asking)
            for task in asking:
                task.cancel()
        assert answers > len(devices)
        assert count > answers / 2


async def test_json_with_a_few_unknown_values_is_read(node: NodeProcess) -> None:
    tokens = await node.tokens("a")
    async with await Device.open(node, "a", tokens["a"]) as device:
        answer = device.answers["7"] = asyncio.get_running_loop().create_future()
        data = base64.b64encode(sdkws_pb2.GetMaxSeqReq(userID="a").SerializeToString()).decode()
        known = {"ReqIdentifier": 1001, "sendID": "a", "msgIncr": "7", "data": data}
        await device.socket.send(json.dumps({"x": [{} for _ in range(1000)], **known}).encode())
        assert (await answer).err_code == 0


async def test_further_connection_of_a_token_kicks_its_oldest(node: NodeProcess) -> None:
    tokens = await node.tokens("crowd")
    devices = [await Device.open(node, "crowd", tokens["crowd"]) for _ in range(CONNECTIONS_PER_TOKEN + 1)]
    await devices[0].closed()
    assert [one.req_identifier for one in devices[0].strays] == [RequestId.KICK]
    for one in devices[1:]:
        await one.newest()
        await one.socket.close()
