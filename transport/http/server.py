"""The HTTP server: connections are taken until it drains or stops."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from greenroom.transport.http.app import HttpApi
from greenroom.transport.http.connection import HttpConnection, Shared
from greenroom.transport.listening import BACKLOG, listening_socket

if TYPE_CHECKING:
    from greenroom.transport.http.context import Context

__all__ = ["HttpServer"]


class HttpServer:
    """`start`, then `drain` (no new connections, answers go out) or `stop` (at once); then perhaps again."""

    def __init__(self, context: Context) -> None:
        self._node = context.settings.node
        self._max_connections = context.settings.http.max_connections
        self._api = HttpApi(context)
        self._port = self._node.api_port
        self._server: asyncio.Server | None = None
        self._shared: Shared | None = None

    @property
    def port(self) -> int:
        """Where it listens: the given port, or the one that the system chose for port 0, in every start."""
        return self._port

    async def start(self) -> None:
        """Listens when this returns. Raises OSError when the address is taken."""
        listening = listening_socket(self._node.host, self._port)
        self._port = listening.getsockname()[1]
        shared = self._shared = Shared(self._api, self._max_connections)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: HttpConnection(shared), sock=listening, backlog=BACKLOG
        )

    async def drain(self, timeout_s: float) -> None:
        """Takes no more connections, answers what is under way for at most `timeout_s`, then ends."""
        shared = self._shared
        if self._server is None or shared is None:
            return
        self._server.close()
        for connection in list(shared.connections):
            connection.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while shared.connections:
                    shared.none_left.clear()
                    await shared.none_left.wait()
        await self.stop()

    async def stop(self) -> None:
        """Ends now; requests under way are cut off."""
        server, self._server = self._server, None
        if server is None or self._shared is None:
            return
        server.close()
        for connection in list(self._shared.connections):
            connection.abort()
        answering = self._shared.answering
        for task in answering:
            task.cancel()
        if answering:
            await asyncio.wait(answering)
