"""Greenroom: an actor-model chat engine that speaks OpenIM v3.8's wire protocol.

This is the public API for embedders. Names are loaded when they are first used; the import itself loads no driver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.actors.engine import Engine
    from greenroom.supervisor import Node
    from greenroom.transport.client.client import Client
    from greenroom.transport.client.client_message import Received, Sent
    from greenroom.transport.client.errors import ClientError

__all__ = ["Client", "ClientError", "Engine", "Node", "Received", "Sent"]

_MODULES = {
    "Client": "greenroom.transport.client.client",
    "ClientError": "greenroom.transport.client.errors",
    "Engine": "greenroom.actors.engine",
    "Node": "greenroom.supervisor",
    "Received": "greenroom.transport.client.client_message",
    "Sent": "greenroom.transport.client.client_message",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
