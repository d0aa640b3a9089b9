"""Listening sockets."""

from __future__ import annotations

import socket

__all__ = ["BACKLOG", "listening_socket"]

BACKLOG = 2048
"""How many connections may wait to be accepted. The loop's `create_server` needs it too, because it sets it again."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket for the loop's `create_server`; port 0 takes a free port. Raises OSError if it cannot be bound.

    uvloop could bind it by itself, but it would look the host up (even an address) in libuv's threads, and all four
    of them would stay.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listening.setblocking(False)
    return listening
