"""The HTTP server: uvicorn on the loop that runs already, without its signal handlers and its logs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from greenroom.transport.http.app import HttpApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from greenroom.transport.http.answer import Ready
    from greenroom.transport.http.context import Context

__all__ = ["HttpServer"]

_KEEP_ALIVE_S = 75
"""Longer than the pauses of a client that syncs; shorter than a day's forgotten sockets."""
_BACKLOG = 2048
_HEAD_LIMIT_BYTES = 65536
"""Of a request's line and headers; what one read brings beyond it is looked at, too."""
_DATE_S = 1.0


class HttpServer:
    """`start`, then `drain` (no new connections, answers go out) or `stop` (at once); then perhaps again."""

    def __init__(self, context: Context) -> None:
        self._node = context.settings.node
        self._max_connections = context.settings.http.max_connections
        self._api = HttpApi(context)
        self._server: _Server | None = None
        self._port = self._node.api_port
        self._run: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens: the given port, or the one that the system chose for port 0, in every start."""
        return self._port

    async def start(self) -> None:
        """Listens when this returns. Raises OSError when the address is taken."""
        host = self._node.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, self._port), family=family, backlog=_BACKLOG)
        listening.setblocking(False)
        self._port = listening.getsockname()[1]
        self._server = server = _Server(_config(self._api, self._max_connections))
        self._run = asyncio.create_task(server.serve(sockets=[listening]), name="http")
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait({self._run, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._run.done():
            self._run.result()

    async def run(self) -> None:
        """Returns when the server has ended, or raises what ended it."""
        assert self._run is not None
        await asyncio.shield(self._run)

    async def drain(self, timeout_s: float) -> None:
        """Takes no more connections, answers what is under way for at most `timeout_s`, then ends."""
        if self._run is None or self._server is None:
            return
        self._server.config.timeout_graceful_shutdown = max(1, round(timeout_s))
        self._server.end(at_once=False)
        await asyncio.wait({self._run})

    async def stop(self) -> None:
        """Ends now; requests under way are cut off."""
        if self._run is None or self._server is None:
            return
        self._server.end(at_once=True)
        for connection in list(self._server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.wait({self._run})


def _config(api: HttpApi, max_connections: int) -> uvicorn.Config:
    return uvicorn.Config(
        api,  # type: ignore[arg-type]  # _Protocol calls it, in its own way
        interface="asgi3",
        http=partial(_Protocol, max_connections=max_connections),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        backlog=_BACKLOG,
    )


class _Protocol(HttpToolsProtocol):
    """uvicorn asks the global loggers whether to write an access log; its lines hold what clients send. It bounds
    neither connections, nor a request's head, nor the silence before the first request. And as ASGI has it, an
    answer's head and body are two writes: two packets, for which the client wakes twice."""

    def __init__(self, *args: Any, max_connections: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False
        self._max_connections = max_connections
        self._head_bytes: int | None = 0
        """Of the head that is being read; None amid a body."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self._max_connections:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data: bytes) -> None:
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > _HEAD_LIMIT_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        task = self.loop.create_task(self._run(cycle, app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _run(self, cycle: RequestResponseCycle, api: HttpApi) -> None:
        """In place of uvicorn's `run_asgi`: answer one request."""
        scope = cycle.scope
        try:
            ready = await api.answer(scope["method"], scope["path"], scope["headers"], cycle)
            if ready is None:
                return
            if cycle.flow.write_paused:
                await cycle.flow.drain()
            if not cycle.disconnected:
                self._write(cycle, ready)
        finally:
            if not cycle.response_complete:
                self.transport.close()
            del cycle.on_response  # It holds us, and we hold the cycle.

    def _write(self, cycle: RequestResponseCycle, ready: Ready) -> None:
        closes = ready.closes or not cycle.keep_alive
        parts = [ready.head]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"connection: close\r\n\r\n" if closes else b"\r\n")
        if cycle.scope["method"] != "HEAD":
            parts.append(ready.body)
        self.transport.write(b"".join(parts))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if closes:
            self.transport.close()
        self.on_response_complete()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._ending = asyncio.Event()

    def end(self, *, at_once: bool) -> None:
        self.should_exit = True
        self.force_exit = at_once
        self._ending.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Only to keep the Date header; uvicorn's own looks ten times a second whether to end."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _DATE_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command line's."""
        yield
