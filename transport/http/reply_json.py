"""The body of OpenIM's HTTP replies: `{"errCode", "errMsg", "errDlt", "data"}`, rendered to bytes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
from google.protobuf.message import Message

from greenroom.actors.wire.openim_json import to_json

if TYPE_CHECKING:
    from greenroom.transport.http.table import Route

__all__ = ["EMPTY", "failure", "success"]

EMPTY = b'{"errCode":0,"errMsg":"","errDlt":""}'
"""Success of a route whose response has no fields."""

_HEAD = b'{"errCode":0,"errMsg":"","errDlt":"","data":'


def failure(code: int, name: str, detail: str) -> bytes:
    return msgspec.json.encode({"errCode": code, "errMsg": name, "errDlt": detail})


def success(route: Route, answer: Any, *, as_protobuf: bool = False) -> bytes:
    """`data` is omitted if the response has no fields; an empty list is null."""
    if not route.has_data:
        return EMPTY
    if route.many:
        data = b"[" + b",".join(map(to_json, answer)) + b"]" if answer else b"null"
    elif as_protobuf:
        data = b'"' + base64.b64encode(answer.SerializeToString()) + b'"'
    elif isinstance(answer, Message):
        data = to_json(answer)
    else:
        data = msgspec.json.encode(answer)
    return b"%b%b}" % (_HEAD, data)
