"""Where a server listens."""

from __future__ import annotations

import socket

__all__ = ["BACKLOG", "listening_socket"]

BACKLOG = 2048
"""Connections that were made and not accepted yet. For the loop's `create_server`, too: it sets it again."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket for a loop's `create_server`; port 0 takes a free one. Raises OSError when the address cannot be had.

    Given a host instead, uvloop looks it up in four threads of libuv, an address, too; and they stay.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listening.setblocking(False)
    return listening
