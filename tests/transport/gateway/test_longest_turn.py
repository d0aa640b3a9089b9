"""No connection holds the loop: the longest turn under each kind of frame and request, sent as fast as possible.

The turns are timed by the CPU clock of the loop's thread, so that a busy machine does not count.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.frames import Frame, Opcode

from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.tests.kit.timed_node import TURN_LIMIT_S, TimedNode
from greenroom.tests.kit.wire_kit import Device, dial_url
from greenroom.transport.envelope.codec import Request, codec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FLOOD_BYTES = 2 << 20
POLICY_VIOLATION, NO_CLOSE_FRAME = 1008, 1006
ARGS_ERROR = 1001


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TimedNode]:
    async with TimedNode(tmp_path) as one:
        yield one


def request(number: int, data: bytes = b"", incr: str = "1") -> Request:
    return Request(number, send_id="a", operation_id="o", msg_incr=incr, data=data)


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=True)


def signal() -> bytes:
    return frame(Opcode.BINARY, codec("js", False).encode_request(request(1004)))


FLOODS: dict[str, tuple[bytes, bytes, int | None]] = {
    "empty pings": (b"", frame(Opcode.PING, b""), POLICY_VIOLATION),
    "full pings": (b"", frame(Opcode.PING, b"x" * 125), POLICY_VIOLATION),
    "pongs": (b"", frame(Opcode.PONG, b""), POLICY_VIOLATION),
    "text pings": (b"", frame(Opcode.TEXT, b'{"type":"ping","body":1}'), POLICY_VIOLATION),
    "empty fragments": (
        frame(Opcode.BINARY, b"", fin=False), frame(Opcode.CONT, b"", fin=False), POLICY_VIOLATION,
    ),
    "fragments of a byte": (
        frame(Opcode.BINARY, b"", fin=False), frame(Opcode.CONT, b"x", fin=False), POLICY_VIOLATION,
    ),
    "tiny requests": (b"", signal(), None),
    "watches of nobody": (b"", frame(Opcode.BINARY, codec("js", False).encode_request(request(2005))), None),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOODS)
async def test_flood(node: TimedNode, name: str) -> None:
    first, repeated, code = FLOODS[name]
    tokens = await node.tokens("a", "b")
    url = dial_url(node, "a", tokens["a"], sdkType="js")  # type: ignore[arg-type]

    async def attack() -> None:
        socket = await connect(url, compression=None, ping_interval=None, proxy=None, max_queue=None)
        raw = socket.transport
        raw.write(first + repeated * (FLOOD_BYTES // len(repeated)))
        if code is None:
            for _ in range(2_000):
                await socket.recv()
        else:
            await socket.wait_closed()
            assert socket.close_code == code
            assert socket.close_reason == "too many control frames"
        raw.abort()
        async with await Device.open(node, "b", tokens["b"]) as other:  # type: ignore[arg-type]
            await other.newest()

    assert await node.longest_turn_of(attack) <= TURN_LIMIT_S


def of_lists() -> dict[str, tuple[int, Any, str]]:
    chats = [f"si_a_{number}" for number in range(250_000)]
    return {
        "1006 of 250,000 ids": (
            1006, msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID="a", conversationIDs=["x"] * 250_000),
            "conversationIDs",
        ),
        "1006 of 1,001 ids": (
            1006, msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID="a", conversationIDs=chats[:1001]),
            "conversationIDs",
        ),
        "1005 of 1,000 x 700 seqs": (
            1005, msg_pb2.GetSeqMessageReq(
                userID="a",
                conversations=[msg_pb2.ConversationSeqs(conversationID="x", seqs=[1] * 700) for _ in range(1000)],
            ), "conversations",
        ),
        "1005 of 100 x 700 seqs": (
            1005, msg_pb2.GetSeqMessageReq(
                userID="a",
                conversations=[msg_pb2.ConversationSeqs(conversationID=one, seqs=[1] * 700) for one in chats[:100]],
            ), "conversations.seqs",
        ),
        "1002 of 200,000 ranges": (
            1002, sdkws_pb2.PullMessageBySeqsReq(userID="a", seqRanges=[sdkws_pb2.SeqRange()] * 200_000), "seqRanges",
        ),
        "1007 of 2,000 ids": (
            1007, msg_pb2.GetLastMessageReq(userID="a", conversationIDs=chats[:2000]), "conversationIDs",
        ),
        "2005 of 3,000 users": (
            2005, sdkws_pb2.SubUserOnlineStatus(subscribeUserID=chats[:3000]), "subscribeUserID",
        ),
        "2005 of 250,000 users to forget": (
            2005, sdkws_pb2.SubUserOnlineStatus(unsubscribeUserID=["x"] * 250_000), "subscribeUserID",
        ),
    }  # fmt: skip


async def test_lists_past_their_limit(node: TimedNode) -> None:
    tokens = await node.tokens("a")
    async with await Device.open(node, "a", tokens["a"], gzip=True) as device:  # type: ignore[arg-type]
        for name, (number, payload, field) in of_lists().items():
            data = payload.SerializeToString()

            async def attack(number: int = number, data: bytes = data, field: str = field) -> None:
                response = await device.answer(number, data)
                assert response.err_code == ARGS_ERROR
                assert response.err_msg.startswith(f"ArgsError: {field}")

            assert await node.longest_turn_of(attack) <= TURN_LIMIT_S, name


async def test_lists_at_their_limit(node: TimedNode) -> None:
    chats = [f"si_a_{number}" for number in range(1000)]
    users = [f"user{number:060d}" for number in range(2000)]
    asked: dict[int, Any] = {
        1006: msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID="a", conversationIDs=chats),
        1005: msg_pb2.GetSeqMessageReq(
            userID="a",
            conversations=[msg_pb2.ConversationSeqs(conversationID=one, seqs=range(1, 11)) for one in chats],
        ),
        1002: sdkws_pb2.PullMessageBySeqsReq(
            userID="a",
            seqRanges=[sdkws_pb2.SeqRange(conversationID=one, begin=0, end=9, num=9) for one in chats],
        ),
        1007: msg_pb2.GetLastMessageReq(userID="a", conversationIDs=chats),
        2005: sdkws_pb2.SubUserOnlineStatus(subscribeUserID=users, unsubscribeUserID=users),
    }
    tokens = await node.tokens("a")
    async with await Device.open(node, "a", tokens["a"], gzip=True) as device:  # type: ignore[arg-type]
        for number, payload in asked.items():
            data = payload.SerializeToString()

            async def attack(number: int = number, data: bytes = data) -> None:
                assert (await device.answer(number, data)).err_code == 0

            assert await node.longest_turn_of(attack) <= TURN_LIMIT_S, number


JSON_FRAMES = {
    "objects in an unknown key": b'{"x":[' + b",".join([b"{}"] * 300_000) + b'],"reqIdentifier":1001,"sendID":"a"}',
    "numbers in an unknown key": b'{"x":[' + b",".join([b"1"] * 500_000) + b'],"REQIDENTIFIER":1001,"sendID":"a"}',
    "unknown keys": b"{" + b",".join([b'"x":0'] * 170_000) + b',"SENDID":"a"}',
    "nested lists": b'{"x":' + b"[" * 900 + b"]" * 900 + b',"y":[' + b",".join([b"[]"] * 300_000) + b"]}",
}


@pytest.mark.parametrize("name", JSON_FRAMES)
async def test_json_with_many_unknown_values(node: TimedNode, name: str) -> None:
    tokens = await node.tokens("a")

    async def attack() -> None:
        async with await Device.open(node, "a", tokens["a"], gzip=True) as device:  # type: ignore[arg-type]
            await device.newest()
            await device.socket.send(gzip.compress(JSON_FRAMES[name]))
            assert await device.closed() == NO_CLOSE_FRAME

    assert await node.longest_turn_of(attack) <= TURN_LIMIT_S


async def test_json_with_a_few_unknown_values_is_read(node: TimedNode) -> None:
    tokens = await node.tokens("a")
    async with await Device.open(node, "a", tokens["a"]) as device:  # type: ignore[arg-type]
        answer = device.answers["7"] = asyncio.get_running_loop().create_future()
        data = base64.b64encode(sdkws_pb2.GetMaxSeqReq(userID="a").SerializeToString()).decode()
        known = {"ReqIdentifier": 1001, "sendID": "a", "msgIncr": "7", "data": data}
        await device.socket.send(json.dumps({"x": [{} for _ in range(1000)], **known}).encode())
        assert (await answer).err_code == 0
