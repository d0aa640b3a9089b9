"""The gateway: the listening socket, the bound on connections, and their orderly end."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from greenroom.actors.messages import KickSession
from greenroom.transport.gateway.connection import Connection
from greenroom.transport.gateway.shell import Phase, Shell
from greenroom.transport.gateway.surroundings import Surroundings
from greenroom.transport.listening import BACKLOG

if TYPE_CHECKING:
    import socket
    import ssl as tls
    from collections.abc import Callable

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.session_table import SessionTable
    from greenroom.actors.wire import sdkws_pb2
    from greenroom.persistence.settings import WebSocketSettings
    from greenroom.transport.admission import Admission
    from greenroom.transport.gateway.handshake import Authenticator
    from greenroom.transport.gateway.requests import Queries

__all__ = ["Gateway"]

log = logging.getLogger("greenroom.transport")

LAST_CALL_S = 3.0
"""For clients that never fall silent."""
QUIET_S = 0.02
HANDSHAKES_LIMIT = 1024
"""Sockets past max_connections that may be about to be told so; more are dropped unheard."""


class Gateway:
    """Accepts OpenIM clients over WebSocket and speaks for them on the loop base.

    ```python
    gateway = Gateway(base, settings=..., admission=..., authenticator=..., address_of=..., queries=..., sessions=...)
    await gateway.start(listening_socket("127.0.0.1", 0))
    ...
    await gateway.drain(timeout_s=5.0)
    await gateway.stop()
    ```
    """

    def __init__(
        self,
        base: LoopBase,
        *,
        settings: WebSocketSettings,
        admission: Admission,
        authenticator: Authenticator,
        address_of: Callable[[sdkws_pb2.MsgData], Address],
        queries: Queries,
        sessions: SessionTable,
        admin_user_ids: frozenset[str] = frozenset(),
        tick_s: float = 1.0,
    ) -> None:
        self._base = base
        self._settings = settings
        self._shell = Shell(base.loop, settings, tick_s=tick_s)
        self._surroundings = Surroundings(
            base,
            admission=admission,
            authenticator=authenticator,
            address_of=address_of,
            queries=queries,
            sessions=sessions,
            admin_user_ids=admin_user_ids,
        )
        self._server: asyncio.Server | None = None
        self.port = 0
        """The port that is listened on; 0 before `start`."""

    @property
    def connection_count(self) -> int:
        """How many sockets there are, handshakes included."""
        return len(self._surroundings.connections)

    async def start(self, listening: socket.socket, *, ssl: tls.SSLContext | None = None) -> None:
        """Accept what comes there."""
        self._server = await self._base.loop.create_server(self._accept, sock=listening, ssl=ssl, backlog=BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    async def drain(self, timeout_s: float) -> None:
        """Accept no more, let each connection answer what it has begun and write it out, and close it.

        Returns once all are gone, or after `timeout_s`; then some may be left to `stop`.
        """
        self._stop_listening()
        await self._hear_out(timeout_s / 2)
        for connection in tuple(self._surroundings.connections):
            if connection.phase is Phase.OPEN:
                connection.leave()
            elif connection.phase is Phase.HEAD or connection.phase is Phase.OPENING:
                connection.abort()
        await self._gone(timeout_s)

    async def _hear_out(self, timeout_s: float) -> None:
        """Go on until nothing was under way at two looks in a row: what clients had sent before is read, too."""
        deadline = self._base.loop.time() + min(timeout_s, LAST_CALL_S)
        quiet = 0
        while quiet < 2 and self._base.loop.time() < deadline:
            busy = any(connection.is_busy() for connection in self._surroundings.connections)
            quiet = 0 if busy else quiet + 1
            await asyncio.sleep(QUIET_S)

    async def stop(self) -> None:
        """Drop whatever is left, at once."""
        self._stop_listening()
        for connection in tuple(self._surroundings.connections):
            connection.abort()
        await self._gone(1.0)
        self._shell.wheel.stop()
        self._surroundings.admission.stop()

    def kick(self, connection: Address) -> None:
        """Tell the client at this address that it is kicked, and close. One that has gone is passed over."""
        self._base.tell_awake(connection, KickSession())

    def _accept(self) -> asyncio.Protocol:
        if self.connection_count >= self._settings.max_connections + HANDSHAKES_LIMIT:
            return _Dropped()
        return Connection(self._shell, self._surroundings)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _gone(self, timeout_s: float) -> None:
        if not self._surroundings.connections:
            return
        empty = asyncio.Event()
        self._surroundings.on_empty = empty.set
        try:
            async with asyncio.timeout(timeout_s):
                await empty.wait()
        except TimeoutError:
            log.warning("%d connections did not close in time", self.connection_count)
        finally:
            self._surroundings.on_empty = None


class _Dropped(asyncio.Protocol):
    """A socket too many."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()
