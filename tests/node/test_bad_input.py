"""Bad input over real sockets: the protocol's answer, at most this one connection, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import jwt
import pytest
from node_kit import SECRET, NodeProcess
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake
from wire_kit import ANSWER_LIMIT_S, Device, Pair, dial_url, text_message

from greenroom.transport.client.api import Api
from greenroom.transport.envelope import Request
from greenroom.transport.requests import REQUESTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

BODY = "MarkerOfAMessageBody"
"""Stands in everything here that is or could be content; the node's log must not have it."""
FRAME_LIMIT_BYTES = 51_200
WEB, ANDROID = 5, 2
USERS = ("mallory", "victim", "alice", "bob")


class Scene(NamedTuple):
    node: NodeProcess
    tokens: dict[str, str]
    admin: str
    pair: Pair

    def device(self, user_id: str = "mallory", **how: Any) -> Any:
        return Device.open(self.node, user_id, self.tokens[user_id], **how)

    async def post(
        self, path: str, content: bytes, *, token: str | None = None, **headers: str | None
    ) -> httpx.Response:
        """A header that is None is left out."""
        all_headers: dict[str, str | None] = {
            "operationID": "op-http", "token": self.admin if token is None else token,
            "content-type": "application/json", **headers,
        }  # fmt: skip
        async with httpx.AsyncClient(base_url=self.node.api_url, trust_env=False, timeout=ANSWER_LIMIT_S) as http:
            present = {name: value for name, value in all_headers.items() if value is not None}
            return await http.post(path, content=content, headers=present)


Case = "Callable[[Scene], Awaitable[None]]"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    env = {"GREENROOM_NODE_LOG_LEVEL": "debug", "PYTHONASYNCIODEBUG": ""}
    one = NodeProcess(tmp_path_factory.mktemp("bad-input"), env=env)
    asyncio.run(one.start())
    yield one
    one.close()


@pytest.fixture(scope="module")
def tokens(node: NodeProcess) -> dict[str, str]:
    async def make() -> dict[str, str]:
        async with Api(node.api_url) as api:
            admin = await api.admin_token(SECRET)
        return {**await node.tokens(*USERS, platform_id=WEB), "imAdmin": admin}

    return asyncio.run(make())


@pytest.fixture
async def scene(node: NodeProcess, tokens: dict[str, str]) -> AsyncIterator[Scene]:
    async with Pair(node, tokens, ("alice", "bob"), body=BODY) as pair:
        yield Scene(node, tokens, tokens["imAdmin"], pair)


# Dials.


def signed(user_id: str, platform_id: int, *, expires_in_s: int = 3600, secret: str = SECRET) -> str:
    now = int(time.time())
    claims = {"UserID": user_id, "PlatformID": platform_id, "exp": now + expires_in_s, "iat": now - 10}
    return jwt.encode(claims, secret, algorithm="HS256")


OTHER_SECRET = "another secret, as long as it has to be"
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


async def refused_dial(scene: Scene, changes: dict[str, Any], code: int, *, as_text: bool) -> None:
    url = _url(scene, {**changes, **({"isMsgResp": "true"} if as_text else {})})
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


# Frames: what is sent, and how the connection ends (None: it stays).


def _exact(device: Device, size: int) -> bytes:
    """A good request of exactly so many bytes as a plain JSON frame."""
    message = text_message("mallory", "victim", content=f'{{"content":"{BODY}"}}'.encode(), ex="x" * 37_000)
    frame = device.codec.encode_request(
        Request(1003, send_id="mallory", operation_id="o", msg_incr="exact", data=message.SerializeToString())
    )
    padding = "o" * (1 + size - len(frame))
    return frame.replace(b'"operationID":"o"', f'"operationID":"{padding}"'.encode())


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
    """Bytes that are no WebSocket, or no HTTP."""
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


# HTTP.


def _json(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def _send_body(**changes: Any) -> bytes:
    fields = {
        "sendID": "mallory", "recvID": "victim", "content": {"content": BODY}, "contentType": 101,
        "sessionType": 1, **changes,
    }  # fmt: skip
    return _json(**{name: value for name, value in fields.items() if value is not ...})


REGISTER, SEND, INFO = "/user/user_register", "/msg/send_msg", "/user/get_users_info"
BODIES: dict[str, tuple[str, bytes, int, int]] = {
    # path, body, errCode, HTTP status
    "unknown fields": (INFO, _json(userIDs=["alice"], Marker=BODY, more={"x": [1]}), 0, 200),
    "unknown fields in send": (SEND, _send_body(surprise=BODY), 0, 200),
    "key in other case": (INFO, b'{"USERIDS":["alice"]}', 0, 200),
    "string for a list": (INFO, _json(userIDs=BODY), 1001, 200),
    "numbers for strings": (INFO, _json(userIDs=[1, 2]), 1001, 200),
    "quoted number": ("/auth/get_user_token", _json(userID="mallory", platformID="5"), 1001, 200),
    "number past int32": ("/auth/get_user_token", _json(userID="mallory", platformID=2**40), 1001, 200),
    "string for an object": (REGISTER, _json(users=[BODY]), 1001, 200),
    "string for the content": (SEND, _send_body(content=BODY), 1001, 400),
    "string for a number in send": (SEND, _send_body(contentType="101"), 1001, 400),
    "no content": (SEND, _send_body(content=...), 1001, 400),
    "no sendID": (SEND, _send_body(sendID=...), 1001, 400),
    "no user ids": (INFO, b"{}", 1001, 200),
    "no pagination": ("/user/get_users", b"{}", 1001, 200),
    "no users": (REGISTER, b"{}", 1001, 200),
    "no owner": ("/group/create_group", _json(groupInfo={"groupType": 2, "groupName": BODY}), 1001, 200),
    "malformed": (INFO, f'{{"userIDs":["{BODY}"'.encode(), 1001, 200),
    "not json": (INFO, BODY.encode(), 1001, 200),
    "empty": (INFO, b"", 1001, 200),
    # Go's JSON reads it as U+FFFD: a user that is not there, and is left out.
    "no utf-8": (INFO, b'{"userIDs":["\xff\xfe"]}', 0, 200),
    "deep": (INFO, b'{"userIDs":' + b"[" * 100_000, 1001, 200),
    "list for an object": (INFO, b'["alice"]', 1001, 200),
    "ten megabytes of an unknown field": (INFO, _json(userIDs=["alice"], junk=BODY * 500_000), 0, 200),
    "ten megabytes of rubbish": (INFO, (BODY * 500_000).encode(), 1001, 200),
    "past the limit": (INFO, _json(userIDs=["alice"], junk=BODY * 900_000), 1001, 200),
}


async def bad_body(scene: Scene, path: str, body: bytes, code: int, status: int) -> None:
    answer = await scene.post(path, body)
    assert (answer.json()["errCode"], answer.status_code) == (code, status)
    assert BODY not in answer.json()["errDlt"]
    assert SECRET not in answer.text


HEADERS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no operation id": ({"operationID": None}, 1001, "header must have operationID"),
    "no token": ({"token": ""}, 1001, "header must have token"),
    "no token at all": ({"Token": None}, 1001, "header must have token"),
    "not a token": ({"token": f"not.a.{BODY}"}, 1503, ""),
    "expired": ({"token": signed("imAdmin", 10, expires_in_s=-5)}, 1501, ""),
    "other secret": ({"token": signed("imAdmin", 10, secret=OTHER_SECRET)}, 1505, ""),
    "never given out": ({"token": signed("imAdmin", 10, expires_in_s=7777)}, 1507, ""),
}


async def bad_headers(scene: Scene, headers: dict[str, Any], code: int, detail: str) -> None:
    given = dict(headers)
    if "Token" in given:
        async with httpx.AsyncClient(base_url=scene.node.api_url, trust_env=False) as http:
            answer = await http.post(INFO, content=b"{}", headers={"operationID": "op-http"})
    else:
        answer = await scene.post(INFO, _json(userIDs=["alice"], junk=BODY), **given)
    envelope = answer.json()
    assert (envelope["errCode"], answer.status_code) == (code, 200)
    assert detail in envelope["errDlt"]


async def wrong_secret(scene: Scene) -> None:
    body = _json(secret=f"{SECRET} but wrong {BODY}", userID="imAdmin")
    answer = await scene.post("/auth/get_admin_token", body, token="")
    assert answer.json()["errCode"] == 1002


async def half_a_body(scene: Scene) -> None:
    """A client that leaves in the middle of its body."""
    _, writer = await asyncio.open_connection("127.0.0.1", scene.node.api_port)
    head = f"POST {INFO} HTTP/1.1\r\nHost: x\r\noperationID: o\r\ntoken: {scene.admin}\r\nContent-Length: 5000\r\n\r\n"
    writer.write(head.encode() + BODY.encode())
    await writer.drain()
    writer.transport.abort()


def _cases() -> Iterator[tuple[str, Any]]:
    def bound(case: Any, *arguments: Any, **named: Any) -> Any:
        return lambda scene: case(scene, *arguments, **named)

    for name, (changes, code) in {**DIALS, **PARAMETERS}.items():
        for as_text in (False, True) if name in DIALS else (False,):
            yield (
                f"dial: {name}{' (text)' if as_text else ''}",
                lambda s, changes=changes, code=code, as_text=as_text: refused_dial(
                    s, changes(s), code, as_text=as_text
                ),
            )
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
    for name, (path, body, code, status) in BODIES.items():
        yield f"http: {name}", bound(bad_body, path, body, code, status)
    for name, (headers, code, detail) in HEADERS.items():
        yield f"http header: {name}", bound(bad_headers, headers, code, detail)
    yield "http: wrong secret", wrong_secret
    yield "http: half a body", half_a_body


CASES = dict(_cases())


@pytest.mark.parametrize("name", CASES)
async def test_bad_input(scene: Scene, name: str) -> None:
    async with scene.pair.chatting():
        await CASES[name](scene)


async def test_frame_of_exactly_the_limit(scene: Scene) -> None:
    async with await scene.device() as device, scene.pair.chatting():
        frame = _exact(device, FRAME_LIMIT_BYTES)
        assert len(frame) == FRAME_LIMIT_BYTES
        answer = device.answers["exact"] = asyncio.get_running_loop().create_future()
        await device.socket.send(frame)
        assert (await answer).err_code == 0


@pytest.mark.timeout(60)
async def test_log_at_debug_holds_no_token_secret_or_body(scene: Scene) -> None:
    async with scene.pair.chatting():
        for case in CASES.values():
            await case(scene)
    log = scene.node.log
    debug = [line for line in log.splitlines() if '"debug"' in line or "[debug" in line]
    assert len(debug) > 50, "the log is not at DEBUG"
    assert any("1501 TokenExpired" in line for line in debug)
    secrets = {"secret": SECRET, "other secret": OTHER_SECRET, "body": BODY}
    for user, token in scene.tokens.items():
        secrets[f"token of {user}"] = token
        secrets[f"signature of {user}'s token"] = token.rpartition(".")[2]
    assert [name for name, text in secrets.items() if text in log] == []
    assert "eyJ" not in log, "some token"
    assert "Traceback" not in log
    assert " crashed: " not in log


# Ids that are ambiguous (DESIGN 5).


@pytest.fixture(scope="module")
def colliding(node: NodeProcess) -> dict[str, str]:
    return asyncio.run(node.tokens("a", "b_c", "a_b", "c", "d", "e"))


@contextlib.asynccontextmanager
async def devices(node: NodeProcess, tokens: dict[str, str]) -> AsyncIterator[dict[str, Device]]:
    async with contextlib.AsyncExitStack() as stack:
        yield {
            user: await stack.enter_async_context(await Device.open(node, user, token))
            for user, token in tokens.items()
        }


async def test_two_pairs_with_one_conversation_id(node: NodeProcess, colliding: dict[str, str]) -> None:
    async with devices(node, colliding) as user:
        await user["a"].sent(text_message("a", "b_c"))
        for sender, receiver in (("a_b", "c"), ("c", "a_b")):
            assert (await user[sender].send(text_message(sender, receiver))).err_code == 1001
        await user["b_c"].sent(text_message("b_c", "a"))
        assert user["a"].seqs("si_a_b_c") == user["b_c"].seqs("si_a_b_c")
        seqs = user["a"].seqs("si_a_b_c")
        assert len(seqs) == 2
        assert seqs[1] == seqs[0] + 1
        for outsider in ("a_b", "c"):
            assert user[outsider].pushes == []
            assert "si_a_b_c" not in await user[outsider].newest()
            assert await user[outsider].pull("si_a_b_c", 1, 100) == []


async def test_group_named_like_a_pair(node: NodeProcess, colliding: dict[str, str]) -> None:
    async with devices(node, colliding) as user, Api(node.api_url) as api:
        await user["a"].sent(text_message("a", "b_c"))
        refusal = await _refusal(
            api.create_group("d", ["e"], name="x", token=colliding["d"], group_id="a_b_c")
        )
        assert refusal == 1202
        assert (await user["d"].send(text_message("d", group_id="a_b_c"))).err_code == 1004
        await user["a"].sent(text_message("a", "b_c"))


async def test_pair_named_like_a_group(node: NodeProcess, colliding: dict[str, str]) -> None:
    async with devices(node, colliding) as user, Api(node.api_url) as api:
        await api.create_group("a", ["c"], name="x", token=colliding["a"], group_id="d_e")
        for sender, receiver in (("d", "e"), ("e", "d")):
            assert (await user[sender].send(text_message(sender, receiver))).err_code == 1001
        await user["a"].sent(text_message("a", group_id="d_e"))
        await user["c"].wait_for("sg_d_e", max(user["a"].seqs("sg_d_e")))
        assert user["c"].seqs("sg_d_e") == user["a"].seqs("sg_d_e")
        assert user["d"].pushes == user["e"].pushes == []


async def _refusal(call: Any) -> int:
    from greenroom.transport.client.errors import Refused

    with pytest.raises(Refused) as caught:
        await call
    return caught.value.code
