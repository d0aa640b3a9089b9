"""What `greenroom serve` prints once its node listens."""

from __future__ import annotations

from typing import Protocol

from greenroom.persistence.settings import Settings
from greenroom.transport.cli.urls import api_url, ws_url

__all__ = ["Listening", "greeting"]


class Listening(Protocol):
    """A node that has started."""

    ws_port: int
    api_port: int


def greeting(settings: Settings, node: Listening, *, options: str) -> str:
    """The node's URLs, and the commands for a chat. `options` are those that the user typed; a client needs them."""
    return (
        f"greenroom listens: {ws_url(settings, node.ws_port)} (WebSocket), "
        f"{api_url(settings, node.api_port)} (HTTP API)\n"
        "Chat from two more terminals:\n"
        f"  greenroom chat --as alice --to bob{options}\n"
        f"  greenroom chat --as bob --to alice{options}"
    )
