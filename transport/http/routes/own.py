"""/greenroom/: our own routes, which are not part of OpenIM's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from greenroom.actors.errors import NoPermission
from greenroom.actors.status import NodeStatus
from greenroom.transport.http.access import ANYONE
from greenroom.transport.http.table import post_free

if TYPE_CHECKING:
    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]


class StatusRequest(msgspec.Struct):
    """The node's secret is required, and not an admin's token: to check a token, the store and a User are needed, and
    the status matters most when those fail."""

    secret: str = ""


async def status(call: Call, request: StatusRequest) -> NodeStatus:
    if not call.is_secret(request.secret):
        raise NoPermission("secret invalid")
    return call.engine.status()


ROUTES = (post_free("/greenroom/status", StatusRequest, NodeStatus, ANYONE, status),)
