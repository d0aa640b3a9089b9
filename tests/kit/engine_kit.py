"""An engine without sockets: entities on a running loop, a store in memory, sessions that write down pushes."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from greenroom.actors.facts import FactStamps
from greenroom.actors.group.group import Group
from greenroom.actors.lane import Lane, LaneQueue
from greenroom.actors.messages import Caller, Push, RegisterUsers, SendMessage
from greenroom.actors.pair import Pair
from greenroom.actors.rules.ids import address_of, user_address
from greenroom.actors.rules.tokens import Authenticator
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.base import LoopBase
from greenroom.actors.runtime.supervision import ChildSpec, Supervisor
from greenroom.actors.user import User
from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.actors.world import World
from greenroom.persistence import settings as settings_module
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.store import UserRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from greenroom.actors.audience import Audience

__all__ = ["Engine", "ManualClock", "RecordingSessions", "caller", "running_engine"]


class ManualClock:
    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.now


class FakeSession(NamedTuple):
    address: Address
    platform_id: int
    digest: bytes


class Received(NamedTuple):
    conversation_id: str
    message: sdkws_pb2.MsgData


class RecordingSessions:
    """Every user is online with one device unless `offline` says otherwise; pushes are kept by user."""

    def __init__(self) -> None:
        self.offline: set[str] = set()
        self.received: dict[str, list[Received]] = defaultdict(list)
        self.open_sessions: dict[str, list[FakeSession]] = defaultdict(list)
        self.known: dict[Address, FakeSession] = {}

    def open(self, user_id: str, connection: Address) -> None:
        self.open_sessions[user_id].append(self.known[connection])

    def close(self, user_id: str, connection: Address) -> None:
        self.open_sessions[user_id] = [one for one in self.open_sessions[user_id] if one.address != connection]

    def is_online(self, user_id: str) -> bool:
        return bool(self.open_sessions[user_id]) if user_id in self.open_sessions else user_id not in self.offline

    def sessions_of(self, user_id: str) -> Sequence[FakeSession]:
        return self.open_sessions.get(user_id, [])

    def push(self, push: Push, user_ids: Iterable[str]) -> list[str]:
        absent = []
        for user_id in user_ids:
            if user_id in self.offline:
                absent.append(user_id)
            else:
                message = sdkws_pb2.MsgData.FromString(push.message)
                self.received[user_id].append(Received(push.conversation_id, message))
        return absent

    def broadcast(self, push: Push, audience: Audience) -> None:
        audience.discard(self.push(push, audience.users))

    def seqs(self, user_id: str, conversation_id: str) -> list[int]:
        """What the user was pushed of a conversation, stored messages only."""
        return [
            one.message.seq
            for one in self.received[user_id]
            if one.conversation_id == conversation_id and one.message.seq
        ]


class Engine:
    def __init__(self, base: LoopBase, world: World, sessions: RecordingSessions, clock: ManualClock) -> None:
        self.base, self.world, self.sessions, self.clock = base, world, sessions, clock
        self._numbers = iter(range(10**9))

    def ask(self, address: Address, message: Any) -> asyncio.Task[Any]:
        """Sent now; the task's result is the answer's value."""

        async def value(answer: asyncio.Future[Any]) -> Any:
            return (await answer).value

        return asyncio.ensure_future(value(self.base.ask(address, message, timeout_s=10)))

    async def register(self, *user_ids: str, **columns: Any) -> None:
        def row(user_id: str) -> UserRow:
            return UserRow(
                user_id=user_id,
                nickname=columns.get("nickname", user_id),
                face_url="",
                ex="",
                create_time=1,
                app_manger_level=columns.get("app_manger_level", 0),
                global_recv_msg_opt=columns.get("global_recv_msg_opt", 0),
            )

        rows = [row(user_id) for user_id in user_ids]
        await self.ask(user_address(user_ids[0]), RegisterUsers(caller=caller("imAdmin"), users=rows))

    def message(self, send_id: str, recv_id: str = "", *, group_id: str = "", **fields: Any) -> sdkws_pb2.MsgData:
        fields.setdefault("clientMsgID", f"{next(self._numbers):032x}")
        fields.setdefault("contentType", 101)
        fields.setdefault("content", b'{"content":"hello"}')
        fields.setdefault("sessionType", 3 if group_id else 1)
        return sdkws_pb2.MsgData(sendID=send_id, recvID=recv_id, groupID=group_id, **fields)

    def send(self, message: sdkws_pb2.MsgData, *, by: str = "") -> asyncio.Task[msg_pb2.SendMsgResp]:
        command = SendMessage(caller=caller(by or message.sendID), message=message)
        return self.ask(address_of(message), command)


def caller(user_id: str) -> Caller:
    return Caller(user_id, 5, "op", user_id == "imAdmin")


@asynccontextmanager
async def running_engine(**environ: str) -> AsyncIterator[Engine]:
    """`environ`: settings, named as the environment names them."""
    loop = asyncio.get_running_loop()
    base = LoopBase(loop)
    settings = settings_module.load(environ=environ)
    clock, sessions, store = ManualClock(), RecordingSessions(), SqliteStore(":memory:", writer="inline")
    await store.open()
    world = World(
        system=base, clock=clock, random=random.Random(1), store=store, sessions=sessions,
        auth=Authenticator(secret="a secret for the tests, 32 bytes", expire_days=90, clock=clock),
        settings=settings, lanes=(Address("fixed", "lane-0"),), facts=FactStamps(),
    )  # fmt: skip
    queue = LaneQueue()
    ready = asyncio.Event()
    lanes = [ChildSpec("lane-0", lambda: Lane(world, queue))]
    base.spawn(Address("fixed", "root"), lambda: Supervisor(lanes, on_ready=ready.set))
    await ready.wait()
    base.register_kind("user", partial(User, world), idle_timeout_s=60)
    base.register_kind("conversation", partial(Pair, world), idle_timeout_s=60)
    base.register_kind("group", partial(Group, world), idle_timeout_s=60)
    try:
        yield Engine(base, world, sessions, clock)
    finally:
        await base.shutdown()
        await store.close()
