"""Greenroom: an actor-model chat engine that speaks OpenIM v3.8's wire protocol.

This is the public API for embedders. Names are loaded when they are first used; the import itself loads no driver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.actors.domain_events import DomainEvent, read_event
    from greenroom.actors.engine import Engine, EngineFell
    from greenroom.actors.errors import GreenroomError
    from greenroom.actors.feed import Subscriber
    from greenroom.persistence.errors import DataDirectoryInUse, StoreDamaged, StoreError, StoreTooNew, StoreUnavailable
    from greenroom.persistence.read_results import MessageEvent, NotedEvent
    from greenroom.persistence.secret import WeakSecret
    from greenroom.persistence.settings import Settings, SettingsError
    from greenroom.supervisor import Node
    from greenroom.transport.client.client import Client
    from greenroom.transport.client.client_message import Received, Sent
    from greenroom.transport.client.errors import (
        CannotConnect,
        ClientClosed,
        ClientError,
        ConnectionLost,
        Garbled,
        HandshakeRefused,
        KickedOffline,
        Refused,
        SendTimedOut,
        TokenRejected,
        TooLarge,
    )

__all__ = [
    "CannotConnect", "Client", "ClientClosed", "ClientError", "ConnectionLost", "DataDirectoryInUse", "DomainEvent",
    "Engine", "EngineFell", "Garbled", "GreenroomError", "HandshakeRefused", "KickedOffline", "MessageEvent",
    "Node", "NotedEvent", "Received", "Refused", "SendTimedOut", "Sent", "Settings", "SettingsError",
    "StoreDamaged", "StoreError", "StoreTooNew", "StoreUnavailable", "Subscriber", "TokenRejected", "TooLarge",
    "WeakSecret", "read_event",
]  # fmt: skip

_PUBLIC = {
    "greenroom.actors.domain_events": ("DomainEvent", "read_event"),
    "greenroom.actors.engine": ("Engine", "EngineFell"),
    "greenroom.actors.errors": ("GreenroomError",),
    "greenroom.actors.feed": ("Subscriber",),
    "greenroom.persistence.errors": (
        "DataDirectoryInUse", "StoreDamaged", "StoreError", "StoreTooNew", "StoreUnavailable",
    ),
    "greenroom.persistence.read_results": ("MessageEvent", "NotedEvent"),
    "greenroom.persistence.secret": ("WeakSecret",),
    "greenroom.persistence.settings": ("Settings", "SettingsError"),
    "greenroom.supervisor": ("Node",),
    "greenroom.transport.client.client": ("Client",),
    "greenroom.transport.client.client_message": ("Received", "Sent"),
    "greenroom.transport.client.errors": (
        "CannotConnect", "ClientClosed", "ClientError", "ConnectionLost", "Garbled", "HandshakeRefused",
        "KickedOffline", "Refused", "SendTimedOut", "TokenRejected", "TooLarge",
    ),
}
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
