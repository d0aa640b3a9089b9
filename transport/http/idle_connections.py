"""Which connection is closed for a new one when there are too many: one that nobody waits for."""

from __future__ import annotations

import enum
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from greenroom.transport.http.bounded_protocol import BoundedProtocol

__all__ = ["IdleConnections", "Rank"]


_SILENT_SHARE: Final = 10
"""A tenth of the connections may be silent before they are closed first: a new client needs a moment to send its first
request."""


class Rank(enum.IntEnum):
    """What a connection is waiting for."""

    SILENT = 0
    """It has sent no whole request yet, or its last request was refused or answered while it was still sending."""
    BETWEEN = 1
    """Its requests are answered, and it may send another one."""
    SENDING = 2
    """The body of its request is late."""


class IdleConnections:
    """The connections that are waiting for their client. Each operation takes the same time, however many connections
    there are.

    Order: silent ones while there are more than their share, then the others by their rank, then the remaining silent
    ones. Within a rank the one that has waited longest comes first.
    """

    def __init__(self, max_connections: int) -> None:
        self._silent_limit = max_connections // _SILENT_SHARE
        self._queues: tuple[OrderedDict[BoundedProtocol, None], ...] = tuple(OrderedDict() for _ in Rank)

    def add(self, connection: BoundedProtocol, rank: Rank) -> None:
        """The connection is waiting. If it already has this rank, it keeps its place."""
        if connection.idle_rank is not rank:
            self.discard(connection)
            connection.idle_rank = rank
            self._queues[rank][connection] = None

    def discard(self, connection: BoundedProtocol) -> None:
        """The connection is not waiting, or it is lost."""
        rank = connection.idle_rank
        if rank is not None:
            connection.idle_rank = None
            del self._queues[rank][connection]

    def take(self) -> BoundedProtocol | None:
        """Remove and return the connection to close. None if no connection is waiting."""
        silent, *others = self._queues
        for queue in (silent, *others) if len(silent) > self._silent_limit else (*others, silent):
            if queue:
                connection = next(iter(queue))
                self.discard(connection)
                return connection
        return None
