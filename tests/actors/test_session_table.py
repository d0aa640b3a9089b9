"""The session table alone: pushes encoded once a variant, absence, presence, watchers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from greenroom.actors import session_table as sessions_module
from greenroom.actors.errors import WatchedUsersFull
from greenroom.actors.health import Health
from greenroom.actors.messages import Push
from greenroom.actors.runtime.address import Address
from greenroom.actors.session_table import SessionTable
from greenroom.actors.wire import sdkws_pb2
from greenroom.tests.kit.manual_loop import ManualLoop
from greenroom.transport.envelope.codec import CODECS, Codec, Response

if TYPE_CHECKING:
    import asyncio

PUSH = Push("n_a_b", sdkws_pb2.MsgData(content=b"hello").SerializeToString(), "op")


class StubSession:
    def __init__(self, number: int, user_id: str, platform_id: int = 2, variant: int = 0) -> None:
        self.address = Address("connection", str(number))
        self.user_id = user_id
        self.platform_id = platform_id
        self.is_background = False
        self.token = "secret"
        self.digest = b"digest"
        self.codec: Codec = CODECS[variant]
        self.watched: set[str] | None = None
        self.frames: list[bytes] = []

    def charge(self) -> None:
        self.charged = True

    def push(self, frame: bytes) -> None:
        self.frames.append(frame)

    def push_all(self, frames: list[bytes], data: bytes) -> None:
        assert b"".join(frames) == data
        self.frames += frames

    def responses(self) -> list[sdkws_pb2.SubUserOnlineStatusTips]:
        tips = []
        for frame in self.frames:
            response = self.codec.decode_response(frame[2:] if frame[1] < 126 else frame[4:])
            assert (response.req_identifier, response.msg_incr, response.operation_id) == (2005, "", "")
            tips.append(sdkws_pb2.SubUserOnlineStatusTips.FromString(response.data or b""))
        return tips


@pytest.fixture
def loop() -> ManualLoop:
    return ManualLoop()


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def table(loop: ManualLoop, health: Health) -> SessionTable:
    return SessionTable(watched_users_limit=3, health=health, loop=cast("asyncio.AbstractEventLoop", loop))


def add(table: SessionTable, *sessions: StubSession) -> None:
    for session in sessions:
        table.add(session)
        table.open(session.user_id, session.address)


def presence(data: bytes) -> dict[str, list[int]]:
    tips = sdkws_pb2.SubUserOnlineStatusTips.FromString(data)
    return {each.userID: list(each.onlinePlatformIDs) for each in tips.subscribers}


def test_push_is_encoded_once_a_variant(table: SessionTable, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [StubSession(number, f"u{number % 50}", variant=number % 3) for number in range(150)]
    add(table, *many)
    encoded: list[Codec] = []
    encode = Codec.encode_response

    def counting(self: Codec, response: Response) -> bytes:
        encoded.append(self)
        return encode(self, response)

    monkeypatch.setattr(Codec, "encode_response", counting)
    assert table.push(PUSH, ["nobody", *(f"u{number}" for number in range(50)), "gone"]) == ["nobody", "gone"]
    assert len(encoded) == 3
    assert set(encoded) == set(CODECS[:3])
    for variant in range(3):
        shared = {id(session.frames[0]) for session in many[variant::3]}
        assert len(shared) == 1
    response = CODECS[0].decode_response(many[0].frames[0][4:])
    pushed = sdkws_pb2.PushMessages.FromString(response.data or b"")
    assert pushed.notificationMsgs["n_a_b"].Msgs[0].content == b"hello"
    assert response.operation_id == "op"


def test_push_to_nobody_encodes_nothing(table: SessionTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "push_messages", None)
    assert table.push(PUSH, ["a", "b"]) == ["a", "b"]


def test_open_needs_a_connection_that_is_known(table: SessionTable) -> None:
    session = StubSession(1, "a")
    table.open("a", session.address)
    assert not table.is_online("a")
    table.add(session)
    table.open("b", session.address)
    assert not table.is_online("b")
    assert not table.is_online("a")
    table.open("a", session.address)
    table.open("a", session.address)
    assert table.is_online("a")
    assert len(table.sessions_of("a")) == 1
    table.close("a", session.address)
    table.close("a", session.address)
    assert not table.is_online("a")
    assert len(table) == 1
    table.remove(session)
    table.remove(session)
    assert len(table) == 0


def test_views_and_platforms(table: SessionTable) -> None:
    add(table, StubSession(1, "a", 5), StubSession(2, "a", 2), StubSession(3, "a", 5))
    assert table.online_platforms("a") == [2, 5]
    assert table.online_platforms("b") == []
    views = table.sessions_of("a")
    assert [(view.platform_id, view.connection_id, view.token) for view in views] == [
        (5, "1", "secret"),
        (2, "2", "secret"),
        (5, "3", "secret"),
    ]
    assert "secret" not in repr(views)


def test_watcher_hears_of_each_change(table: SessionTable, loop: ManualLoop) -> None:
    watcher, other = StubSession(1, "w"), StubSession(2, "o", variant=2)
    add(table, watcher, other)
    assert presence(table.watch(watcher, ["a", "w"], [])) == {"a": [], "w": [2]}
    assert presence(table.watch(other, ["a"], [])) == {"a": []}
    first, second, third = (
        StubSession(3, "a", 5),
        StubSession(4, "a", 1),
        StubSession(5, "a", 1),
    )
    add(table, first)
    loop.pass_s(1)
    add(table, second, third)
    table.remove(third)
    loop.pass_s(1)
    table.close("a", second.address)
    table.remove(first)
    loop.pass_s(1)
    for session in (watcher, other):
        heard = [list(tips.subscribers[0].onlinePlatformIDs) for tips in session.responses()]
        assert heard == [[5], [1, 5], []]


def test_presence_is_one_push_a_second_for_all_who_changed(table: SessionTable, loop: ManualLoop) -> None:
    watcher, other = StubSession(1, "w"), StubSession(2, "o")
    add(table, watcher, other, StubSession(3, "b"))
    table.watch(watcher, ["a", "b", "c"], [])
    table.watch(other, ["b"], [])
    again = StubSession(4, "a")
    for _ in range(3):
        add(table, again)
        table.remove(again)
    add(table, again, StubSession(5, "b", 5))
    blinked = StubSession(6, "c")
    add(table, blinked)
    table.remove(blinked)
    loop.pass_s(0.9)
    assert watcher.frames == other.frames == []
    loop.pass_s(0.1)
    assert [presence(tips.SerializeToString()) for tips in watcher.responses()] == [{"a": [2], "b": [2, 5]}]
    assert [presence(tips.SerializeToString()) for tips in other.responses()] == [{"b": [2, 5]}]


def test_who_watches_amid_a_change_hears_how_it_ended(table: SessionTable, loop: ManualLoop) -> None:
    watcher, late, blinked = StubSession(1, "w"), StubSession(2, "l"), StubSession(3, "a")
    add(table, watcher, late)
    table.watch(watcher, ["a"], [])
    add(table, blinked)
    assert presence(table.watch(late, ["a"], [])) == {"a": [2]}
    table.remove(blinked)
    loop.pass_s(1)
    assert [presence(tips.SerializeToString()) for tips in late.responses()] == [{"a": []}]


def test_presence_waits_while_node_is_overloaded(table: SessionTable, loop: ManualLoop, health: Health) -> None:
    watcher, other = StubSession(1, "w"), StubSession(2, "a")
    add(table, watcher)
    table.watch(watcher, ["a", "b"], [])
    health.is_overloaded = True
    add(table, other)
    loop.pass_s(5)
    assert watcher.frames == []
    health.is_overloaded = False
    loop.pass_s(1)
    assert [presence(tips.SerializeToString()) for tips in watcher.responses()] == [{"a": [2]}]
    health.is_overloaded = True
    table.remove(other)
    add(table, StubSession(3, "b"))
    loop.pass_s(9)
    assert len(watcher.frames) == 1
    loop.pass_s(1)
    assert presence(watcher.responses()[1].SerializeToString()) == {"a": [], "b": [2]}


def test_more_presence_changes_than_one_turn_takes(
    table: SessionTable, loop: ManualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "_PRESENCE_CHANGES_AT_ONCE", 2)
    watcher = StubSession(1, "w")
    add(table, watcher)
    table.watch(watcher, ["a", "b", "c"], [])
    add(table, *(StubSession(number, user) for number, user in enumerate("abc", 2)))
    loop.pass_s(1)
    assert [presence(tips.SerializeToString()) for tips in watcher.responses()] == [{"a": [2], "b": [2]}, {"c": [2]}]


def test_watching_ends(table: SessionTable, loop: ManualLoop) -> None:
    watcher = StubSession(1, "w")
    add(table, watcher)
    table.watch(watcher, ["a", "b"], [])
    assert presence(table.watch(watcher, ["b", "b"], ["a", "b"])) == {"b": []}
    add(table, StubSession(2, "a"))
    loop.pass_s(2)
    assert watcher.frames == []
    add(table, StubSession(3, "b"))
    table.remove(watcher)
    add(table, StubSession(4, "b", 5))
    loop.pass_s(2)
    assert watcher.frames == []
    assert table._watchers == {}


def test_too_many_watched_changes_nothing(table: SessionTable) -> None:
    watcher = StubSession(1, "w")
    add(table, watcher)
    table.watch(watcher, ["a", "b", "c"], [])
    with pytest.raises(WatchedUsersFull):
        table.watch(watcher, ["d"], [])
    assert watcher.watched == {"a", "b", "c"}
    assert presence(table.watch(watcher, ["d"], ["a"])) == {"d": []}
    table.watch(watcher, [], ["b", "c", "d"])
    assert watcher.watched is None
    assert table._watchers == {}
