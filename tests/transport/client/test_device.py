"""A device without a client around it: what its owner is told, and what is left for its owner to do."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.tests.kit.fake_gateway import FakeGateway
from greenroom.transport.client import device as device_module
from greenroom.transport.client.client_message import new_message
from greenroom.transport.client.device import Arrival, Device
from greenroom.transport.client.errors import ClientClosed, ClientError, ConnectionLost, KickedOffline
from greenroom.transport.client.link import Login

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

CHAT = "si_alice_bob"


class Owner:
    """Makes devices, and writes down what they tell."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.gateway = gateway
        self.devices: list[Device] = []
        self.told: asyncio.Queue[tuple[list[int], bool] | ClientError] = asyncio.Queue()

    def device(self, user_id: str = "bob", **options: Any) -> Device:
        login = Login(
            ws_url=self.gateway.url, user_id=user_id, token="t", platform_id=5, encoding="go", compression=False
        )
        options = {"on_messages": self._take, "rng": random.Random(1), "backoff_base_s": 0.01, **options}
        self.devices.append(Device(login, on_lost=self.told.put_nowait, **options))
        return self.devices[-1]

    async def online(self, user_id: str = "bob", **options: Any) -> Device:
        device = self.device(user_id, **options)
        await device.connect()
        return device

    async def next(self) -> tuple[list[int], bool] | ClientError:
        return await asyncio.wait_for(self.told.get(), 10)

    def _take(self, arrivals: list[Arrival], pulled: bool) -> None:
        self.told.put_nowait(([raw.seq for _, raw in arrivals], pulled))


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with FakeGateway() as gateway:
        yield gateway


@pytest.fixture
async def owner(gateway: FakeGateway) -> AsyncIterator[Owner]:
    owner = Owner(gateway)
    yield owner
    for device in owner.devices:
        device.end(ClientClosed("the test is over"))
        await device.wait_ended()


def _send(to: str) -> bytes:
    return new_message(send_id="bob", platform_id=5, recv_id=to, content=b"{}").SerializeToString()


async def test_messages_of_one_push_come_together(gateway: FakeGateway, owner: Owner) -> None:
    await owner.online()
    push = sdkws_pb2.PushMessages()
    push.msgs[CHAT].Msgs.extend([gateway.store(CHAT, "alice", "1"), gateway.store(CHAT, "alice", "2")])
    await gateway.push_all(push)
    assert await owner.next() == ([1, 2], False)


async def test_gap_is_pulled(gateway: FakeGateway, owner: Owner) -> None:
    device = await owner.online()
    for text in "123":
        last = gateway.store(CHAT, "alice", text)
    await gateway.push(CHAT, last)
    assert await owner.next() == ([1, 2, 3], True)
    assert not device.timelines.behind


async def test_refused_pull_is_tried_again(gateway: FakeGateway, owner: Owner) -> None:
    gateway.refuse_pulls = [(500, "ServerInternalError")] * 3
    await owner.online()
    gateway.store(CHAT, "alice", "1")
    await gateway.push(CHAT, gateway.store(CHAT, "alice", "2"))
    assert await owner.next() == ([1, 2], True)


async def test_without_room_reading_stops_until_there_is_some(gateway: FakeGateway, owner: Owner) -> None:
    room = False
    device = await owner.online(has_room=lambda: room)
    for text in "123":
        await gateway.push(CHAT, gateway.store(CHAT, "alice", text))
    typing = sdkws_pb2.MsgData(sendID="alice", contentType=113)
    await gateway.push(CHAT, typing)
    assert await device.newest_seqs() == {CHAT: 3}, "a request is answered all the same"
    room = True
    device.room_again()
    assert [await owner.next(), await owner.next()] == [([0], False), ([1, 2, 3], True)]


async def test_it_does_not_reconnect_by_itself(gateway: FakeGateway, owner: Owner) -> None:
    device = await owner.online()
    gateway.cut()
    assert isinstance(await owner.next(), ConnectionLost)
    assert (device.online, gateway.dials) == (False, 1)
    with pytest.raises(ConnectionLost):
        device.post(RequestId.SEND_MESSAGE, _send("alice"))
    gateway.store(CHAT, "alice", "missed")
    await device.connect()
    assert await owner.next() == ([1], True)


async def test_kick_fails_what_waits(gateway: FakeGateway, owner: Owner) -> None:
    device = await owner.online()
    gateway.mute = True
    answer = device.post(RequestId.SEND_MESSAGE, _send("alice"))
    await gateway.kick("bob")
    assert isinstance(await owner.next(), KickedOffline)
    with pytest.raises(KickedOffline):
        await answer


async def test_post_is_answered(owner: Owner) -> None:
    device = await owner.online()
    answer = msg_pb2.SendMsgResp.FromString(await device.post(RequestId.SEND_MESSAGE, _send("alice")))
    assert answer.serverMsgID == f"server-{answer.clientMsgID}"


async def test_detached_connection_is_the_callers(gateway: FakeGateway, owner: Owner) -> None:
    device = await owner.online()
    link = device.detach()
    assert link is not None
    assert not device.online
    await device.connect()
    assert len(gateway.sessions) == 2
    link.abort()
    await link.wait_closed(timeout_s=5)
    assert device.online
    assert owner.told.empty()


async def test_end_is_for_good(owner: Owner) -> None:
    device = await owner.online()
    device.end(ClientClosed("enough"))
    await device.wait_ended()
    for ask in (device.connect, device.newest_seqs):
        with pytest.raises(ClientClosed, match="enough"):
            await ask()
    assert owner.told.empty()


async def test_server_that_does_not_read_cannot_hold_up_the_end(
    gateway: FakeGateway, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "CLOSE_TIMEOUT_S", 0.05)
    device = await owner.online(send_limit_bytes=1 << 30)
    for connection in gateway.sessions:
        connection.transport.pause_reading()
    device.post(RequestId.SEND_MESSAGE, bytes(30_000_000)).add_done_callback(lambda answer: answer.exception())
    device.end(ClientClosed("enough"))
    await asyncio.wait_for(device.wait_ended(), 5)


async def test_connection_that_ends_with_the_first_answer(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    class Link:
        def __init__(self, login: Login, *, on_lost: Callable[[Link], None], **_: object) -> None:
            self.on_lost = on_lost

        async def open(self, *, timeout_s: float) -> None:
            pass

        async def request(self, identifier: int, data: bytes) -> bytes:
            self.on_lost(self)
            return b""

        def fail_requests(self, error: Exception) -> None:
            pass

        def abort(self) -> None:
            pass

    monkeypatch.setattr(device_module, "Link", Link)
    device = owner.device()
    with pytest.raises(ConnectionLost):
        await device.connect()
    assert not device.online
