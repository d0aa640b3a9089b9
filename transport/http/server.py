"""The HTTP server: uvicorn's protocol on a socket of ours, in the running loop."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from greenroom.transport.http.app import HttpApi
from greenroom.transport.http.routes import ROUTES
from greenroom.transport.listening import Acceptor, listening_socket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom.transport.http.bounded_protocol import Connections
    from greenroom.transport.http.call import EngineParts
    from greenroom.transport.http.table import Route
    from greenroom.transport.rate_limits import Limits

__all__ = ["HttpServer"]

_REVIEW_S = 1.0
"""Time between two reviews of the connections. A review of a thousand connections takes half a millisecond."""


class HttpServer:
    """Life cycle: `start`, then `drain` (no new connections, answers are still written) or `stop` (immediately). It may
    be started again."""

    def __init__(self, engine: EngineParts, limits: Limits, routes: Iterable[Route] = ROUTES) -> None:
        self._settings = engine.settings
        self._limits = limits
        self._api = HttpApi(engine, limits, routes)
        self._port = self._settings.node.api_port
        self._acceptor: Acceptor | None = None
        self._connections: Connections | None = None
        self._reviews: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The listening port: the given one, or the one that the system chose for port 0. It does not change."""
        return self._port

    async def start(self) -> None:
        """Start to listen. Raises OSError if the address is taken."""
        from uvicorn.config import Config  # Loaded here, because an engine without sockets needs no server.

        from greenroom.transport.http.bounded_protocol import BoundedReads, Connections

        listening = listening_socket(self._settings.node.host, self._port)
        self._port = listening.getsockname()[1]
        config = Config(
            self._api,
            interface="asgi3", ws="none", lifespan="off", log_config=None, proxy_headers=False, server_header=False,
        )  # fmt: skip
        config.load()
        loop = asyncio.get_running_loop()
        connections = self._connections = Connections(config, self._settings.http, self._limits)
        acceptor = self._acceptor = connections.acceptor = Acceptor(loop, partial(BoundedReads, connections))
        await acceptor.start(listening)
        self._reviews = loop.create_task(_review(connections))

    async def drain(self, timeout_s: float) -> None:
        """Accept no more connections, answer the requests in flight for at most `timeout_s`, then stop."""
        connections = self._connections
        if self._acceptor is None or connections is None:
            return
        self._acceptor.close()
        for connection in list(connections.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while connections.connections:
                    connections.all_closed.clear()
                    await connections.all_closed.wait()
        await self.stop()

    async def stop(self) -> None:
        """Stop immediately; requests in flight are cut off."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is None or self._connections is None or self._reviews is None:
            return
        acceptor.close()
        for connection in list(self._connections.connections):
            connection.transport.abort()
        tasks = {self._reviews, *self._connections.tasks}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _review(connections: Connections) -> None:
    """Close connections whose client is late, and update the date of answers."""
    while True:
        connections.headers.update_date()
        now = connections.loop.time()
        for connection in list(connections.connections):
            connection.review(now)
        await asyncio.sleep(_REVIEW_S)
        late_s = connections.loop.time() - now - _REVIEW_S
        if late_s > _REVIEW_S:  # The process was stopped: what has arrived meanwhile is read first.
            for connection in list(connections.connections):
                connection.postpone(late_s)
            await asyncio.sleep(_REVIEW_S)
