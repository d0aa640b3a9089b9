"""The client against a gateway that loses pushes, acks and connections."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.wire.vocabulary import RequestId
from greenroom.tests.kit.fake_gateway import FakeGateway
from greenroom.transport.client.client import Client
from greenroom.transport.client.errors import (
    ClientClosed,
    ConnectionLost,
    HandshakeRefused,
    KickedOffline,
    Refused,
    SendTimedOut,
    TokenRejected,
)

if TYPE_CHECKING:
    from greenroom.transport.client.client_message import Received

CHAT = "si_alice_bob"
MakeClient = Callable[..., Awaitable[Client]]


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with FakeGateway() as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: FakeGateway) -> AsyncIterator[MakeClient]:
    """Makes started clients; closes them."""
    made: list[Client] = []

    async def make(user_id: str = "alice", **options: Any) -> Client:
        options = {"token": "t", "backoff_base_s": 0.01, "rng": random.Random(1), **options}
        one = Client(ws_url=gateway.url, user_id=user_id, **options)
        made.append(one)
        await one.start()
        return one

    yield make
    for one in made:
        await one.close()


async def take(client: Client, count: int) -> list[Received]:
    async def some() -> list[Received]:
        return [message async for _, message in _numbered(client, count)]

    return await asyncio.wait_for(some(), 10)


async def _numbered(client: Client, count: int) -> AsyncIterator[tuple[int, Received]]:
    numbers = itertools.count(1)
    async for message in client.messages():
        number = next(numbers)
        yield number, message
        if number == count:
            return


@pytest.mark.parametrize("encoding", ["go", "js"])
@pytest.mark.parametrize("compression", [True, False])
async def test_send_and_receive(client: MakeClient, encoding: str, compression: bool) -> None:
    alice = await client("alice", encoding=encoding, compression=compression)
    bob = await client("bob", encoding=encoding, compression=compression)
    sent = await alice.send(recv_id="bob", text="hé")
    [message] = await take(bob, 1)
    assert (message.text, message.seq, message.send_id) == ("hé", 1, "alice")
    assert (message.client_msg_id, message.server_msg_id) == (sent.client_msg_id, sent.server_msg_id)
    assert message.conversation_id == CHAT
    assert bob.seqs[CHAT] == 1


async def test_lost_pushes_are_fetched_in_order(gateway: FakeGateway, client: MakeClient) -> None:
    gateway.lose_push = lambda message: message.seq % 4 != 0
    alice, bob = await client("alice"), await client("bob")
    for number in range(1, 13):
        await alice.send(recv_id="bob", text=str(number))
    assert [message.seq for message in await take(bob, 12)] == list(range(1, 13))
    assert bob.holes == 0


async def test_repeated_push_is_dropped(gateway: FakeGateway, client: MakeClient) -> None:
    bob = await client("bob")
    first, second = gateway.store(CHAT, "alice", "1"), gateway.store(CHAT, "alice", "2")
    for message in (first, first, second, first, second):
        await gateway.push(CHAT, message)
    await gateway.push(CHAT, gateway.store(CHAT, "alice", "3"))
    assert [message.text for message in await take(bob, 3)] == ["1", "2", "3"]


async def test_long_gap_is_fetched_in_pages(gateway: FakeGateway, client: MakeClient) -> None:
    bob = await client("bob")
    for number in range(250):
        last = gateway.store(CHAT, "alice", str(number))
    await gateway.push(CHAT, last)
    assert [message.seq for message in await take(bob, 250)] == list(range(1, 251))
    assert gateway.pulled_ranges == [(CHAT, 1, 100), (CHAT, 101, 200), (CHAT, 201, 250)]


async def test_since_now_ignores_the_past(gateway: FakeGateway, client: MakeClient) -> None:
    gateway.store(CHAT, "alice", "old")
    bob = await client("bob")
    await gateway.push(CHAT, gateway.store(CHAT, "alice", "new"))
    assert [message.text for message in await take(bob, 1)] == ["new"]


async def test_since_beginning_fetches_the_past(gateway: FakeGateway, client: MakeClient) -> None:
    for number in range(3):
        gateway.store(CHAT, "alice", str(number))
        gateway.store("sg_g", "carol", str(number))
    bob = await client("bob", since="beginning")
    messages = await take(bob, 6)
    for conversation_id in (CHAT, "sg_g"):
        assert [m.seq for m in messages if m.conversation_id == conversation_id] == [1, 2, 3]


async def test_what_was_missed_while_offline_is_fetched(gateway: FakeGateway, client: MakeClient) -> None:
    bob = await client("bob")
    await gateway.push(CHAT, gateway.store(CHAT, "alice", "1"))
    await take(bob, 1)
    await gateway.stop()
    gateway.store(CHAT, "alice", "2")
    gateway.store("sg_new", "carol", "first of a new chat")
    await gateway.start()
    assert {message.text for message in await take(bob, 2)} == {"2", "first of a new chat"}
    assert bob.reconnects == 1
    assert bob.state == "online"


async def test_lost_ack_stores_once(gateway: FakeGateway, client: MakeClient) -> None:
    alice, bob = await client("alice"), await client("bob")
    gateway.lose_acks = 2
    sent = await alice.send(recv_id="bob", text="once")
    assert [message.clientMsgID for message in gateway.conversations[CHAT]] == [sent.client_msg_id]
    assert gateway.requests.count(("alice", RequestId.SEND_MESSAGE)) == 3
    await gateway.push(CHAT, gateway.store(CHAT, "alice", "after"))
    assert [message.text for message in await take(bob, 2)] == ["once", "after"]


async def test_send_waits_for_the_server_to_come_back(gateway: FakeGateway, client: MakeClient) -> None:
    alice = await client("alice")
    await gateway.stop()
    sends = [asyncio.create_task(alice.send(recv_id="bob", text=str(number))) for number in range(5)]
    await gateway.start()
    await asyncio.gather(*sends)
    assert len(gateway.conversations[CHAT]) == 5


async def test_send_past_its_deadline(gateway: FakeGateway, client: MakeClient) -> None:
    alice = await client("alice")
    await gateway.stop()
    with pytest.raises(SendTimedOut) as problem:
        await alice.send(recv_id="bob", text="x", client_msg_id="mine", timeout_s=0.05)
    assert problem.value.client_msg_id == "mine"


async def test_refused_send(gateway: FakeGateway, client: MakeClient) -> None:
    alice = await client("alice")
    gateway.refuse_sends = [(1302, "BlockedByPeer")]
    with pytest.raises(Refused) as problem:
        await alice.send(recv_id="bob", text="x")
    assert problem.value.code == 1302
    assert alice.state == "online"


async def test_busy_server_is_asked_again(gateway: FakeGateway, client: MakeClient) -> None:
    alice = await client("alice")
    gateway.refuse_sends = [(500, "ServerInternalError")] * 3
    await alice.send(recv_id="bob", text="x")
    assert len(gateway.conversations[CHAT]) == 1


async def test_start_with_a_bad_token(gateway: FakeGateway, client: MakeClient) -> None:
    gateway.refuse = (1501, "TokenExpiredError")
    with pytest.raises(TokenRejected) as problem:
        await client("alice")
    assert problem.value.code == 1501


async def test_start_refused_otherwise(gateway: FakeGateway, client: MakeClient) -> None:
    gateway.refuse = (1601, "ConnOverMaxNumLimit")
    with pytest.raises(HandshakeRefused) as problem:
        await client("alice")
    assert not isinstance(problem.value, TokenRejected)


async def test_start_without_a_server(gateway: FakeGateway, client: MakeClient) -> None:
    await gateway.stop()
    with pytest.raises(ConnectionLost):
        await client("alice")


async def test_token_that_goes_bad_ends_the_client(gateway: FakeGateway, client: MakeClient) -> None:
    alice = await client("alice")
    gateway.refuse = (1506, "TokenKickedError")
    gateway.cut()
    assert isinstance(await asyncio.wait_for(alice.wait_closed(), 5), TokenRejected)
    with pytest.raises(TokenRejected):
        await alice.send(recv_id="bob", text="x")
    with pytest.raises(TokenRejected):
        await take(alice, 1)


async def test_refusals_that_may_pass_are_tried_again(gateway: FakeGateway, client: MakeClient) -> None:
    states: asyncio.Queue[str] = asyncio.Queue()
    alice = await client("alice", on_state=states.put_nowait)
    gateway.refuse = (1601, "ConnOverMaxNumLimit")
    gateway.cut()
    assert [await states.get(), await states.get()] == ["online", "offline"]
    gateway.refuse = None
    assert await asyncio.wait_for(states.get(), 5) == "online"
    assert alice.reconnects == 1


async def test_kick_ends_the_client(gateway: FakeGateway, client: MakeClient) -> None:
    alice = await client("alice")
    dials = gateway.dials
    await gateway.kick("alice")
    with pytest.raises(KickedOffline):
        await take(alice, 1)
    with pytest.raises(KickedOffline):
        await alice.send(recv_id="bob", text="x")
    assert (alice.state, gateway.dials) == ("closed", dials)


async def test_close_ends_messages_after_what_is_queued(gateway: FakeGateway, client: MakeClient) -> None:
    bob = await client("bob")
    await gateway.push(CHAT, gateway.store(CHAT, "alice", "last"))
    await bob.newest_seqs()
    await bob.close()
    assert [message.text async for message in bob.messages()] == ["last"]
    with pytest.raises(ClientClosed):
        await bob.send(recv_id="alice", text="x")


async def test_slow_consumer_loses_nothing(gateway: FakeGateway, client: MakeClient) -> None:
    bob = await client("bob", inbox_limit=4)
    for number in range(40):
        await gateway.push(CHAT, gateway.store(CHAT, "alice", str(number)))
    assert [message.seq for message in await take(bob, 40)] == list(range(1, 41))
    assert bob.holes == 0


async def test_full_inbox_does_not_block_sending(gateway: FakeGateway, client: MakeClient) -> None:
    bob = await client("bob", inbox_limit=2)
    for number in range(40):
        await gateway.push(CHAT, gateway.store(CHAT, "alice", str(number)))
    sent = await bob.send(recv_id="alice", text="answer")
    assert sent.client_msg_id
    assert [message.seq for message in await take(bob, 40)] == list(range(1, 41))


async def test_own_messages(gateway: FakeGateway, client: MakeClient) -> None:
    alice, other = await client("alice"), await client("alice", own_messages=True)
    await alice.send(recv_id="bob", text="mine")
    assert [message.text for message in await take(other, 1)] == ["mine"]
    await gateway.push(CHAT, gateway.store(CHAT, "bob", "yours"))
    assert [message.text for message in await take(alice, 1)] == ["yours"]


async def test_notifications_go_their_own_way(gateway: FakeGateway, client: MakeClient) -> None:
    seen: asyncio.Queue[Received] = asyncio.Queue()
    gateway.store("n_alice_bob", "alice", "older")
    bob = await client("bob", on_notification=seen.put_nowait, since="beginning")
    await gateway.push("n_alice_bob", gateway.store("n_alice_bob", "alice", "newer"))
    await gateway.push(CHAT, gateway.store(CHAT, "alice", "chat"))
    assert [message.text for message in await take(bob, 1)] == ["chat"]
    assert [(await seen.get()).seq, (await seen.get()).seq] == [1, 2]
    plain = await client("bob")
    assert "n_alice_bob" not in plain.seqs


async def test_typing_has_no_seq(client: MakeClient) -> None:
    alice, bob = await client("alice"), await client("bob")
    await alice.send(recv_id="bob", content=b'{"msgTips":"yes"}', content_type=113)
    await alice.send(recv_id="bob", text="1")
    typing, text = await take(bob, 2)
    assert (typing.seq, typing.content_type, text.seq) == (0, 113, 1)


async def test_deleted_and_missing_seqs(gateway: FakeGateway, client: MakeClient) -> None:
    bob = await client("bob")
    gateway.store(CHAT, "alice", "1")
    gateway.store(CHAT, "alice", "deleted").status = 4
    gone = gateway.store(CHAT, "alice", "gone")
    gone.status, gone.clientMsgID = 4, ""
    await gateway.push(CHAT, gateway.store(CHAT, "alice", "4"))
    assert [message.text for message in await take(bob, 2)] == ["1", "4"]
    assert bob.holes == 1


async def test_callback_instead_of_queue(gateway: FakeGateway, client: MakeClient) -> None:
    seen: asyncio.Queue[Received] = asyncio.Queue()
    bob = await client("bob", on_message=seen.put_nowait)
    await gateway.push(CHAT, gateway.store(CHAT, "alice", "hi"))
    assert (await asyncio.wait_for(seen.get(), 5)).text == "hi"
    with pytest.raises(RuntimeError):
        await anext(bob.messages())


async def test_history_and_newest_seqs(gateway: FakeGateway, client: MakeClient) -> None:
    for number in range(5):
        gateway.store(CHAT, "alice", str(number))
    bob = await client("bob")
    assert await bob.newest_seqs() == {CHAT: 5}
    assert [message.seq for message in await bob.pull_history(CHAT, begin=1, end=5, limit=2)] == [4, 5]


async def test_token_is_in_no_text(
    gateway: FakeGateway, client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    alice = await client("alice", token="very-secret")
    gateway.refuse = (1505, "TokenUnknownError")
    gateway.cut()
    problem = await alice.wait_closed()
    ours = [record for record in caplog.records if not record.name.startswith("websockets.server")]
    assert "very-secret" not in f"{alice!r} {problem!r} {[record.getMessage() for record in ours]}"
