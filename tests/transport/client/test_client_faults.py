"""Faults of a client: what it cannot send, what a disconnect leaves in the log, and what its errors tell."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.tests.kit.fake_gateway import FakeGateway
from greenroom.tests.kit.fake_openim import FakeOpenIm
from greenroom.tests.kit.private_ca import CA, private_ca, server_tls
from greenroom.tests.kit.wire_kit import until
from greenroom.transport.client.api import Api
from greenroom.transport.client.client import Client
from greenroom.transport.client.errors import CannotConnect, ClientError, KickedOffline, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN = "the-token-that-must-not-be-shown"


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with FakeGateway() as gateway:
        yield gateway


def _client(ws_url: str, **options: Any) -> Client:
    return Client(ws_url=ws_url, user_id="alice", token=TOKEN, backoff_base_s=0.01, **options)


async def test_text_too_large_fails_at_once_with_the_limit(gateway: FakeGateway) -> None:
    text = os.urandom(60_000).hex()
    async with _client(gateway.url) as alice:
        with pytest.raises(TooLarge, match="at most 51,200 bytes") as problem:
            await alice.send(recv_id="bob", text=text)
        assert problem.value.limit_bytes == 51_200
        await alice.send(recv_id="bob", text="a" * 200_000)  # Compressed, it is a small frame.
        assert (alice.state, alice.reconnects, gateway.dials) == ("online", 0, 1)


async def test_text_that_this_server_finds_too_large_is_not_sent_again(gateway: FakeGateway) -> None:
    """The client does not know the limit of this server, which closes the connection with 1009."""
    await gateway.stop()
    gateway.accepts_bytes = 20_000
    await gateway.start()
    async with _client(gateway.url) as alice:
        small = asyncio.create_task(alice.send(recv_id="bob", text="small"))
        with pytest.raises(TooLarge, match="too large"):
            await alice.send(recv_id="bob", text=os.urandom(22_000).hex())
        await small
        assert len(gateway.by_client_msg_id) == 1
        assert alice.reconnects <= 1


async def test_loop_that_ends_without_close_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A client that reconnects, and one that pulls."""

    def run() -> None:
        loop = asyncio.new_event_loop()

        async def leave() -> tuple[Client, Client]:
            gateway = FakeGateway()
            await gateway.start()
            lost, pulling = _client(gateway.url), _client(gateway.url, since="beginning")
            gateway.store("si_alice_bob", "bob", "hello")
            gateway.refuse_pulls = [(500, "ServerInternalError")]
            await lost.start()
            await pulling.start()
            await until(lambda: not gateway.refuse_pulls)
            await gateway.stop()
            await until(lambda: (lost.state, pulling.state) == ("offline", "offline"))
            return lost, pulling

        clients = loop.run_until_complete(leave())
        loop.close()
        del clients
        gc.collect()

    await asyncio.to_thread(run)
    gc.collect()
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    "ws_url",
    ["http://127.0.0.1:1", "127.0.0.1:10001", "ws://", "ws://h:port", f"ws://u:{TOKEN}@h:port", f"x?token={TOKEN}", ""],
)
async def test_malformed_url_is_refused_without_the_token(ws_url: str) -> None:
    with pytest.raises(ValueError, match="ws://HOST:PORT") as problem:
        await _client(ws_url).start()
    chain: BaseException | None = problem.value
    while chain is not None:
        assert TOKEN not in f"{chain!r} {chain}"
        chain = chain.__cause__ or chain.__context__


async def test_server_that_repeats_the_token(gateway: FakeGateway) -> None:
    gateway.refuse = (1501, f"no token is {TOKEN}")
    with pytest.raises(ClientError) as problem:
        await _client(gateway.url).start()
    assert TOKEN not in f"{problem.value!r} {problem.value}"
    assert "no token is [secret]" in str(problem.value)


async def test_token_that_no_header_can_carry() -> None:
    async with Api("http://127.0.0.1:1") as api:
        for token in (f"{TOKEN}\n", f"{TOKEN}é"):
            with pytest.raises(ValueError, match="the token has a character") as problem:
                await api.call("/x", {}, token)
            assert TOKEN not in repr(problem.value)


async def test_kick_does_not_claim_to_know_why(gateway: FakeGateway) -> None:
    async with _client(gateway.url) as alice:
        await gateway.kick("alice")
        reason = await asyncio.wait_for(alice.wait_closed(), 5)
    assert isinstance(reason, KickedOffline)
    assert "another login took its place, or an admin ended it" in str(reason)


async def test_private_ca(tmp_path: Path) -> None:
    private_ca(tmp_path)
    trusted = ssl.create_default_context(cafile=str(tmp_path / CA))
    async with FakeOpenIm(tls=server_tls(tmp_path)) as server:
        ws_url, api_url = server.at[1], server.at[3]
        with pytest.raises(CannotConnect, match="certificate verify failed"):
            await _client(ws_url).start()
        async with Api(api_url) as api:
            with pytest.raises(CannotConnect, match="certificate verify failed"):
                await api.admin_token("secret")
        async with _client(ws_url, api_url=api_url, tls=trusted) as alice:
            await alice.send(recv_id="bob", text="hello")
            assert await alice.api.admin_token("secret")
