"""What the connections of one gateway work with, and share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.session_table import SessionTable
    from greenroom.actors.wire import sdkws_pb2
    from greenroom.transport.admission import Admission
    from greenroom.transport.gateway.connection import Connection
    from greenroom.transport.gateway.handshake import Authenticator
    from greenroom.transport.gateway.requests import Queries

__all__ = ["Surroundings"]


class Surroundings:
    """One for a gateway."""

    __slots__ = (
        "address_of", "admin_user_ids", "admission", "authenticator", "base", "connections", "on_empty", "queries",
        "sessions",
    )  # fmt: skip

    def __init__(
        self,
        base: LoopBase,
        *,
        admission: Admission,
        authenticator: Authenticator,
        address_of: Callable[[sdkws_pb2.MsgData], Address],
        queries: Queries,
        sessions: SessionTable,
        admin_user_ids: frozenset[str],
    ) -> None:
        self.base = base
        self.admission = admission
        self.authenticator = authenticator
        self.address_of = address_of
        self.queries = queries
        self.sessions = sessions
        self.admin_user_ids = admin_user_ids
        self.connections: dict[Connection, None] = {}
        """Every socket, from the accept on."""
        self.on_empty: Callable[[], None] | None = None
        """Called when the last socket is gone."""
