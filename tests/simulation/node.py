"""The engine on a simulated loop and disk, behind the gateway: a node without its HTTP side and its files."""

from __future__ import annotations

from collections import deque
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from greenroom.actors.engine import Engine
from greenroom.actors.rules.ids import address_of
from greenroom.actors.runtime.base import LoopBase
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.entity_cell import EntityCell
from greenroom.actors.runtime.service import Service
from greenroom.actors.runtime.supervision import ChildSpec
from greenroom.actors.session_table import SessionTable
from greenroom.actors.stored_entity import StoredEntity
from greenroom.persistence.errors import StoreUnavailable
from greenroom.tests.simulation.disk import SimulatedStore
from greenroom.transport.admission import Admission
from greenroom.transport.gateway.gateway import Gateway
from greenroom.transport.rate_limits import Limits

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator

    from greenroom.actors.feed import Subscriber
    from greenroom.actors.health import Health
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.cell import Cell
    from greenroom.persistence.settings import Settings
    from greenroom.tests.simulation.disk import Disk
    from greenroom.tests.simulation.loop import Kernel, ProcessLoop

__all__ = ["SimulatedBug", "SimulatedClock", "SimulatedNode"]

START_MS = 1_700_000_000_000
NOWHERE: Any = None
"""Of the simulated loop's one network, which has no addresses."""
ENTITIES = ("user", "conversation", "group")

_Made = TypeVar("_Made", bound=Entity)


class SimulatedBug(Exception):
    """The exception of a crashing entity."""


class SimulatedClock:
    """The wall clock: virtual time, plus an error that faults change. `bomb`: its next reading fails."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.error_ms = 0
        self.bomb = False

    def now_ms(self) -> int:
        if self.bomb:
            self.bomb = False
            self._kernel.note("bomb")
            raise SimulatedBug
        return START_MS + int(self._kernel.now * 1000) + self.error_ms


def _stopwatch(random: Random) -> Iterator[float]:
    """The time in seconds. Some milliseconds pass between two readings."""
    now = 0.0
    while True:
        yield now
        now += random.expovariate(200)


class ShuffledReady(deque["Cell"]):
    """The next cell is chosen at random, because the base guarantees an order only within a mailbox."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    def popleft(self) -> Cell:
        if len(self) > 1:
            self.rotate(-self._random.randrange(len(self)))
        return super().popleft()


class TracedHandlers(dict[type, "Callable[[Any, Any, Any], Any]"]):
    """An entity's handlers, each of which notes the message first."""

    def __init__(self, kernel: Kernel, handlers: Any) -> None:
        self._kernel = kernel
        self._handlers = handlers

    def __missing__(self, message_class: type) -> Callable[[Any, Any, Any], Any]:
        kernel, handler, name = self._kernel, self._handlers[message_class], message_class.__name__

        def traced(actor: Any, message: Any, sender: Any) -> None:
            kernel.note(str(actor.myAddress), name, str(sender), *_ids(message))
            handler(actor, message, sender)

        self[message_class] = traced
        return traced


def _ids(message: Any) -> tuple[Any, ...]:
    send = getattr(message, "message", None)
    found = [getattr(message, name, None) for name in ("owner", "user_id", "user_ids", "conversation_id", "connection")]
    ids = tuple(str(one) for one in found if one is not None)
    return (*ids, send.clientMsgID) if send is not None else ids


class SimulatedNode(Engine):
    """One incarnation of the node's process: the engine on a simulated loop and disk, behind the gateway."""

    store: SimulatedStore
    quarantine_max_s = 4.0

    def __init__(
        self, kernel: Kernel, loop: ProcessLoop, disk: Disk, clock: SimulatedClock, settings: Settings, *,
        shuffled: bool, subscribers: Iterable[Subscriber] = (),
    ) -> None:  # fmt: skip
        self.kernel = kernel
        self.loop = loop
        clock.bomb = False  # Addressed to an entity.
        self.is_ready = False
        self._shuffled = shuffled
        super().__init__(
            settings,
            memory=True,
            make_store=lambda _: SimulatedStore(disk),
            subscribers=subscribers,
            transports=self._gateway,
            clock=clock,
            rng=Random(kernel.random.getrandbits(64)),
        )

    @property
    def fall_reason(self) -> str:
        """Why the supervision tree failed; empty while it runs."""
        return self.fallen.result() if self.is_running and self.fallen.done() else ""

    async def start(self) -> None:
        await super().start()
        self.is_ready = True

    def make_base(self, loop: asyncio.AbstractEventLoop) -> LoopBase:
        random = self.kernel.random
        base = LoopBase(
            loop,
            turn_limit=random.choice([1, 3, 64]),
            tick_limit=random.choice([1, 8, 512]),
            on_crash=self.crashed,
        )
        if self._shuffled:
            base.ready = ShuffledReady(Random(random.getrandbits(64)))
        return base

    def make_sessions(self, health: Health) -> SessionTable:
        return SessionTable(
            watched_users_limit=self.settings.websocket.watched_users_limit,
            health=health,
            loop=self.loop,
            clock=partial(next, _stopwatch(Random(self.kernel.random.getrandbits(64)))),
        )

    def make(self, kind: Callable[..., _Made], *given: Any) -> _Made:
        entity = super().make(kind, *given)
        entity.__dict__["_handlers"] = TracedHandlers(self.kernel, entity._handlers)
        return entity

    def crashed(self, entity: Address, sender: Address | None, error: BaseException) -> None:
        if not isinstance(error, SimulatedBug | StoreUnavailable):
            self.kernel.troubles.append(f"{entity} crashed by itself: {error!r}")
        super().crashed(entity, sender, error)

    def _gateway(self, engine: Engine) -> list[ChildSpec]:
        settings = self.settings
        gateway = self.gateway = Gateway(
            self.base,
            settings=settings.websocket,
            limits=Limits(settings.limits, self.world.health, self.loop.time),
            authenticator=self.world.auth,
            address_of=address_of,
            queries=self.queries,
            sessions=self.sessions,
            admin_user_ids=frozenset(settings.auth.admin_user_ids),
            admission=Admission(
                self.loop,
                settings.overload,
                self.world.health,
                max_connections=settings.websocket.max_connections,
            ),
        )
        return [ChildSpec("gateway", lambda: Service(lambda: gateway.start(NOWHERE), gateway.stop))]

    async def drain_and_stop(self) -> None:
        """End the node as SIGTERM does."""
        await self.gateway.drain(self.settings.node.drain_timeout_s)
        await self.stop()

    def crash(self, address: Address) -> None:
        """End an actor's incarnation between two turns."""
        cell = self.base.cells.get(address)
        if isinstance(cell, EntityCell) and cell.actor is not None:
            self.kernel.note("crash", str(address))
            cell.crash(SimulatedBug())

    def entities(self, *, busy: bool) -> list[Address]:
        """The awake actors; with `busy`, only those that wait for the store, if there are any."""
        cells = {a: cell for a, cell in self.base.cells.items() if a.kind in ENTITIES}
        waiting = [
            address
            for address, cell in cells.items()
            if isinstance(cell, EntityCell)
            and isinstance(cell.actor, StoredEntity)
            and cell.actor._in_flight is not None
        ]
        return waiting if busy and waiting else list(cells)

    def has_unrun_effects(self, address: Address) -> bool:
        """Whether an entity has effects of stored items to run: those of a former incarnation, while it loads."""
        cell = self.base.cells.get(address)
        return isinstance(cell, EntityCell) and isinstance(cell.actor, StoredEntity) and bool(cell.actor._pending_items)
