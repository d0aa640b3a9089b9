"""The whole node on a simulated loop: the tree of `greenroom.supervisor.Node` without its HTTP side and its files."""

from __future__ import annotations

from collections import deque
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from greenroom.actors.facts import FactStamps
from greenroom.actors.group.group import Group
from greenroom.actors.lane import Lane, LaneQueue
from greenroom.actors.pair import Pair
from greenroom.actors.queries.pulls import Queries
from greenroom.actors.rules.ids import address_of
from greenroom.actors.rules.tokens import Authenticator
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.base import LoopBase
from greenroom.actors.runtime.service import Service
from greenroom.actors.runtime.supervision import ChildSpec, Supervisor
from greenroom.actors.strain import Strain
from greenroom.actors.user import User
from greenroom.actors.world import World
from greenroom.persistence.errors import StoreUnavailable
from greenroom.tests.simulation.disk import SimulatedStore
from greenroom.transport.admission import Admission
from greenroom.transport.gateway.gateway import Gateway
from greenroom.transport.sessions import SessionTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from greenroom.actors.runtime.cell import Cell
    from greenroom.actors.runtime.entity import Entity
    from greenroom.persistence.settings import Settings
    from greenroom.tests.simulation.disk import Disk
    from greenroom.tests.simulation.loop import Kernel, ProcessLoop

__all__ = ["SimulatedBug", "SimulatedClock", "SimulatedNode"]

START_MS = 1_700_000_000_000
ROOT = Address("fixed", "root")
NOWHERE: Any = None
"""Of the simulated loop's one network, which has no addresses."""
ENTITIES = ("user", "conversation", "group")


class SimulatedBug(Exception):
    """What an entity crashes of."""


class SimulatedClock:
    """The wall clock: virtual time and an error that faults change. `bomb`: the next look at it fails."""

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
    """Seconds; what lies between two looks takes some milliseconds."""
    now = 0.0
    while True:
        yield now
        now += random.expovariate(200)


class ShuffledReady(deque["Cell"]):
    """Which cell has its turn next is drawn: the base promises an order within a mailbox only."""

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


class SimulatedNode:
    """One life of the node's process. `fallen` says why the tree could not be kept up."""

    def __init__(
        self, kernel: Kernel, loop: ProcessLoop, disk: Disk, clock: SimulatedClock, settings: Settings, *,
        shuffled: bool,
    ) -> None:  # fmt: skip
        random = kernel.random
        self.kernel = kernel
        self.loop = loop
        self.fallen = ""
        self.base = LoopBase(
            loop,
            turn_limit=random.choice([1, 3, 64]),
            tick_limit=random.choice([1, 8, 512]),
            on_crash=self._crashed,
        )
        if shuffled:
            self.base.ready = ShuffledReady(Random(random.getrandbits(64)))
        strain = Strain()
        self.sessions = SessionTable(
            watched_users_limit=settings.websocket.watched_users_limit,
            strain=strain,
            loop=loop,
            clock=partial(next, _stopwatch(Random(random.getrandbits(64)))),
        )
        self.store = SimulatedStore(disk)
        lanes = [LaneQueue() for _ in range(settings.store.lanes)]
        self.world = World(
            system=self.base,
            clock=clock,
            random=Random(random.getrandbits(64)),
            store=self.store,
            sessions=self.sessions,
            auth=Authenticator(secret="a secret for the tests, 32 bytes", expire_days=90, clock=clock),
            settings=settings,
            lanes=tuple(Address("fixed", f"lane-{number}") for number in range(len(lanes))),
            facts=FactStamps(),
            strain=strain,
        )
        gateway = self.gateway = Gateway(
            self.base,
            settings=settings.websocket,
            authenticator=self.world.auth,
            address_of=address_of,
            queries=Queries(self.store),
            sessions=self.sessions,
            admin_user_ids=frozenset(settings.auth.admin_user_ids),
            admission=Admission(loop, settings.overload, strain),
        )
        for kind, entity in zip(ENTITIES, (User, Pair, Group), strict=True):
            factory = partial(self._traced, partial(entity, self.world))
            self.base.register_kind(kind, factory, idle_timeout_s=settings.message.idle_timeout_s, quarantine_max_s=4.0)
        self.ready = loop.create_future()
        self._tree = Supervisor(
            [
                ChildSpec("store", lambda: Service(self.store.open, self.store.close)),
                *(
                    ChildSpec(f"lane-{number}", partial(self._traced, partial(Lane, self.world), lane))
                    for number, lane in enumerate(lanes)
                ),
                ChildSpec("gateway", lambda: Service(lambda: gateway.start(NOWHERE), gateway.stop)),
            ],
            on_ready=lambda: self.ready.set_result(None),
            on_fall=self._fell,
        )

    async def start(self) -> None:
        self.base.spawn(ROOT, lambda: self._tree)
        await self.ready

    async def stop(self) -> None:
        """As SIGTERM does."""
        await self.gateway.drain(self.world.settings.node.drain_timeout_s)
        self.base.stop(ROOT)
        await self.base.gone(ROOT)
        await self.base.shutdown()

    def crash(self, address: Address) -> None:
        """End an actor's life between two turns."""
        cell: Any = self.base.cells.get(address)
        if cell is not None and cell.actor is not None:
            self.kernel.note("crash", str(address))
            cell.crash(SimulatedBug())

    def entities(self, *, busy: bool) -> list[Address]:
        """Those that are awake; only those that wait for the store, if there are any and `busy` asks for them."""
        cells: dict[Address, Any] = {a: cell for a, cell in self.base.cells.items() if a.kind in ENTITIES}
        waiting = [address for address, cell in cells.items() if getattr(cell.actor, "_in_flight", None) is not None]
        return waiting if busy and waiting else list(cells)

    def _traced(self, factory: Callable[..., Entity], *args: Any) -> Entity:
        entity = factory(*args)
        entity.__dict__["_handlers"] = TracedHandlers(self.kernel, entity._handlers)
        return entity

    def _crashed(self, entity: Address, sender: Address | None, error: BaseException) -> None:
        if not isinstance(error, SimulatedBug | StoreUnavailable):
            self.kernel.troubles.append(f"{entity} crashed by itself: {error!r}")
        if sender is not None:
            self.sessions.charge(sender)

    def _fell(self, reason: str) -> None:
        self.fallen = reason
