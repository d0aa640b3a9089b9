"""The URLs of a node: for a client on the same machine, and as the node listens."""

from __future__ import annotations

from greenroom.persistence.settings import Settings

__all__ = ["api_url", "listening_urls", "ws_url"]

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def ws_url(settings: Settings, port: int | None = None) -> str:
    """The URL of the node's gateway. `port` replaces the port of the settings."""
    return f"ws://{_reachable(settings.node.host)}:{settings.node.ws_port if port is None else port}"


def api_url(settings: Settings, port: int | None = None) -> str:
    """The URL of the node's HTTP API. `port` replaces the port of the settings."""
    return f"http://{_reachable(settings.node.host)}:{settings.node.api_port if port is None else port}"


def listening_urls(host: str, ws_port: int, api_port: int) -> dict[str, str]:
    """The URLs with the address that the node listens on, which may be every one of the machine, as 0.0.0.0 is."""
    return {"ws": f"ws://{_bracketed(host)}:{ws_port}", "api": f"http://{_bracketed(host)}:{api_port}"}


def _reachable(host: str) -> str:
    return _bracketed(_EVERYWHERE.get(host, host))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
