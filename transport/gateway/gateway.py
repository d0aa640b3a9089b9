"""The gateway: it listens, limits the number of connections, and shuts them down."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING

from greenroom.transport.gateway.connection import Connection
from greenroom.transport.gateway.outbox import Flusher
from greenroom.transport.gateway.read_turns import ReadTurns
from greenroom.transport.gateway.timer_wheel import TimerWheel
from greenroom.transport.gateway.websocket import Phase
from greenroom.transport.listening import Acceptor

if TYPE_CHECKING:
    import socket
    import ssl as tls
    from collections.abc import Callable

    from greenroom.actors.queries.pulls import Queries
    from greenroom.actors.rules.tokens import Authenticator
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.session_table import SessionTable
    from greenroom.actors.wire import sdkws_pb2
    from greenroom.persistence.settings import WebSocketSettings
    from greenroom.transport.admission import Admission
    from greenroom.transport.rate_limits import Limits

__all__ = ["Gateway"]

log = logging.getLogger("greenroom.transport")

IDLE_WAIT_LIMIT_S = 3.0
"""Maximum time that a drain waits for clients that keep sending."""
IDLE_CHECK_S = 0.02


class Gateway:
    """Accepts OpenIM clients over WebSocket and connects them to the actors of the loop base.

    ```python
    gateway = Gateway(base, settings=..., admission=..., limits=..., authenticator=..., address_of=..., ...)
    await gateway.start(listening_socket("127.0.0.1", 0))
    ...
    await gateway.drain(timeout_s=5.0)
    await gateway.stop()
    ```

    Its connections share it, and use its public attributes.
    """

    def __init__(
        self,
        base: LoopBase,
        *,
        settings: WebSocketSettings,
        admission: Admission,
        limits: Limits,
        authenticator: Authenticator,
        address_of: Callable[[sdkws_pb2.MsgData], Address],
        queries: Queries,
        sessions: SessionTable,
        admin_user_ids: frozenset[str] = frozenset(),
        tick_s: float = 1.0,
    ) -> None:
        self.base = base
        self.loop = base.loop
        self.sampler = base.sampler
        self.settings = settings
        self.admission = admission
        self.limits = limits
        self.authenticator = authenticator
        self.address_of = address_of
        self.queries = queries
        self.sessions = sessions
        self.admin_user_ids = admin_user_ids
        self.wheel = TimerWheel(base.loop, tick_s=tick_s)
        self.flusher = Flusher(base.loop)
        self.turns = ReadTurns(base.loop)
        self.connections: dict[Connection, None] = {}
        """All connections that were accepted and are not yet lost, including those that are still in the handshake."""
        self.silent: OrderedDict[Connection, None] = OrderedDict()
        """The connections that have not sent a whole head yet, the oldest first."""
        self._is_empty = asyncio.Event()
        self._acceptor: Acceptor | None = None
        self.port = 0
        """The listening port; 0 before `start`."""

    async def start(self, listening: socket.socket, *, ssl: tls.SSLContext | None = None) -> None:
        """Accept connections on this socket, over TLS if `ssl` is given."""
        acceptor = self._acceptor = Acceptor(self.loop, lambda: Connection(self), ssl=ssl)
        await acceptor.start(listening)
        self.port = acceptor.port

    async def drain(self, timeout_s: float) -> None:
        """Accept no more connections. Each one answers its requests in flight, writes out its outbox, and is closed.

        Returns once all are closed, or after `timeout_s`; `stop` drops the remaining ones.
        """
        deadline = self.loop.time() + timeout_s
        self._stop_listening()
        await self._wait_until_idle(timeout_s / 2)
        for connection in tuple(self.connections):
            if connection.phase is Phase.OPEN:
                connection.drain()
            elif connection.phase is Phase.HEAD or connection.phase is Phase.OPENING:
                connection.abort()
        await self._wait_until_empty(max(deadline - self.loop.time(), 0))

    async def stop(self) -> None:
        """Drop the remaining connections immediately."""
        self._stop_listening()
        for connection in tuple(self.connections):
            connection.abort()
        await self._wait_until_empty(1.0)
        self.wheel.stop()
        self.admission.stop()

    # Called by the connections.

    def add(self, connection: Connection, transport: asyncio.BaseTransport) -> bool:
        """Add a connection whose socket was accepted. If there are too many, the one that has been silent longest is
        dropped for it. Returns False if none is silent."""
        if self._acceptor is not None:
            self._acceptor.accepted(transport)
        if not self.admission.may_connect(len(self.connections)):
            if not self.silent:
                return False
            oldest, _ = self.silent.popitem(last=False)
            self.connections.pop(oldest, None)  # Its socket is only closed after this turn of the loop.
            oldest.abort()
        self.connections[connection] = self.silent[connection] = None
        return True

    def heard(self, connection: Connection) -> None:
        """A connection has sent a whole head, or what is none."""
        self.silent.pop(connection, None)

    def remove(self, connection: Connection) -> None:
        """Remove a connection whose socket is closed."""
        self.connections.pop(connection, None)
        self.silent.pop(connection, None)
        if not self.connections:
            self._is_empty.set()

    def _stop_listening(self) -> None:
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is not None:
            acceptor.close()

    async def _wait_until_idle(self, timeout_s: float) -> None:
        """Wait until two consecutive checks find no request in flight, so that requests already sent are read."""
        deadline = self.loop.time() + min(timeout_s, IDLE_WAIT_LIMIT_S)
        idle_checks = 0
        while idle_checks < 2 and self.loop.time() < deadline:
            busy = any(connection.is_busy() for connection in self.connections)
            idle_checks = 0 if busy else idle_checks + 1
            await asyncio.sleep(IDLE_CHECK_S)

    async def _wait_until_empty(self, timeout_s: float) -> None:
        if not self.connections:
            return
        self._is_empty.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._is_empty.wait()
        except TimeoutError:
            log.warning("%d connections did not close in time", len(self.connections))
