"""The HTTP side over a real socket, with a real engine in memory behind it."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from greenroom.actors.messages import Caller, IssueToken, VerifyToken
from greenroom.actors.rules.ids import user_address
from greenroom.actors.status import ActorClass, InQuarantine, LaneState, LimitedState, NodeStatus, StoreState
from greenroom.tests.kit.engine_kit import running_engine
from greenroom.transport.http.routes import ROUTES
from greenroom.transport.http.server import HttpServer
from greenroom.transport.rate_limits import Limits

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from greenroom.actors.ports import Clock
    from greenroom.actors.queries.pulls import Queries
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.world import World
    from greenroom.persistence.settings import Settings
    from greenroom.persistence.store import Store
    from greenroom.tests.kit.engine_kit import KitEngine
    from greenroom.transport.http.call import Sessions
    from greenroom.transport.http.table import Route

__all__ = ["ADMIN_ID", "SECRET", "STATUS", "Asks", "FakeSession", "HttpStage", "Peer", "http_stage", "until"]

SECRET = "openIM123-but-longer-for-hs256-keys"
ADMIN_ID = "imAdmin"
USERS = {"u1": 0, "u2": 0, ADMIN_ID: 2, "bot": 4}
"""Registered users, with their appMangerLevel."""
STATUS = NodeStatus(
    is_healthy=False,
    version="1.2.3",
    started_at=1_700_000_000_000,
    up_s=93_784.0,
    connections=7,
    sends_answered=1234,
    pushes=5678,
    limited=LimitedState(sends=41, changes=42, anonymous=43, wrong_secrets=44),
    store=StoreState(
        is_failing=True, slices_stored=900, slices_refused=3, slices_failed=2, slices_late=1, reads_damaged=8
    ),
    lanes=[LaneState("lane-0", 4, 5, 6)],
    restarts={"store": 2, "http": 0},
    actors=[
        ActorClass("Conversation", 11, 12, 13, 14, 15, 16, 1),
        ActorClass("User", 21, 22, 23, 24, 25, 26, 0),
    ],
    quarantined=[InQuarantine("conversation:a_b", "Conversation", 9, 3.5)],
)


class FakeSession(NamedTuple):
    connection_id: str
    platform_id: int
    is_background: bool
    token: str


@dataclass
class FakeSessions:
    """Connections, of which a test without a gateway has none."""

    table: dict[str, list[FakeSession]] = field(default_factory=dict)

    def sessions_of(self, user_id: str) -> list[FakeSession]:
        return self.table.get(user_id, [])

    def online_platforms(self, user_id: str) -> list[int]:
        return sorted({session.platform_id for session in self.sessions_of(user_id)})


class Asks:
    """The commands that handlers send to entities: a test can see them, delay them, and make them fail."""

    def __init__(self, base: LoopBase) -> None:
        self._ask = base.ask
        base.ask = self.ask  # type: ignore[assignment, method-assign]
        self.asked: list[tuple[Address, Any]] = []
        """All commands but the checks of tokens."""
        self.errors: dict[type, list[Exception]] = {}
        """Class of command -> the errors that answer the next ones."""
        self.go = asyncio.Event()
        """While it is cleared, asks wait."""
        self.go.set()
        self.begun = asyncio.Event()
        """Set by each ask."""
        self.count = self.waiting = self.most = 0

    async def ask(self, target: Address, message: Any, *, timeout_s: float | None = None) -> Any:
        self.count += 1
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        self.begun.set()
        await self.go.wait()
        self.waiting -= 1
        if not isinstance(message, VerifyToken):
            self.asked.append((target, message))
        if self.errors.get(type(message)):
            raise self.errors[type(message)].pop(0)
        return await self._ask(target, message, timeout_s=timeout_s)

    @property
    def last(self) -> Any:
        return self.asked[-1][1]


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition that no event announces, while the loop keeps running."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0)


class Peer:
    """A client that can write any bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def answer(self) -> tuple[bytes, bytes]:
        """The head and the body of the next answer."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        return head, await self.reader.readexactly(int(length))

    def stop_reading(self) -> None:
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]

    def abort(self) -> None:
        self.writer.transport.abort()

    def reset(self) -> None:
        """The other side learns that nobody reads its answers any more. After `abort` it cannot know this."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()


@dataclass(repr=False)
class Parts:
    """The engine as handlers see it, with sessions and a status that the test sets."""

    base: LoopBase
    store: Store
    sessions: Sessions
    queries: Queries
    world: World
    settings: Settings
    clock: Clock
    rng: random.Random
    secret: str
    status: Callable[[], NodeStatus]
    not_ready: Callable[[], Coroutine[Any, Any, str]]
    scan_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    search_turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class HttpStage:
    engine: KitEngine
    parts: Parts
    server: HttpServer
    client: httpx.AsyncClient
    sessions: FakeSessions
    asks: Asks
    tokens: dict[str, str]
    """A token of each registered user, for platform 1."""
    limits: Limits

    @property
    def store(self) -> Store:
        return self.engine.world.store

    async def connect(self, *, limit: int = 2**16) -> Peer:
        return Peer(*await asyncio.open_connection("127.0.0.1", self.server.port, limit=limit))

    async def issue(self, user_id: str, platform_id: int = 1) -> str:
        """A new token."""
        caller = Caller(user_id, platform_id, "op")
        issued = await self.engine.ask(user_address(user_id), IssueToken(caller=caller, platform_id=platform_id))
        token: str = issued.token
        return token

    async def post(
        self, path: str, body: Any = None, *, user: str | None = "u1", **headers: str
    ) -> httpx.Response:
        sent = {"operationID": "op-1"} | ({"token": self.tokens[user]} if user else {}) | headers
        if isinstance(body, bytes):
            return await self.client.post(path, content=body, headers=sent)
        return await self.client.post(path, json={} if body is None else body, headers=sent)

    async def data(self, path: str, body: Any = None, *, user: str | None = "u1") -> Any:
        """The data of a successful answer; None if it has none."""
        envelope = (await self.post(path, body, user=user)).json()
        assert envelope["errCode"] == 0, envelope
        assert (envelope["errMsg"], envelope["errDlt"]) == ("", "")
        return envelope.get("data")

    async def error(self, path: str, body: Any = None, *, user: str | None = "u1") -> tuple[int, str]:
        """(code, name) of a refusal, which has no data."""
        envelope = (await self.post(path, body, user=user)).json()
        assert "data" not in envelope
        return envelope["errCode"], envelope["errMsg"]

    def refuse(self, kind: type, *errors: Exception) -> None:
        """Make the next commands of this class fail."""
        self.asks.errors[kind] = list(errors)


@asynccontextmanager
async def http_stage(*, routes: Iterable[Route] = ROUTES, **environ: str) -> AsyncIterator[HttpStage]:
    """`environ`: settings, with the names of their environment variables without `GREENROOM_`."""
    settings = {"SECRET": SECRET, "NODE_API_PORT": "0", "OVERLOAD_PATIENCE_S": "5"} | environ
    async with running_engine(**{f"GREENROOM_{name}": value for name, value in settings.items()}) as engine:
        sessions, world = FakeSessions(), engine.world
        parts = Parts(
            base=engine.base,
            store=world.store,
            sessions=sessions,
            queries=engine.queries,
            world=world,
            settings=world.settings,
            clock=engine.clock,
            rng=engine.rng,
            secret=SECRET,
            status=lambda: STATUS,
            not_ready=engine.not_ready,
        )
        known = {user.user_id for user in await world.store.users(list(USERS))}
        for user_id, level in USERS.items():
            if user_id not in known:
                await engine.register(user_id, nickname=f"n-{user_id}", app_manger_level=level)
        limits = Limits(world.settings.limits, world.health, engine.base.loop.time)
        server = HttpServer(parts, limits, routes)
        await server.start()
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
                stage = HttpStage(engine, parts, server, client, sessions, Asks(engine.base), {}, limits)
                for user_id in USERS:
                    stage.tokens[user_id] = await stage.issue(user_id)
                stage.asks.asked.clear()
                stage.asks.count = 0
                stage.asks.begun.clear()
                yield stage
        finally:
            await server.stop()
