"""What a bad client may do to the HTTP API: bodies and headers, each with the answer by PROTOCOL.md."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx

from greenroom.tests.kit.bad_scene import BODY, OTHER_SECRET, Case, Scene, bound, signed
from greenroom.tests.kit.node_kit import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CASES"]

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
    # Go's JSON reads it as U+FFFD: a user that does not exist, and is left out of the answer.
    "no utf-8": (INFO, b'{"userIDs":["\xff\xfe"]}', 0, 200),
    "deep": (INFO, b'{"userIDs":' + b"[" * 100_000, 1001, 200),
    "list for an object": (INFO, b'["alice"]', 1001, 200),
    "a megabyte of an unknown field": (INFO, _json(userIDs=["alice"], junk=BODY * 50_000), 0, 200),
    "a megabyte of rubbish": (INFO, (BODY * 50_000).encode(), 1001, 200),
    "past the limit": (INFO, _json(userIDs=["alice"], junk=BODY * 200_000), 1001, 200),
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
    """A client that disconnects in the middle of its body."""
    _, writer = await asyncio.open_connection("127.0.0.1", scene.node.api_port)
    head = f"POST {INFO} HTTP/1.1\r\nHost: x\r\noperationID: o\r\ntoken: {scene.admin}\r\nContent-Length: 5000\r\n\r\n"
    writer.write(head.encode() + BODY.encode())
    await writer.drain()
    writer.transport.abort()


def _cases() -> Iterator[tuple[str, Case]]:
    for name, (path, body, code, status) in BODIES.items():
        yield f"http: {name}", bound(bad_body, path, body, code, status)
    for name, (headers, code, detail) in HEADERS.items():
        yield f"http header: {name}", bound(bad_headers, headers, code, detail)
    yield "http: wrong secret", wrong_secret
    yield "http: half a body", half_a_body


CASES = dict(_cases())
