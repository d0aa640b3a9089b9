"""Listening sockets."""

from __future__ import annotations

import socket

__all__ = ["BACKLOG", "listening_socket"]

BACKLOG = 2048
"""Number of connections that may wait to be accepted. The loop's `create_server` needs it too, because it sets the
backlog again."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket for the loop's `create_server`; port 0 takes a free port. Raises OSError if it cannot be bound.

    uvloop could bind the socket itself, but it would resolve the host (even a numeric address) in libuv's thread pool,
    whose four threads would then stay.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listening.setblocking(False)
    return listening
