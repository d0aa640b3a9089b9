"""The client side: a device of one user (`Client`) and the HTTP API as callers see it (`api.Api`)."""

from __future__ import annotations

from greenroom.transport.client.client import Client
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
