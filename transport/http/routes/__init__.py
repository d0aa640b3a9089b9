"""Every route of the protocol, by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    own,
    presence,
    send_msg,
    user,
)

if TYPE_CHECKING:
    from greenroom.transport.http.table import Route

__all__ = ["TABLE"]

_SERVICES = (
    auth, user, presence, msg, send_msg, conversation, group, group_read, group_application, friend, object,
    jssdk, own, absent,
)  # fmt: skip

TABLE: dict[str, Route] = {route.path: route for service in _SERVICES for route in service.ROUTES}
