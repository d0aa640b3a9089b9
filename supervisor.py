"""The supervision tree of a node: the engine's children, then the transports, in the order in which they start."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

from greenroom.actors.engine import Engine, EngineFell
from greenroom.actors.rules.ids import address_of
from greenroom.actors.runtime.service import Service
from greenroom.actors.runtime.supervision import ChildSpec
from greenroom.persistence.settings import SettingsError, load
from greenroom.transport.admission import Admission
from greenroom.transport.gateway.gateway import Gateway
from greenroom.transport.http.server import HttpServer
from greenroom.transport.listening import listening_socket, warn_of_low_limit
from greenroom.transport.rate_limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from greenroom.actors.feed import Subscriber
    from greenroom.persistence.settings import Settings
    from greenroom.persistence.store import Store

__all__ = ["EngineFell", "Node"]


class Node:
    """One node: an engine, and the sockets through which clients reach it.

    Life cycle: `start`, then `drain` and `stop`. `fallen` is set to the reason when a fixed child cannot be kept
    running. There is no process-wide state, so two nodes may run in one process. So the limit of open files, which
    bounds the connections, stays as the host has it: see `raise_descriptor_limit` in `transport.listening`.
    """

    gateway: Gateway
    http: HttpServer

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        make_store: Callable[[Path], Store] | None = None,
        subscribers: Iterable[Subscriber] = (),
    ) -> None:
        """Without `settings`, those of the packaged file and the environment apply. `make_store` makes the store in
        place of the default one; it receives the path of the database. Each of `subscribers` gets all committed events,
        from a feed of its own. Raises SettingsError, and TypeError or ValueError for a subscriber that is none, or
        whose name another one has."""
        self.settings = settings = load() if settings is None else settings
        _check_ports(settings)
        self.engine = Engine(settings, make_store=make_store, subscribers=subscribers, transports=self._transports)
        self.ws_port = self.api_port = 0
        self._has_transports = False

    @property
    def fallen(self) -> asyncio.Future[str]:
        """The reason why a fixed child could not be kept running. Raises RuntimeError before `start`."""
        return self.engine.fallen

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns once both ports accept connections. If it raises or is cancelled, nothing stays open or running.

        Raises what `Engine.start` raises, and OSError when a port is taken.
        """
        try:
            await self.engine.start()
        finally:
            if not self.engine.is_running:
                await asyncio.shield(self._stop_transports())
        self.ws_port, self.api_port = self.gateway.port, self.http.port
        warn_of_low_limit(self.settings.websocket.max_connections)

    async def drain(self) -> None:
        """Refuse new connections and requests, and answer the requests in flight within drain_timeout_s. Does nothing
        if the node is not running."""
        if not self._has_transports:
            return
        limit = self.settings.node.drain_timeout_s
        await asyncio.gather(self.gateway.drain(limit), self.http.drain(limit))

    async def stop(self) -> None:
        """Stop the children in reverse order, then all other actors. Does nothing if the node is not running."""
        await self.engine.stop()
        await self._stop_transports()

    def _transports(self, engine: Engine) -> list[ChildSpec]:
        node, settings = self.settings.node, self.settings
        for name, port in (("ws_port", node.ws_port), ("api_port", node.api_port)):
            # A taken port raises here, with a clear error. In the tree it would cause restarts and then a failed node.
            try:
                listening_socket(node.host, port).close()
            except OSError as problem:
                why = (problem.strerror or str(problem)).partition(" (while")[0]
                number = problem.errno or 0  # Below 0: the name was not found.
                key = "host" if number < 0 or number == errno.EADDRNOTAVAIL else name
                raise OSError(problem.errno, f"node.{key}: cannot listen on {node.host}, port {port}: {why}") from None
        world = engine.world
        limits = self._limits = Limits(settings.limits, world.health, engine.base.loop.time)
        self.gateway = Gateway(
            engine.base,
            settings=settings.websocket,
            admission=Admission(
                engine.base.loop,
                settings.overload,
                world.health,
                max_connections=settings.websocket.max_connections,
            ),
            limits=limits,
            authenticator=world.auth,
            address_of=address_of,
            queries=engine.queries,
            sessions=engine.sessions,
            admin_user_ids=frozenset(settings.auth.admin_user_ids),
        )
        self.http = HttpServer(engine, limits)
        self._has_transports = True
        return [
            ChildSpec("gateway", lambda: Service(self._start_gateway, self.gateway.stop)),
            ChildSpec("http", lambda: Service(self.http.start, self.http.stop)),
        ]

    async def _start_gateway(self) -> None:
        """A restart uses the same port as before, where clients expect the gateway."""
        node = self.settings.node
        await self.gateway.start(listening_socket(node.host, self.gateway.port or node.ws_port))

    async def _stop_transports(self) -> None:
        """Stop the transports again: if the engine has failed, a crashed child has not stopped its transport."""
        if self._has_transports:
            self._has_transports = False
            await self.http.stop()
            await self.gateway.stop()
            self._limits.log_rest()


def _check_ports(settings: Settings) -> None:
    """Raises SettingsError."""
    port = settings.node.api_port
    if port and port == settings.node.ws_port:
        raise SettingsError(f"[node] ws_port and api_port are both {port}: each needs a port of its own")
