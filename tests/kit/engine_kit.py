"""An engine without sockets: entities on a running loop, a store in memory, sessions that record pushes."""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from greenroom.actors.engine import Engine
from greenroom.actors.feed import Feed
from greenroom.actors.health import Health
from greenroom.actors.messages import Caller, Push, RegisterUsers, SendMessage
from greenroom.actors.rules.ids import address_of, user_address
from greenroom.actors.session_table import SessionTable, SessionView
from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.persistence import settings as settings_module
from greenroom.persistence.tables import UserRow
from greenroom.tests.kit.dict_store import DictStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from greenroom.actors.audience import Audience
    from greenroom.actors.feed import Subscriber
    from greenroom.actors.ports import Session
    from greenroom.actors.runtime.address import Address
    from greenroom.persistence.settings import Settings

__all__ = ["KitEngine", "ManualClock", "RecordingSessions", "caller", "running_engine"]


BACKEND = os.environ.get("GREENROOM_TEST_STORE", "sqlite")
"""The store of the tests' engines. `dicts`: the second backend; entities must not notice the difference."""


class ManualClock:
    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.now


class Received(NamedTuple):
    conversation_id: str
    message: sdkws_pb2.MsgData


class RecordingSessions(SessionTable):
    """Every user is online with one device unless `offline` says otherwise; pushes are kept by user."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(watched_users_limit=100, health=Health(), loop=loop)
        self.offline: set[str] = set()
        self.received: dict[str, list[Received]] = defaultdict(list)
        self.open_sessions: dict[str, list[SessionView]] = defaultdict(list)
        self.known: dict[Address, SessionView] = {}
        self._pushed = asyncio.Event()

    def open(self, user_id: str, connection: Address) -> None:
        self.open_sessions[user_id].append(self.known[connection])

    def close(self, user_id: str, connection: Address, *, _session: Session | None = None) -> None:
        self.open_sessions[user_id] = [one for one in self.open_sessions[user_id] if one.address != connection]

    def is_online(self, user_id: str) -> bool:
        return bool(self.open_sessions[user_id]) if user_id in self.open_sessions else user_id not in self.offline

    def sessions_of(self, user_id: str) -> list[SessionView]:
        return self.open_sessions.get(user_id, [])

    def push(self, push: Push, user_ids: Iterable[str]) -> list[str]:
        absent = []
        for user_id in user_ids:
            if user_id in self.offline:
                absent.append(user_id)
            else:
                message = sdkws_pb2.MsgData.FromString(push.message)
                self.received[user_id].append(Received(push.conversation_id, message))
        self._pushed.set()
        return absent

    def broadcast(self, push: Push, audience: Audience) -> list[str]:
        absent = self.push(push, audience.users)
        audience.discard(absent)
        return absent

    def seqs(self, user_id: str, conversation_id: str) -> list[int]:
        """The stored messages of a conversation that were pushed to the user."""
        return [
            one.message.seq
            for one in self.received[user_id]
            if one.conversation_id == conversation_id and one.message.seq
        ]

    async def until_pushed(self, user_id: str, conversation_id: str, *seqs: int) -> None:
        """Wait until these messages, and no others, were pushed to the user."""
        async with asyncio.timeout(10):
            while self.seqs(user_id, conversation_id) != list(seqs):
                self._pushed.clear()
                await self._pushed.wait()


class KitEngine(Engine):
    """A real engine in memory, with a clock that tests set, and sessions that record pushes."""

    sessions: RecordingSessions

    def __init__(self, settings: Settings | None = None, *, subscribers: Iterable[Subscriber] = ()) -> None:
        self.clock: ManualClock = ManualClock()
        super().__init__(
            settings or settings_module.load(environ={}),
            memory=True,
            make_store=(lambda _: DictStore()) if BACKEND == "dicts" else None,
            subscribers=subscribers,
            clock=self.clock,
            rng=random.Random(1),
        )
        self._numbers = iter(range(10**9))
        self._feeds_of_tests: list[Feed] = []

    def feed_of(self, subscriber: Subscriber) -> Feed:
        """A feed in addition to those of the engine; its test starts it, and may stop it."""
        feed = Feed(subscriber, store=self.store, commits=self.world.commits, sampler=self.base.sampler)
        self._feeds_of_tests.append(feed)
        return feed

    async def stop(self) -> None:
        for feed in self._feeds_of_tests:
            await feed.stop()
        await super().stop()

    def make_sessions(self, health: Health) -> RecordingSessions:
        return RecordingSessions()

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
async def running_engine(**environ: str) -> AsyncIterator[KitEngine]:
    """`environ`: settings, with the names of their environment variables."""
    async with KitEngine(settings_module.load(environ=environ)) as engine:
        yield engine
