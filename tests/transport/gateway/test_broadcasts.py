"""Broadcasts to a whole audience, as its connections get them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.actors.audience import Audience
from greenroom.actors.messages import Push
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.tests.transport.stage import Stage, kick
from greenroom.transport.gateway.websocket import Phase

if TYPE_CHECKING:
    from greenroom.persistence.settings import WebSocketSettings
    from greenroom.tests.transport.stage import Client


def audience_of(*user_ids: str) -> Audience:
    audience = Audience()
    for user_id in user_ids:
        audience.add(user_id)
    return audience


def say(stage: Stage, audience: Audience, *contents: bytes) -> None:
    for content in contents:
        message = sdkws_pb2.MsgData(groupID="g", content=content, seq=1).SerializeToString()
        stage.sessions.broadcast(Push("sg_g", message, "op"), audience)


async def heard(client: Client, count: int) -> list[bytes]:
    contents = []
    for _ in range(count):
        pushed = sdkws_pb2.PushMessages.FromString((await client.receive()).data or b"")
        ((_, messages),) = pushed.msgs.items()
        contents.append(messages.Msgs[0].content)
    return contents


def writes_of(stage: Stage) -> list[bytes]:
    """Records all writes to all connections, from now on."""
    writes: list[bytes] = []

    class Spy:
        def __init__(self, transport: Any) -> None:
            self._transport = transport

        def write(self, data: bytes) -> None:
            writes.append(data)
            self._transport.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._transport, name)

    for connection in stage.gateway.connections:
        connection.outbox._transport = Spy(connection.outbox._transport)  # type: ignore[assignment]
    return writes


async def test_each_envelope_hears_all_in_order_in_one_write(stage: Stage) -> None:
    clients = [
        await stage.client("u0"),
        await stage.client("u1", compression="gzip"),
        await stage.client("u2", sdkType="js"),
        await stage.client("u3", sdkType="js", compression="gzip"),
    ]
    writes = writes_of(stage)
    contents = [b"%d" % number for number in range(30)]
    say(stage, audience_of("u0", "u1", "u2", "u3", "absent"), *contents)
    for client in clients:
        assert await heard(client, len(contents)) == contents
    assert len(writes) == len(clients)
    for client in clients:
        await client.socket.close()


async def test_burst_of_ticks_is_heard_in_order(stage: Stage) -> None:
    async with await stage.client("a") as first, await stage.client("b") as second:
        audience = audience_of("a", "b")
        contents = [b"%d" % number for number in range(100)]
        for content in contents:
            say(stage, audience, content)
            await asyncio.sleep(0)
        assert await heard(first, 100) == await heard(second, 100) == contents


async def test_pushes_of_all_kinds_keep_the_order_of_the_calls(stage: Stage) -> None:
    async with await stage.client("a") as first, await stage.client("b") as second:
        both, one = audience_of("a", "b"), audience_of("a")
        say(stage, both, b"1")
        stage.push("a", b"2")
        say(stage, one, b"3")
        say(stage, both, b"4", b"5")
        stage.push("b", b"6")
        assert await heard(first, 5) == [b"1", b"2", b"3", b"4", b"5"]
        assert await heard(second, 4) == [b"1", b"4", b"5", b"6"]


async def test_audience_is_who_it_was_at_each_push(stage: Stage) -> None:
    async with await stage.client("a") as first, await stage.client("b") as second:
        audience = audience_of("a")
        say(stage, audience, b"1")
        audience.add("b")
        say(stage, audience, b"2")
        audience.discard(["a"])
        say(stage, audience, b"3")
        audience.add("a")
        say(stage, audience, b"4")
        assert await heard(first, 3) == [b"1", b"2", b"4"]
        assert await heard(second, 3) == [b"2", b"3", b"4"]


async def test_connections_that_come_and_go_are_heeded(stage: Stage) -> None:
    audience = audience_of("a", "b")
    async with await stage.client("a") as first:
        say(stage, audience, b"1")
        assert list(audience.users) == ["a"]
        async with await stage.client("a", 5) as second:
            say(stage, audience, b"2")
            assert await heard(second, 1) == [b"2"]
        await stage.until(lambda: len(stage.sessions.sessions_of("a")) == 1)
        say(stage, audience, b"3")
        assert await heard(first, 3) == [b"1", b"2", b"3"]
    await stage.until(lambda: not stage.sessions.is_online("a"))
    say(stage, audience, b"4")
    assert audience.users == {}


async def test_ios_in_the_background_is_passed_over(stage: Stage) -> None:
    async with await stage.client("i", 1) as client:
        audience = audience_of("i")
        for is_background in (False, True, False):
            request = sdkws_pb2.SetAppBackgroundStatusReq(isBackground=is_background)
            await client.ask(RequestId.SET_BACKGROUND, request.SerializeToString())
            assert (await client.receive()).req_identifier == RequestId.SET_BACKGROUND
            say(stage, audience, b"%r" % is_background)
            if not is_background:
                assert await heard(client, 1) == [b"False"]


async def test_kicked_hears_what_was_said_before(stage: Stage) -> None:
    async with await stage.client("a") as client:
        audience = audience_of("a")
        contents = [b"%d" % number for number in range(10)]
        for content in contents:
            say(stage, audience, content)
            await asyncio.sleep(0)
        kick(stage, stage.opened[0])
        assert await heard(client, 10) == contents
        assert (await client.receive()).req_identifier == RequestId.KICK
        assert await client.closed() == 1006


async def test_drained_hears_what_was_said_before(stage: Stage) -> None:
    client = await stage.client("a")
    audience = audience_of("a")
    say(stage, audience, b"1")
    await asyncio.sleep(0)
    say(stage, audience, b"2", b"3")
    draining = asyncio.create_task(stage.gateway.drain(5.0))
    assert await heard(client, 3) == [b"1", b"2", b"3"]
    assert await client.closed() == 1006
    await draining


async def test_stuck_reader_ends_at_its_bound_and_the_others_hear_all(settings: WebSocketSettings) -> None:
    limit, size, count = 200_000, 10_000, 60
    narrow = msgspec.structs.replace(settings, outbox_limit_bytes=limit)
    async with Stage(narrow) as stage, await stage.client("b") as quick, await stage.client("a") as stuck:
        stuck.socket.transport.pause_reading()
        (connection,) = (each for each in stage.gateway.connections if each.user_id == "a")
        transport = connection._transport
        assert transport is not None
        audience = audience_of("a", "b")
        most = said = 0
        while connection.phase is Phase.OPEN:
            for _ in range(count):
                say(stage, audience, b"x" * size)
            said += count
            for _ in range(count):
                await quick.receive()
                most = max(most, transport.get_write_buffer_size() + connection.outbox._size)
        assert limit / 2 < most <= limit
        assert said * size > limit
        connection.abort()
