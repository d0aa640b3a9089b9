"""/object/: only the limits that a client requests before it uploads. There is no object store yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.wire import third_pb2 as wire
from greenroom.transport.http.access import ANYONE, TOKEN
from greenroom.transport.http.response import HttpResponse, not_found
from greenroom.transport.http.table import plain, post

if TYPE_CHECKING:
    from greenroom.transport.http.call import Call
    from greenroom.transport.http.http_request import HttpRequest

__all__ = ["ROUTES"]

_MIN_PART_BYTES, _MAX_PART_BYTES, _MAX_PARTS = 5 * 2**20, 5 * 2**30, 10_000
"""S3's limits."""


async def part_limit(call: Call, request: wire.PartLimitReq) -> wire.PartLimitResp:
    return wire.PartLimitResp(
        minPartSize=_MIN_PART_BYTES, maxPartSize=_MAX_PART_BYTES, maxNumSize=_MAX_PARTS
    )


async def read_object(call: Call, request: HttpRequest) -> HttpResponse:
    return not_found()


ROUTES = (
    post("/object/part_limit", wire.PartLimitReq, wire.PartLimitResp, TOKEN, part_limit),
    plain("GET", "/object/", ANYONE, read_object),
)
