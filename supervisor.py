"""The tree: which children a node has, in the order in which they start, and what happens when one dies."""

from __future__ import annotations

import asyncio
import logging
import random
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from thespian.actors import ActorSystem

from greenroom.actors.conversation import Conversation
from greenroom.actors.errors import UserRegistered
from greenroom.actors.facts import FactStamps
from greenroom.actors.group.group import Group
from greenroom.actors.lane import Lane, Persistence
from greenroom.actors.messages import Caller, RegisterUsers
from greenroom.actors.queries.pulls import Queries
from greenroom.actors.rules.ids import address_of, user_address
from greenroom.actors.rules.tokens import Authenticator
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.base import LoopBase
from greenroom.actors.runtime.service import Service
from greenroom.actors.runtime.supervision import ChildSpec, Supervisor
from greenroom.actors.strain import Strain
from greenroom.actors.user import User
from greenroom.actors.world import World
from greenroom.persistence.clock import SystemClock
from greenroom.persistence.data_directory import DataDirectory
from greenroom.persistence.secret import secret_of
from greenroom.persistence.sqlite.sqlite_store import SqliteStore, WriterKind
from greenroom.persistence.store import UserRow
from greenroom.transport.admission import Admission
from greenroom.transport.gateway.gateway import Gateway
from greenroom.transport.http.call import EngineParts
from greenroom.transport.http.server import HttpServer
from greenroom.transport.listening import listening_socket
from greenroom.transport.sessions import SessionTable
from greenroom.transport.status import Observer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from greenroom.persistence.settings import Settings

__all__ = ["Node", "NodeFell"]

log = logging.getLogger("greenroom.supervisor")

_ADMIN_LEVEL = 2
_ROOT = Address("fixed", "root")


class NodeFell(Exception):
    """A fixed child could not be kept up; the text says which and why."""


class Node:
    """One node: everything between its sockets and its data directory.

    Life: `start`, then `drain` and `stop`; `fallen` is set with a reason when the tree could not be kept up.
    Nothing is process-wide: two nodes may live in one process.
    """

    def __init__(self, settings: Settings, *, make_store: Callable[[Path], SqliteStore] | None = None) -> None:
        """`make_store` makes another store than the settings ask for, given where the database lies."""
        self.settings = settings
        self._make_store = make_store or partial(SqliteStore, writer=_writer(settings))
        self.fallen: asyncio.Future[str] | None = None
        self.ws_port = self.api_port = 0
        self._directory = DataDirectory(settings.node.data_dir)

    async def start(self) -> None:
        """Returns when both ports answer. Raises DataDirectoryInUse, WeakSecret, NodeFell, OSError (a port
        is taken)."""
        loop = asyncio.get_running_loop()
        settings, host = self.settings, self.settings.node.host
        self.fallen = loop.create_future()
        self._directory.acquire()
        try:
            for port in (settings.node.ws_port, settings.node.api_port):
                # A taken one is said here, in one line; in the tree it would be restarts, then a fall.
                listening_socket(host, port).close()
            secret = secret_of(settings, self._directory.path)
            clock = SystemClock()
            self.base = LoopBase(loop, on_crash=self._crashed)
            self.system = ActorSystem(self.base, transientUnique=True)
            strain = Strain()
            self.sessions = SessionTable(
                watched_users_limit=settings.websocket.watched_users_limit, strain=strain, loop=loop
            )
            self.store = self._make_store(self._directory.database)
            lanes = {f"lane-{number}": Lane() for number in range(settings.store.lanes)}
            self.world = World(
                system=self.base,
                clock=clock,
                random=random.SystemRandom(),
                store=self.store,
                sessions=self.sessions,
                auth=Authenticator(secret=secret, expire_days=settings.auth.token_expire_days, clock=clock),
                settings=settings,
                lanes=tuple(Address("fixed", name) for name in lanes),
                facts=FactStamps(),
                strain=strain,
            )
            queries = Queries(self.store)
            self.gateway = Gateway(
                self.base,
                settings=settings.websocket,
                admission=Admission(loop, settings.overload, strain),
                authenticator=self.world.auth,
                address_of=address_of,
                queries=queries,
                sessions=self.sessions,
                admin_user_ids=frozenset(settings.auth.admin_user_ids),
            )
            self.http = HttpServer(
                EngineParts(
                    base=self.base,
                    store=self.store,
                    sessions=self.sessions,
                    queries=queries,
                    world=self.world,
                    settings=settings,
                    clock=clock,
                    rng=self.world.random,
                    secret=secret,
                    status=lambda: observer.look(root.restarts),
                )
            )
            idle_s = settings.message.idle_timeout_s
            self.base.register_kind("user", partial(User, self.world), idle_timeout_s=idle_s)
            self.base.register_kind("conversation", partial(Conversation, self.world), idle_timeout_s=idle_s)
            self.base.register_kind("group", partial(Group, self.world), idle_timeout_s=idle_s)
            ready: asyncio.Future[None] = loop.create_future()
            root = Supervisor(
                [
                    ChildSpec(
                        "store", lambda: Service(self.store.open, self.store.close, self.store.lost), shutdown_s=10.0
                    ),
                    *(
                        ChildSpec(name, partial(Persistence, self.world, lane)) for name, lane in lanes.items()
                    ),
                    ChildSpec("admins", lambda: Service(self._register_admins, _nothing)),
                    ChildSpec(
                        "gateway",
                        lambda: Service(self._start_gateway, self.gateway.stop),
                    ),
                    ChildSpec("http", lambda: Service(self.http.start, self.http.stop)),
                ],
                on_ready=lambda: ready.set_result(None),
                on_fall=self._fell,
            )
            observer = Observer(
                base=self.base,
                clock=clock,
                tally=self.world.tally,
                damage=self.store.damage,
                sessions=self.sessions,
                lanes=lanes,
                version=version("greenroom"),
            )
            self.base.spawn(_ROOT, lambda: root)
            await asyncio.wait({ready, self.fallen}, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
            if self.fallen.done():
                raise NodeFell(self.fallen.result())
        except BaseException:
            self._directory.release()
            raise
        self.ws_port, self.api_port = self.gateway.port, self.http.port

    async def drain(self) -> None:
        """No new connections and requests; those under way are answered, within drain_timeout_s."""
        limit = self.settings.node.drain_timeout_s
        await asyncio.gather(self.gateway.drain(limit), self.http.drain(limit))

    async def stop(self) -> None:
        """Stop the children in reverse order, then everybody else; let go of the data directory."""
        self.base.stop(_ROOT)
        await self.base.gone(_ROOT)
        await self.base.shutdown()
        for stop in (self.http.stop, self.gateway.stop, self.store.close):
            await stop()  # Again: when the tree fell, the child that crashed had no chance to.
        self.system.shutdown()
        self._directory.release()

    async def _start_gateway(self) -> None:
        """A restart takes the port of before, where clients look for it."""
        node = self.settings.node
        await self.gateway.start(listening_socket(node.host, self.gateway.port or node.ws_port))

    def _crashed(self, entity: Address, sender: Address | None, error: BaseException) -> None:
        """A crash is charged to the connection whose request caused it."""
        if sender is not None:
            self.sessions.charge(sender)

    def _fell(self, reason: str) -> None:
        if self.fallen is not None and not self.fallen.done():
            self.fallen.set_result(reason)

    async def _register_admins(self) -> None:
        """The configured admins exist from the first start on, with level 2."""
        now = self.world.clock.now_ms()
        for user_id in self.settings.auth.admin_user_ids:
            row = UserRow(user_id, "superAdmin", "", "", now, _ADMIN_LEVEL, 0)
            command = RegisterUsers(caller=Caller(user_id, 10, "start", True), users=[row])
            try:
                await self.base.ask(user_address(user_id), command, timeout_s=30)
            except UserRegistered:
                continue


def _writer(settings: Settings) -> WriterKind:
    return "thread" if settings.store.writer == "thread" else "process"


async def _nothing() -> None:
    pass
