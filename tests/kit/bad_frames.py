"""What a bad client may do to the gateway: handshakes, frames and sends, each with the answer by PROTOCOL.md."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake

from greenroom.tests.kit.bad_scene import ANDROID, BODY, OTHER_SECRET, WEB, Case, Scene, bound, signed
from greenroom.tests.kit.wire_kit import ANSWER_LIMIT_S, Device, dial_url, text_message
from greenroom.transport.envelope.codec import Request
from greenroom.transport.gateway.requests import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CASES", "FRAME_LIMIT_BYTES", "frame_of_size"]

FRAME_LIMIT_BYTES = 51_200
STEALTH = "eyJhbGciOiJub25lIn0"
"""The header {"alg":"none"}."""

DIALS: dict[str, tuple[Callable[[Scene], dict[str, Any]], int]] = {
    "not a token": (lambda s: {"token": f"not.a.{BODY}"}, 1503),
    "no signature": (lambda s: {"token": f"{STEALTH}.{s.tokens['mallory'].split('.')[1]}."}, 1505),
    "other secret": (lambda s: {"token": signed("mallory", WEB, secret=OTHER_SECRET)}, 1505),
    "expired": (lambda s: {"token": signed("mallory", WEB, expires_in_s=-5)}, 1501),
    "never given out": (lambda s: {"token": signed("mallory", WEB, expires_in_s=7777)}, 1507),
    "of nobody": (lambda s: {"token": signed("nobody", WEB), "user_id": "nobody"}, 1507),
    "other platform": (lambda s: {"platform_id": ANDROID}, 1502),
    "other user": (lambda s: {"user_id": "victim"}, 1502),
}
PARAMETERS: dict[str, tuple[Callable[[Scene], dict[str, Any]], int]] = {
    "no such platform": (lambda s: {"platform_id": 77}, 1602),
    "no user": (lambda s: {"user_id": ""}, 1602),
    "no token": (lambda s: {"token": ""}, 1602),
    "no operation id": (lambda s: {"operationID": ""}, 1602),
    "no such sdk": (lambda s: {"sdkType": "rust"}, 1602),
    "no such bool": (lambda s: {"isBackground": "perhaps"}, 500),
    "broken v": (lambda s: {"v": "e30="}, 1602),
    "broken v json": (lambda s: {"v": "e30e"}, 1602),
}


def _url(scene: Scene, changes: dict[str, Any]) -> str:
    given = {"user_id": "mallory", "token": scene.tokens["mallory"], **changes}
    return dial_url(scene.node, given.pop("user_id"), given.pop("token"), **given)


async def refused_dial(
    scene: Scene, changes: Callable[[Scene], dict[str, Any]], code: int, *, as_text: bool
) -> None:
    url = _url(scene, {**changes(scene), **({"isMsgResp": "true"} if as_text else {})})
    if as_text:
        async with connect(url, compression=None, proxy=None) as socket:
            envelope = json.loads(await socket.recv())
            await socket.wait_closed()
    else:
        # As the SDK does it: HTTP 200, and the envelope in the body.
        with pytest.raises(InvalidHandshake) as caught:
            await connect(url, compression=None, proxy=None)
        response = getattr(caught.value, "response")  # noqa: B009
        assert response.status_code == 200
        envelope = json.loads(response.body)
    assert set(envelope) == {"errCode", "errMsg", "errDlt"}
    assert envelope["errCode"] == code


def frame_of_size(device: Device, size: int) -> bytes:
    """A valid request of exactly this many bytes, as a plain JSON frame."""
    message = text_message("mallory", "victim", content=f'{{"content":"{BODY}{"x" * 37_000}"}}'.encode())
    frame = device.codec.encode_request(
        Request(
            1003, token="t", send_id="mallory", operation_id="o", msg_incr="exact", data=message.SerializeToString()
        )
    )
    padding = "t" * (1 + size - len(frame))
    return frame.replace(b'"token":"t"', f'"token":"{padding}"'.encode())


def _request(device: Device, req_identifier: int = 1001, **fields: Any) -> bytes:
    given = {"send_id": device.user_id, "operation_id": "op-bad", "msg_incr": "bad", **fields}
    return device.codec.encode_request(Request(req_identifier, **given))


def _of_other(device: Device) -> bytes:
    message = text_message("victim", "mallory", content=BODY.encode())
    return _request(device, 1003, send_id="victim", data=message.SerializeToString())


def _marked(device: Device, cut: int) -> bytes:
    data = text_message("mallory", "victim", content=BODY.encode()).SerializeToString()
    frame = device.codec.encode_request(Request(1003, send_id="mallory", msg_incr="bad", data=data))
    return frame[:-cut]


DROPPED = 1006
"""The connection ends without an answer and without a close frame."""
FRAMES: dict[str, tuple[Callable[[Device], bytes | str], int]] = {
    "unknown request": (lambda d: _request(d, 1999), DROPPED),
    "request of the server": (lambda d: _request(d, 2001), DROPPED),
    "sendID of another user": (_of_other, DROPPED),
    "no sendID": (lambda d: _request(d, send_id=""), DROPPED),
    "too large": (lambda d: (BODY * 3000).encode()[: FRAME_LIMIT_BYTES + 1], 1009),
    "cut short": (lambda d: _marked(d, 3), DROPPED),
    "no envelope": (lambda d: f"{BODY} rubbish".encode(), DROPPED),
    "empty": (lambda d: b"", DROPPED),
    "text": (lambda d: BODY, DROPPED),
    "unknown text": (lambda d: json.dumps({"type": BODY, "body": BODY}), DROPPED),
}
KINDS = [("js", False), ("js", True), ("go", False), ("go", True)]
OF_GOB: dict[str, bytes] = {
    "length past the end": b"\xf8\x7f\xff\xff\xff\xff\xff\xff\xff",
    "value without a type": b"\x03\xff\x82\x00",
    "endless definition": b"\x05\x7f\x03\x01\x01\x7f",
}
OF_JSON: dict[str, bytes] = {
    "open": b'{"reqIdentifier":1001,"sendID":"mallory"',
    "another type": b'{"reqIdentifier":"1001","sendID":"mallory"}',
    "number past int32": b'{"reqIdentifier":99999999999,"sendID":"mallory"}',
    "data is no base64": b'{"reqIdentifier":1003,"sendID":"mallory","data":"!!"}',
    "deep": b'{"a":' + b"[" * 40_000,
    "no utf-8": b'{"reqIdentifier":1001,"sendID":"\xff"}',
    "a list": b"[1,2]",
}
OF_GZIP: dict[str, bytes] = {
    "not compressed": b'{"reqIdentifier":1001,"sendID":"mallory"}',
    "bomb": gzip.compress(bytes(40_000_000)),
    "cut short": gzip.compress(BODY.encode())[:-4],
    "wrong sum": gzip.compress(BODY.encode())[:-8] + bytes(8),
}


async def bad_frame(scene: Scene, kind: tuple[Any, bool], frame: Any, code: int) -> None:
    async with await scene.device(sdk_type=kind[0], gzip=kind[1]) as device:
        await device.sent(text_message("mallory", "victim", content=BODY.encode()))
        await device.socket.send(frame(device) if callable(frame) else frame)
        assert await device.closed() == code
        assert device.strays == []


async def raw_bytes(scene: Scene, data: bytes, *, after_upgrade: bool) -> None:
    """Bytes that are not WebSocket, or not HTTP."""
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.node.ws_port)
    try:
        if after_upgrade:
            path = _url(scene, {"sdkType": "js"}).removeprefix(scene.node.ws_url)
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.write(data)
        async with asyncio.timeout(ANSWER_LIMIT_S):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
    finally:
        writer.close()


RAW: dict[str, tuple[bytes, bool]] = {
    "not masked": (b"\x82\x05hello", True),
    "reserved bits": (b"\xf2\x80abcd", True),
    "unknown opcode": (b"\x83\x80abcd", True),
    "continuation of nothing": (b"\x80\x80abcd", True),
    "text that is no utf-8": (b"\x81\x81\x00\x00\x00\x00\xff", True),
    "length of exabytes": (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffabcd", True),
    "no http": (f"{BODY}\r\n\r\n".encode(), False),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 20 + b"\r\n\r\n", False),
    "endless head": (b"GET / HTTP/1.1\r\n" + b"x-filler: y\r\n" * 3000, False),
}


async def undecodable_protobuf(scene: Scene, req_identifier: int) -> None:
    async with await scene.device() as device:
        response = await device.answer(req_identifier, b"\xff\xff" + BODY.encode())
        assert (response.err_code, response.err_msg, response.data) == (500, "ServerInternalError", None)
        if req_identifier == 2003:
            assert await device.closed() == DROPPED
        else:
            await device.newest()


async def refused_send(scene: Scene, fields: dict[str, Any], code: int) -> None:
    async with await scene.device() as device:
        given = {"recv_id": "victim", "content": BODY.encode(), **fields}
        send_id, recv_id = given.pop("send_id", "mallory"), given.pop("recv_id")
        response = await device.send(text_message(send_id, recv_id, **given))
        assert (response.err_code, response.data) == (code, None)
        await device.newest()


SENDS: dict[str, tuple[dict[str, Any], int]] = {
    "inner sendID of another user": ({"send_id": "victim", "recv_id": "alice"}, 1002),
    "no content": ({"content": b""}, 1001),
    "no receiver": ({"recv_id": ""}, 1001),
    "no such session type": ({"sessionType": 7}, 1001),
    "oa message in a chat": ({"contentType": 1400}, 1001),
    "unknown receiver": ({"recv_id": "nobody"}, 1004),
    "unknown group": ({"recv_id": "", "group_id": "nogroup"}, 1004),
}


def _cases() -> Iterator[tuple[str, Case]]:
    for name, (changes, code) in {**DIALS, **PARAMETERS}.items():
        for as_text in (False, True) if name in DIALS else (False,):
            label = f"dial: {name}{' (text)' if as_text else ''}"
            yield label, bound(refused_dial, changes, code, as_text=as_text)
    for kind in KINDS:
        for name, (frame, code) in FRAMES.items():
            yield f"frame {kind[0]}{' gzip' if kind[1] else ''}: {name}", bound(bad_frame, kind, frame, code)
        for name, data in (OF_GOB if kind[0] == "go" else OF_JSON).items():
            folded = gzip.compress(data) if kind[1] else data
            yield (
                f"frame {kind[0]}{' gzip' if kind[1] else ''}: {name}",
                bound(bad_frame, kind, folded, DROPPED),
            )
        if kind[1]:
            for name, data in OF_GZIP.items():
                yield f"frame {kind[0]} gzip: {name}", bound(bad_frame, kind, data, DROPPED)
    for name, (data, after_upgrade) in RAW.items():
        yield f"bytes: {name}", bound(raw_bytes, data, after_upgrade=after_upgrade)
    for number in (number for number, kind in REQUESTS.items() if kind.payload):
        yield f"protobuf of {number}", bound(undecodable_protobuf, number)
    for name, (fields, code) in SENDS.items():
        yield f"send: {name}", bound(refused_send, fields, code)


CASES = dict(_cases())
