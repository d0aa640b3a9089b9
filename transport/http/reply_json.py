"""The body of OpenIM's HTTP replies: `{"errCode", "errMsg", "errDlt", "data"}`, rendered to bytes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
from google.protobuf.message import Message

from greenroom.actors.queries.slice_turns import next_slice
from greenroom.actors.wire.openim_json import has_long_list, json_slices, to_json

if TYPE_CHECKING:
    from greenroom.transport.http.table import Route

__all__ = ["EMPTY", "failure", "success", "success_in_slices"]

EMPTY = b'{"errCode":0,"errMsg":"","errDlt":""}'
"""Success of a route whose response has no fields."""

_SLICE = 100
"""Elements of a list that are rendered in one turn of the loop, which takes some milliseconds."""
_HEAD = b'{"errCode":0,"errMsg":"","errDlt":"","data":'


def failure(code: int, name: str, detail: str) -> bytes:
    return msgspec.json.encode({"errCode": code, "errMsg": name, "errDlt": detail})


async def success_in_slices(route: Route, answer: Any) -> bytes:
    """The same as `success`. A long list is rendered in slices, between which other tasks run."""
    if not isinstance(answer, Message) or not has_long_list(answer, _SLICE):
        return success(route, answer)
    pieces = [_HEAD]
    for piece in json_slices(answer, _SLICE):
        pieces.append(piece)
        await next_slice()
    return b"".join((*pieces, b"}"))


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
