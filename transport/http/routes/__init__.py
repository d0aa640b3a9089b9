"""All rows: the protocol's rows, our own rows, and the OpenAPI document that describes them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import msgspec

from greenroom.transport.http.access import ANYONE
from greenroom.transport.http.openapi import describe
from greenroom.transport.http.response import HttpResponse
from greenroom.transport.http.routes import (
    absent,
    auth,
    conversation,
    friend,
    group,
    group_application,
    group_read,
    jssdk,
    msg,
    object,
    operations,
    own,
    presence,
    send_msg,
    user,
)
from greenroom.transport.http.table import plain

if TYPE_CHECKING:
    from greenroom.transport.http.call import Call
    from greenroom.transport.http.http_request import HttpRequest

__all__ = ["ROUTES"]

_SERVICES = (
    auth, user, presence, msg, send_msg, conversation, group, group_read, group_application, friend, object,
    jssdk, own, operations, absent,
)  # fmt: skip


@cache
def _description() -> bytes:
    return msgspec.json.encode(describe(ROUTES))


async def openapi(call: Call, request: HttpRequest) -> HttpResponse:
    return HttpResponse(_description())


ROUTES = (
    *(route for service in _SERVICES for route in service.ROUTES),
    plain("GET", "/openapi.json", ANYONE, openapi),
)
