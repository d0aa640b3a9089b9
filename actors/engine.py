"""Engine: a whole chat engine in one process, without sockets: store, lanes, entities, services.

It sets nothing process-wide (no signal handler, no logger, no loop policy), so several engines can run side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from thespian.actors import ActorSystem

from greenroom.actors.clock import SystemClock
from greenroom.actors.errors import AskTimeout, StoreFailed, UserExists
from greenroom.actors.facts import FactStamps
from greenroom.actors.feed import Feed, check_subscriber
from greenroom.actors.group.group import Group
from greenroom.actors.health import Health
from greenroom.actors.lane import Lane, LaneQueue
from greenroom.actors.messages import Caller, RegisterUsers
from greenroom.actors.pair import Pair
from greenroom.actors.queries.pulls import Queries
from greenroom.actors.rules.ids import user_address
from greenroom.actors.rules.tokens import Authenticator
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.base import LoopBase
from greenroom.actors.runtime.service import Service
from greenroom.actors.runtime.supervision import ChildSpec, Supervisor
from greenroom.actors.session_table import SessionTable
from greenroom.actors.status import Observer
from greenroom.actors.user import User
from greenroom.actors.wire.vocabulary import AppLevel, Platform
from greenroom.actors.world import World
from greenroom.persistence import settings as settings_module
from greenroom.persistence.data_directory import DataDirectory
from greenroom.persistence.errors import StoreDamaged, StoreError
from greenroom.persistence.secret import secret_of
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.sqlite.statements import MEMORY
from greenroom.persistence.tables import UserRow

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from greenroom.actors.feed import Subscriber
    from greenroom.actors.messages import Command
    from greenroom.actors.ports import Clock
    from greenroom.actors.runtime.entity import Entity
    from greenroom.actors.runtime.replies import Answer
    from greenroom.actors.status import NodeStatus
    from greenroom.persistence.settings import Settings
    from greenroom.persistence.sqlite.sqlite_store import WriterKind
    from greenroom.persistence.store import Store

__all__ = ["Engine", "EngineFell"]

_ROOT = Address("fixed", "root")
ASK_TIMEOUT_S = 8.0
"""Seconds to wait for an answer. Below the SDK's 10 s, and above the 5 s after which a hung write is refused."""

_Made = TypeVar("_Made", bound="Entity")


class EngineFell(Exception):
    """A fixed child failed too often, or a restart would not help. The text is one line, and says which child, and
    why."""


class Engine:
    """The tree of one chat engine: store, lanes, users, conversations and groups.

    ```python
    async with Engine(memory=True) as engine:
        await engine.ask(user_address("alice"), RegisterUsers(caller=caller, users=[row]))
    ```

    Life cycle: `start`, then `stop`; after that it may be started again. All of it runs on the loop on which `start`
    was called. When a fixed child fails too often, `fallen` is set to the reason, and the engine can only be stopped.
    """

    quarantine_max_s: ClassVar[float] = 60.0
    """The longest quarantine of an entity that crashes repeatedly, in seconds."""

    base: LoopBase
    """The base that runs its actors. This attribute and the following ones are set by `start`; before it, reading them
    raises RuntimeError."""
    world: World
    sessions: SessionTable
    store: Store
    queries: Queries
    fallen: asyncio.Future[str]
    scan_turn: asyncio.Lock
    """Held for each slice of a long read of the store. So the loop waits for one slice at a time, however many such
    reads are in flight."""
    search_turn: asyncio.Lock
    """The same for searches, which cost more: so they make only each other wait."""
    _root: Supervisor
    _observer: Observer

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        memory: bool = False,
        make_store: Callable[[Path], Store] | None = None,
        subscribers: Iterable[Subscriber] = (),
        transports: Callable[[Engine], Sequence[ChildSpec]] | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """Without `settings` the packaged settings apply, and a thread writes the store instead of a process.

        `data_dir` overrides the setting `node.data_dir`. With `memory` nothing is written to disk, and no folder is
        needed. `make_store` replaces the store of the settings; its argument is the path of the database. Each of
        `subscribers` gets all committed events, from a feed of its own. `transports` is called during `start`; the
        children that it returns are started after the engine's own.

        Raises TypeError or ValueError for a subscriber that is none, or whose name another one has.
        """
        self.settings = settings or settings_module.load(environ={})
        self.clock = clock or SystemClock()
        self.rng = rng or random.SystemRandom()
        if memory and data_dir is not None:
            raise ValueError("an engine in memory has no data_dir")
        self._directory = None if memory else DataDirectory(data_dir or self.settings.node.data_dir)
        self._writer: WriterKind = "thread" if settings is None else _writer_of(settings)
        self._make_store = make_store
        self._subscribers = tuple(subscribers)
        for subscriber in self._subscribers:
            check_subscriber(subscriber)
        if len({subscriber.name for subscriber in self._subscribers}) < len(self._subscribers):
            raise ValueError("two subscribers have the same name")
        self._transports = transports
        self._system: ActorSystem | None = None
        self._has_started = False
        """Whether all children have loaded since the last `start`."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Called for an attribute that is not set."""
            if name in Engine.__annotations__:
                raise RuntimeError("the engine has not been started")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def is_running(self) -> bool:
        """Whether the engine has been started and not yet stopped."""
        return self._system is not None

    async def start(self) -> None:
        """Start the engine, and return when every child has loaded. If this raises or is cancelled, it first closes all
        that it has opened: a thread that opens the store cannot be cancelled, so it waits for that one.

        Raises RuntimeError if it has already been started, DataDirectoryInUse, DataDirectoryUnsafe, WeakSecret,
        OSError, EngineFell, and what `transports` raises.
        """
        if self._system is not None:
            raise RuntimeError("the engine has already been started")
        self._has_started = False
        if self._directory is not None:
            self._directory.acquire()
        try:
            self._build(asyncio.get_running_loop())
            ready: asyncio.Future[None] = self.base.loop.create_future()
            self._root = Supervisor(
                [*self.children(), *(self._transports(self) if self._transports is not None else ())],
                on_ready=lambda: self._has_loaded(ready),
                on_failure=self._fell,
            )
            self.base.spawn(_ROOT, lambda: self._root)
            await asyncio.wait((ready, self.fallen), return_when=asyncio.FIRST_COMPLETED)
            if self.fallen.done():
                raise EngineFell(self.fallen.result())
        except GeneratorExit:
            raise  # The loop ended before this did: nothing can be awaited any more.
        except BaseException:
            stopping = asyncio.ensure_future(self.stop())
            while not stopping.done():
                with contextlib.suppress(asyncio.CancelledError):  # It ends with the first one.
                    await asyncio.wait([stopping])
            stopping.result()
            raise

    async def stop(self) -> None:
        """Stop the children in reverse order, then all other actors, and release the data directory. Does nothing if
        the engine is not running."""
        system, self._system = self._system, None
        if system is not None:
            self.base.stop(_ROOT)
            await self.base.when_ended(_ROOT)
            await self.base.shutdown()
            await self.store.close()  # Once more, because a child that crashed has not closed it.
            system.shutdown()
        if self._directory is not None:
            self._directory.release()

    def ask(self, target: Address, command: Command, *, timeout_s: float = ASK_TIMEOUT_S) -> asyncio.Task[Any]:
        """Send a command now. The task's result is the value of the answer. It raises the error of a refusal, or
        AskTimeout. Raises RuntimeError before `start`."""
        return self.base.loop.create_task(_value(self.base.ask(target, command, timeout_s=timeout_s)))

    def status(self) -> NodeStatus:
        """The state of the engine, and its counters since the start. Raises RuntimeError before `start`."""
        return self._observer.status(self._root.restarts)

    async def not_ready(self) -> str:
        """Why the engine cannot serve now; empty if it can. Raises RuntimeError before `start`."""
        return await self._observer.not_ready()

    # The tree. Subclasses may replace parts of it.

    def children(self) -> list[ChildSpec]:
        """The fixed children, in the order in which they are started."""
        return [
            ChildSpec("store", lambda: Service(self._open_store, self.store.close, self.store.lost), shutdown_s=10.0),
            *(ChildSpec(name, partial(self.make, Lane, self.world, queue)) for name, queue in self.lanes.items()),
            ChildSpec("admins", lambda: Service(self._register_admins, _nothing)),
            *(ChildSpec(f"feed-{name}", partial(Service, feed.start, feed.stop)) for name, feed in self.feeds.items()),
        ]

    def make_base(self, loop: asyncio.AbstractEventLoop) -> LoopBase:
        """Make the base that runs its actors."""
        return LoopBase(loop, on_crash=self.crashed)

    def make_sessions(self, health: Health) -> SessionTable:
        """Make the table of its live connections."""
        return SessionTable(
            watched_users_limit=self.settings.websocket.watched_users_limit, health=health, loop=self.base.loop
        )

    def make(self, kind: Callable[..., _Made], *given: Any) -> _Made:
        """Make an entity or a lane. All of them are made here."""
        return kind(*given)

    def crashed(self, entity: Address, sender: Address | None, error: BaseException) -> None:
        """Charge a crash to the connection whose request caused it."""
        if sender is not None:
            self.sessions.charge(sender)

    def _build(self, loop: asyncio.AbstractEventLoop) -> None:
        settings = self.settings
        secret = secrets.token_urlsafe(32) if self._directory is None else secret_of(settings, self._directory.path)
        self.secret = settings.auth.secret or secret
        self.fallen = loop.create_future()
        self.scan_turn = asyncio.Lock()
        self.search_turn = asyncio.Lock()
        self.base = self.make_base(loop)
        self._system = ActorSystem(self.base, transientUnique=True)
        health = Health()
        self.sessions = self.make_sessions(health)
        self.store = self._new_store()
        self.lanes = {f"lane-{number}": LaneQueue() for number in range(settings.store.lanes)}
        self.world = World(
            system=self.base,
            clock=self.clock,
            random=self.rng,
            store=self.store,
            sessions=self.sessions,
            auth=Authenticator(secret=self.secret, expire_days=settings.auth.token_expire_days, clock=self.clock),
            settings=settings,
            lanes=tuple(Address("fixed", name) for name in self.lanes),
            facts=FactStamps(),
            health=health,
        )
        self.queries = Queries(self.store)
        self.feeds = {
            subscriber.name: Feed(subscriber, store=self.store, commits=self.world.commits, sampler=self.base.sampler)
            for subscriber in self._subscribers
        }
        for kind, entity in (("user", User), ("conversation", Pair), ("group", Group)):
            self.base.register_kind(
                kind,
                partial(self.make, entity, self.world),
                idle_timeout_s=settings.message.idle_timeout_s,
                quarantine_max_s=self.quarantine_max_s,
            )
        self._observer = Observer(
            base=self.base,
            clock=self.clock,
            health=self.world.health,
            store=self.store,
            sessions=self.sessions,
            lanes=self.lanes,
            version=version("greenroom"),
        )

    def _new_store(self) -> Store:
        path = Path(MEMORY) if self._directory is None else self._directory.database
        if self._make_store is not None:
            return self._make_store(path)
        if self._directory is None:
            return SqliteStore(MEMORY, events_limit=self.settings.store.events_limit)
        return SqliteStore(path, writer=self._writer, events_limit=self.settings.store.events_limit)

    async def _open_store(self) -> None:
        """Raises StoreUnavailable and OSError in an engine that has started: then it is tried again. At the start, and
        after any other error of the store, the engine falls: its files would be the same the next time."""
        try:
            await self.store.open()
        except (StoreError, OSError) as error:
            may_pass = isinstance(error, OSError) or error.retryable
            if (may_pass and self._has_started) or self._directory is None:
                raise
            database, told = str(self._directory.database), str(error)
            if isinstance(error, OSError) and error.strerror:
                told = f"{error.filename or database}: {error.strerror}"
            reason = told if database in told else f"{database}: {told}"
            hint = " (`greenroom check` lists the damage)" if isinstance(error, StoreDamaged) else ""
            self._root.fail(reason + hint)
            await asyncio.get_running_loop().create_future()

    def _has_loaded(self, ready: asyncio.Future[None]) -> None:
        self._has_started = True
        ready.set_result(None)

    def _fell(self, reason: str) -> None:
        if not self.fallen.done():
            self.fallen.set_result(reason)

    async def _register_admins(self) -> None:
        """Register the configured admins that are not registered yet. If the store fails, the engine falls."""
        now = self.clock.now_ms()
        for user_id in self.settings.auth.admin_user_ids:
            row = UserRow(user_id, "superAdmin", "", "", now, AppLevel.ADMIN, 0)
            command = RegisterUsers(caller=Caller(user_id, Platform.ADMIN, "start", True), users=[row])
            try:
                await self.ask(user_address(user_id), command)
            except UserExists:
                continue
            except (StoreFailed, AskTimeout):
                where = "the store" if self._directory is None else self._directory.database
                self._root.fail(f"{where}: {user_id} cannot be registered (`greenroom check` lists damage)")
                await asyncio.get_running_loop().create_future()


def _writer_of(settings: Settings) -> WriterKind:
    return "thread" if settings.store.writer == "thread" else "process"


async def _value(answer: asyncio.Future[Answer]) -> Any:
    return (await answer).value


async def _nothing() -> None:
    pass
