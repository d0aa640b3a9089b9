"""Time and pressure: deadlines, slow readers, drain and stop. On both loops (see conftest)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import msgspec
import pytest

from greenroom.actors.wire.vocabulary import RequestId
from greenroom.tests.transport.stage import Stage

if TYPE_CHECKING:
    from greenroom.persistence.settings import WebSocketSettings

TICK_S = 0.02


async def test_silent_client_is_dropped_and_a_pinging_one_is_not(settings: WebSocketSettings) -> None:
    async with Stage(msgspec.structs.replace(settings, read_timeout_s=0.3), tick_s=TICK_S) as stage:
        silent = await stage.client("a")
        async with await stage.client("b") as pinging:
            for number in range(10):
                await pinging.socket.send('{"type":"ping","body":"x"}')
                if number % 2:
                    await pinging.socket.ping()
                await pinging.socket.recv()
                await asyncio.sleep(0.05)
            assert await silent.closed() == 1006
            assert not stage.sessions.is_online("a")
            assert stage.sessions.is_online("b")


async def test_server_pings_browsers_only(settings: WebSocketSettings) -> None:
    timing = msgspec.structs.replace(settings, read_timeout_s=0.3, ping_interval_s=0.1)
    async with Stage(timing, tick_s=TICK_S) as stage:
        phone = await stage.client("phone", 2)
        async with await stage.client("web", 5):
            assert await phone.closed() == 1006
            await asyncio.sleep(0.3)
            # The client library answers the pings, and that keeps it.
            assert stage.sessions.is_online("web")


async def slow_client(stage: Stage) -> socket.socket:
    """A client that opens and then reads nothing."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", stage.gateway.port))
    path = stage.url("slow").partition("/?")[2]
    await loop.sock_sendall(
        raw,
        (
            f"GET /?{path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode(),
    )
    await stage.until(lambda: stage.sessions.is_online("slow"))
    return raw


@pytest.mark.parametrize("size", [10, 60_000])
async def test_slow_reader_is_bounded_and_dropped(settings: WebSocketSettings, size: int) -> None:
    timing = msgspec.structs.replace(settings, write_timeout_s=0.3)
    async with Stage(timing, tick_s=TICK_S) as stage, await stage.client("quick") as quick:
        raw = await slow_client(stage)
        received = asyncio.create_task(quick.receive())
        stage.push("quick", b"hello")
        assert (await received).req_identifier == RequestId.PUSH
        (connection,) = (each for each in stage.gateway.connections if each.user_id == "slow")
        content = bytes(size)
        for _ in range(200_000):
            if connection.phase.name != "OPEN":
                break
            stage.push("slow", content)
            if not connection.outbox.is_blocked:
                await asyncio.sleep(0)
        assert connection.phase.name == "CLOSING"
        waiting = connection.outbox._size
        assert waiting <= settings.outbox_limit_bytes
        assert len(connection.outbox._frames) <= settings.outbox_limit_frames
        stage.push("slow", content)
        assert connection.outbox._size == waiting
        await stage.until(lambda: not stage.sessions.is_online("slow"))
        raw.close()
        await quick.ask(RequestId.NEWEST_SEQS)
        assert (await quick.receive()).err_code == 0


async def test_reader_that_stalls_without_overflow_is_dropped(settings: WebSocketSettings) -> None:
    timing = msgspec.structs.replace(settings, write_timeout_s=0.3, outbox_limit_bytes=1 << 30)
    async with Stage(timing, tick_s=TICK_S) as stage:
        raw = await slow_client(stage)
        for _ in range(200):
            stage.push("slow", bytes(100_000))
            await asyncio.sleep(0)
        await stage.until(lambda: not stage.sessions.is_online("slow"))
        raw.close()


async def test_socket_past_every_bound_is_dropped(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await stage.client("a") as client:
        monkeypatch.setattr(stage.admission, "may_connect", lambda connections: connections < 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
        assert len(stage.gateway.connections) == 1
        await client.ask(RequestId.NEWEST_SEQS)
        assert (await client.receive()).err_code == 0


async def test_frames_of_one_tick_leave_in_one_write(stage: Stage) -> None:
    async with await stage.client() as client:
        (connection,) = stage.gateway.connections
        writes: list[bytes] = []
        transport = connection.outbox._transport
        assert transport is not None

        write = transport.write

        class Spy:
            def write(self, data: bytes) -> None:
                writes.append(data)
                write(data)

        connection.outbox._transport = Spy()  # type: ignore[assignment]
        for number in range(100):
            stage.push("a", b"%d" % number)
        for number in range(100):
            response = await client.receive()
            assert b"%d" % number in (response.data or b"")
        assert len(writes) == 1


async def test_drain_answers_what_is_in_flight(stage: Stage) -> None:
    stage.hold_sends = True
    busy = await stage.client("busy")
    idle = await stage.client("idle")
    await busy.send_message("m1")
    await stage.until(lambda: len(stage.sent) == 1)
    _, handshaking = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
    handshaking.write(b"GET ")
    stage.push("busy", b"hello")
    draining = asyncio.create_task(stage.gateway.drain(5.0))
    assert await idle.closed() == 1006
    with pytest.raises(ConnectionRefusedError):
        await stage.client("late")
    assert not draining.done()
    stage.release(1)
    assert (await busy.receive()).req_identifier == RequestId.PUSH
    assert (await busy.receive()).msg_incr == "busy_1"
    assert await busy.closed() == 1006
    await draining
    handshaking.close()
    assert len(stage.gateway.connections) == 0
    assert len(stage.sessions) == 0


async def test_drain_ends_in_time(stage: Stage, request: pytest.FixtureRequest) -> None:
    uses_uvloop = "uvloop" in type(asyncio.get_running_loop()).__module__
    assert uses_uvloop == ("uvloop" in request.node.name)
    stage.hold_sends = True
    client = await stage.client()
    await client.send_message("m1")
    await stage.until(lambda: len(stage.sent) == 1)
    await stage.gateway.drain(0.1)
    assert len(stage.gateway.connections) == 1
    await stage.gateway.stop()
    assert len(stage.gateway.connections) == 0
    assert await client.closed() == 1006


async def test_connection_that_crashes_falls_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with await stage.client("z") as bystander, await stage.client("a") as client:

        def broken(*args: object) -> None:
            raise RuntimeError("secret")

        monkeypatch.setattr(stage.queries, "last_messages", broken)
        await client.ask(RequestId.LAST_MESSAGES)
        assert await client.closed() == 1006
        await bystander.ask(RequestId.NEWEST_SEQS)
        assert (await bystander.receive()).err_code == 0
    assert "secret" not in caplog.text


async def test_base_that_shuts_down_closes_connections(settings: WebSocketSettings) -> None:
    async with Stage(settings) as stage:
        client = await stage.client()
        await stage.base.shutdown(grace_s=1.0)
        assert await client.closed() == 1006
