"""JSON that is nested too deep is malformed like any other, on every road in, and costs the log nothing."""

from __future__ import annotations

import asyncio
import base64

import httpx
import pytest

from greenroom.tests.kit.node_kit import SECRET, NodeProcess
from greenroom.tests.kit.wire_kit import Device
from greenroom.transport.client.api import Api

TIMES = 5


@pytest.fixture
def node(module_node: NodeProcess) -> NodeProcess:
    return module_node


def lists(depth: int) -> str:
    return "[" * depth + "]" * depth


def objects(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


VALUES = [lists(1500), lists(12_000), objects(1500), objects(3000)]


def error_lines(node: NodeProcess) -> list[str]:
    return [line for line in node.log.splitlines() if '"error"' in line or "Traceback" in line]


async def test_frames(node: NodeProcess) -> None:
    token = (await node.tokens("mallory"))["mallory"]
    for value in VALUES:
        pings = f'{{"type":"ping","body":{value}}}', f'{{"type":"ping","x":{value}}}'
        for frame in (*pings, value, value.encode()):
            for _ in range(TIMES):
                device = await Device.open(node, "mallory", token)
                await device.socket.send(frame)
                assert await device.closed() == 1006
    assert error_lines(node) == []


async def test_parameters_of_a_connect(node: NodeProcess) -> None:
    for value in (lists(1500), lists(5000), objects(1500)):
        v = base64.urlsafe_b64encode(f'{{"a":{value}}}'.encode()).decode().rstrip("=")
        for _ in range(TIMES):
            reader, writer = await asyncio.open_connection("127.0.0.1", node.ws_port)
            writer.write(f"GET /?v={v} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert b'"errCode":1602' in await reader.read()
            writer.close()
    assert error_lines(node) == []


async def test_bodies(node: NodeProcess) -> None:
    """The depths next to Python's own limit, too: what parses must not fail later."""
    tokens = await node.tokens("mallory")
    async with Api(node.api_url) as api:
        admin = await api.admin_token(SECRET)
    async with httpx.AsyncClient(base_url=node.api_url, trust_env=False, timeout=30) as client:
        for depth in (*range(900, 1001, 7), 12_000):
            for value in (lists(depth), objects(depth)):
                send = '{"sendID":"mallory","recvID":"mallory","contentType":110,"sessionType":1,"content":%s}'
                for path, body, token in [
                    ("/msg/send_msg", send % f'{{"data":"x","a":{value}}}', admin),
                    ("/user/update_user_info", f'{{"userInfo":{value}}}', tokens["mallory"]),
                    ("/auth/parse_token", f'{{"token":{value}}}', ""),
                ]:
                    headers = {"operationID": "o", "token": token}
                    answer = (await client.post(path, content=body.encode(), headers=headers)).json()
                    assert answer["errCode"] in (0, 1001), (path, depth, answer)
    assert error_lines(node) == []
