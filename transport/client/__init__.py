"""The client side: a device of one user (`Client`) and the HTTP API as callers see it (`api.Api`).

Names are loaded when first asked for: the command line needs the errors, a node nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from greenroom.transport.client.errors import (
    ClientClosed,
    ClientError,
    ConnectionLost,
    Garbled,
    HandshakeRefused,
    KickedOffline,
    Refused,
    SendTimedOut,
    TokenRejected,
)

if TYPE_CHECKING:
    from greenroom.transport.client.client import Client
    from greenroom.transport.client.message import Received, Sent, direct_conversation_id, group_conversation_id
    from greenroom.transport.client.ticker import Ticker

__all__ = [
    "Client",
    "ClientClosed",
    "ClientError",
    "ConnectionLost",
    "Garbled",
    "HandshakeRefused",
    "KickedOffline",
    "Received",
    "Refused",
    "SendTimedOut",
    "Sent",
    "Ticker",
    "TokenRejected",
    "direct_conversation_id",
    "group_conversation_id",
]

_HOMES = {
    "Client": "client",
    "Received": "message",
    "Sent": "message",
    "Ticker": "ticker",
    "direct_conversation_id": "message",
    "group_conversation_id": "message",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
