"""Tokens, sessions and kicks of one user."""

from __future__ import annotations

import msgspec
import pytest

from greenroom.actors import messages as m
from greenroom.actors.errors import RecordNotFound, TokenKicked, TokenNotExist, UserExists
from greenroom.actors.rules.ids import user_address
from greenroom.actors.rules.tokens import digest_of
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.session_table import SessionView
from greenroom.tests.kit.engine_kit import KitEngine, caller


class Device(Entity):
    """Stands for a connection: writes down whether it was kicked."""

    kicked = False

    def receiveMsg_KickSession(self, message: m.KickSession, sender: Address) -> None:
        self.kicked = True


async def _token(engine: KitEngine, user_id: str, platform_id: int = 5) -> bytes:
    issued = await engine.ask(user_address(user_id), m.IssueToken(caller=caller("imAdmin"), platform_id=platform_id))
    engine.clock.now += 1000  # Tokens of one second are the same string.
    return digest_of(issued.token)


async def _verify(engine: KitEngine, user_id: str, digest: bytes, platform_id: int = 5) -> None:
    command = m.VerifyToken(caller=caller(user_id), platform_id=platform_id, digest=digest)
    await engine.ask(user_address(user_id), command)


async def _open(engine: KitEngine, user_id: str, digest: bytes, platform_id: int = 5, *, name: str) -> Device:
    address = Address("connection", name)
    device = Device()
    engine.base.spawn(address, lambda: device)
    engine.sessions.known[address] = SessionView(address, platform_id, False, "", digest)
    who = m.Caller(user_id, platform_id, "op", False)
    await engine.ask(user_address(user_id), m.OpenSession(caller=who, digest=digest, connection=address))
    return device


async def test_register_twice_is_refused_as_a_whole(engine: KitEngine) -> None:
    await engine.register("a")
    with pytest.raises(UserExists):
        await engine.register("b", "a")
    assert await engine.world.store.users(["b"]) == []


async def test_token_of_an_unknown_user(engine: KitEngine) -> None:
    with pytest.raises(RecordNotFound):
        await _token(engine, "nobody")
    await engine.register("x", "nobody")
    await _token(engine, "nobody")


async def test_new_token_of_a_platform_kicks_the_old_one(engine: KitEngine) -> None:
    await engine.register("a")
    first = await _token(engine, "a")
    other = await _token(engine, "a", 2)
    second = await _token(engine, "a")
    await _verify(engine, "a", second)
    await _verify(engine, "a", other, 2)
    with pytest.raises(TokenKicked):
        await _verify(engine, "a", first)
    with pytest.raises(TokenNotExist):
        await _verify(engine, "a", b"x" * 16)


async def test_tokens_outlive_the_actor(engine: KitEngine) -> None:
    await engine.register("a")
    first = await _token(engine, "a")
    second = await _token(engine, "a")
    engine.base.stop(user_address("a"))
    await _verify(engine, "a", second)
    with pytest.raises(TokenKicked):
        await _verify(engine, "a", first)


async def test_new_connection_kicks_the_one_with_another_token(engine: KitEngine) -> None:
    await engine.register("a")
    first = await _token(engine, "a")
    old = await _open(engine, "a", first, name="1")
    same = await _open(engine, "a", first, name="2")
    second = await _token(engine, "a")
    new = await _open(engine, "a", second, name="3")
    await _verify(engine, "a", second)
    assert (old.kicked, same.kicked, new.kicked) == (True, True, False)


async def test_connections_of_one_token_and_of_one_user_have_a_bound(engine: KitEngine) -> None:
    """The oldest are kicked, and their tokens stay valid."""
    settings = engine.settings
    websocket = msgspec.structs.replace(settings.websocket, connections_per_token=2, connections_per_user=3)
    auth = msgspec.structs.replace(settings.auth, multi_login_policy=0)
    engine.world.settings = msgspec.structs.replace(settings, websocket=websocket, auth=auth)
    await engine.register("a")
    first, second = await _token(engine, "a"), await _token(engine, "a")
    devices = [await _open(engine, "a", first, name=str(number)) for number in range(4)]
    assert [one.kicked for one in devices] == [True, True, False, False]
    devices += [await _open(engine, "a", second, name=str(number)) for number in (4, 5)]
    assert [one.kicked for one in devices] == [True, True, True, False, False, False]
    assert [one.connection_id for one in engine.sessions.sessions_of("a")] == ["3", "4", "5"]
    await _verify(engine, "a", first)


async def test_force_logout_kicks_one_platform(engine: KitEngine) -> None:
    await engine.register("a")
    web, phone = await _token(engine, "a", 5), await _token(engine, "a", 2)
    on_web = await _open(engine, "a", web, 5, name="1")
    on_phone = await _open(engine, "a", phone, 2, name="2")
    await engine.ask(user_address("a"), m.ForceLogout(caller=caller("imAdmin"), platform_id=5))
    with pytest.raises(TokenKicked):
        await _verify(engine, "a", web)
    await _verify(engine, "a", phone, 2)
    assert (on_web.kicked, on_phone.kicked) == (True, False)


async def test_profile_change_is_told_to_ones_own_devices(engine: KitEngine) -> None:
    await engine.register("a")
    await engine.ask(user_address("a"), m.SetUserInfo(caller=caller("a"), changes={"nickname": "Ann"}))
    notice = engine.sessions.received["a"][-1]
    assert (notice.conversation_id, notice.message.contentType, notice.message.seq) == ("n_a_a", 1303, 0)
    assert len(notice.message.serverMsgID) == 32
    assert notice.message.sendTime == notice.message.createTime > 0
    assert (await engine.world.store.users(["a"]))[0].nickname == "Ann"
