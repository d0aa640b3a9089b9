"""Frames are read the same wherever the bytes are cut, and wherever websockets' parser takes over from our reader."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from greenroom.persistence.settings import load
from greenroom.tests.transport.gateway.echo import EchoServer
from greenroom.transport.gateway.websocket import Phase, WebSocketProtocol

if TYPE_CHECKING:
    from collections.abc import Hashable

SETTINGS = load(environ={}).websocket
Heard = list[tuple[str, str | bytes]]
SHORT = st.binary(max_size=125)
LONG = st.integers(120, 66_000).map(lambda size: b"x" * size)


class Wire(asyncio.Transport):
    """Collects what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_paused = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None: ...


class Listener(WebSocketProtocol):
    """Collects the messages."""

    def __init__(self, server: EchoServer, user_id: str = "") -> None:
        super().__init__(server)
        self.heard: Heard = []
        self._user_id = user_id

    @property
    def owner(self) -> Hashable:
        return self._user_id or self

    def on_text(self, text: str) -> None:
        self.heard.append(("text", text))

    def on_binary(self, data: bytes) -> None:
        self.heard.append(("binary", data))


def _opened(loop: asyncio.AbstractEventLoop) -> tuple[Listener, Wire]:
    return _opened_at(EchoServer(loop, SETTINGS))


def _opened_at(server: EchoServer, user_id: str = "") -> tuple[Listener, Wire]:
    listener, wire = Listener(server, user_id), Wire()
    listener.connection_made(wire)
    listener.phase = Phase.OPENING
    listener.open(b"")
    return listener, wire


def _whole(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin=fin).serialize(mask=True)


message = st.one_of(
    st.tuples(st.just("binary"), st.one_of(SHORT, LONG.filter(lambda data: len(data) <= 51_200))),
    st.tuples(st.just("text"), st.text(max_size=60)),
)
frame = st.one_of(
    message, st.tuples(st.just("ping"), SHORT), st.tuples(st.just("pieces"), st.lists(SHORT, min_size=2, max_size=4))
)


@given(frames=st.lists(frame, max_size=12), cuts=st.lists(st.integers(0, 200_000), max_size=8))
def test_any_frames_cut_anywhere(frames: list[tuple[str, Any]], cuts: list[int]) -> None:
    sent, expected, pongs = b"", [], b""
    for kind, payload in frames:
        if kind == "ping":
            sent += _whole(Opcode.PING, payload)
            pongs += Frame(Opcode.PONG, payload).serialize(mask=False)
        elif kind == "pieces":
            for number, piece in enumerate(payload):
                opcode = Opcode.CONT if number else Opcode.BINARY
                sent += _whole(opcode, piece, fin=number == len(payload) - 1)
            expected.append(("binary", b"".join(payload)))
        else:
            data = payload.encode() if kind == "text" else payload
            sent += _whole(Opcode.TEXT if kind == "text" else Opcode.BINARY, data)
            expected.append((kind, payload))
    loop = asyncio.new_event_loop()
    try:
        listener, wire = _opened(loop)
        places = sorted({0, len(sent), *(cut % (len(sent) + 1) for cut in cuts)})
        for begin, end in pairwise(places):
            listener.data_received(sent[begin:end])
        while wire.is_paused:
            loop.run_until_complete(asyncio.sleep(0))
        listener.outbox.flush()
        assert listener.heard == expected
        assert wire.written == pongs
        assert listener.phase is Phase.OPEN
    finally:
        listener.connection_lost(None)
        loop.close()


@pytest.mark.parametrize("split", [False, True], ids=["at-once", "byte-by-byte"])
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (b"\x82\x05hello", 1002), (b"\x88\x00", 1002), (b"\xc2\x80\0\0\0\0", 1002), (b"\x83\x80\0\0\0\0", 1002),
        (b"\x89\xfe\x00\x7e" + bytes(130), 1002), (b"\x80\x80\0\0\0\0", 1002), (b"\x82\xfe\xff\xff\0\0\0\0", 1009),
        (b"\x82\xff" + b"\x7f" * 8 + b"\0\0\0\0", 1009), (b"\x81\x81\0\0\0\0\xff", 1007),
    ],
    ids=[
        "unmasked", "close-unmasked", "reserved-bit", "opcode", "long-ping", "lone-piece", "large", "huge", "not-utf8",
    ],
)  # fmt: skip
def test_against_the_rules(wrong: bytes, code: int, split: bool) -> None:
    """The violation is refused with the right code as soon as it can be seen, after the frames before it."""
    loop = asyncio.new_event_loop()
    try:
        listener, wire = _opened(loop)
        sent = _whole(Opcode.BINARY, b"good") + wrong
        for piece in [sent[at : at + 1] for at in range(len(sent))] if split else [sent]:
            listener.data_received(piece)
        listener.outbox.flush()
        assert listener.heard == [("binary", b"good")]
        assert wire.written[0] == 0x88
        assert int.from_bytes(wire.written[2:4], "big") == code
        assert listener.phase is not Phase.OPEN
    finally:
        listener.connection_lost(None)
        loop.close()


def test_no_turn_of_the_loop_reads_more_than_its_part() -> None:
    """The rest is read in later turns, in which other callbacks run as well. Meanwhile nothing is received."""
    loop = asyncio.new_event_loop()
    try:
        listener, wire = _opened(loop)
        other, _ = _opened(loop)
        sent = b"".join(_whole(Opcode.BINARY, b"%d" % number) for number in range(200))
        listener.data_received(sent)
        assert 0 < len(listener.heard) <= 32
        assert wire.is_paused
        other.data_received(sent)
        turns = 0
        while wire.is_paused:
            before = len(listener.heard)
            loop.call_soon(loop.stop)
            loop.run_forever()
            assert len(listener.heard) - before <= 32
            turns += 1
        assert turns >= 200 / 32 - 1
        assert len(other.heard) > 100, "the connections have turns in turn"
        assert listener.heard == [("binary", b"%d" % number) for number in range(200)]
    finally:
        listener.connection_lost(None)
        other.connection_lost(None)
        loop.close()


def test_connections_of_one_user_share_their_part_of_a_turn() -> None:
    """Together they have no more read than one connection; another user is read at once."""
    loop = asyncio.new_event_loop()
    server = EchoServer(loop, SETTINGS)
    owned = [_opened_at(server, "mallory")[0] for _ in range(10)]
    stranger, _ = _opened_at(server, "alice")
    try:
        sent = b"".join(_whole(Opcode.BINARY, b"%d" % number) for number in range(20))
        for listener in owned:
            listener.data_received(sent)
        assert sum(len(listener.heard) for listener in owned) == 32
        stranger.data_received(sent)
        assert len(stranger.heard) == 20
        turns = 0
        while (before := sum(len(listener.heard) for listener in owned)) < 200:
            loop.call_soon(loop.stop)
            loop.run_forever()
            assert sum(len(listener.heard) for listener in owned) - before <= 32
            turns += 1
        assert turns < 12
        assert {tuple(listener.heard) for listener in owned} == {tuple(stranger.heard)}
    finally:
        for listener in (*owned, stranger):
            listener.connection_lost(None)
        loop.close()


CONTROLS = {
    "ping": _whole(Opcode.PING, b""),
    "pong": _whole(Opcode.PONG, b"x"),
    "fragment": _whole(Opcode.CONT, b"", fin=False),
    "filled fragment": _whole(Opcode.CONT, b"x", fin=False),
    "ping after a long frame": _whole(Opcode.PING, b"x"),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_flood_of_control_frames_ends_with_1008(name: str) -> None:
    loop = asyncio.new_event_loop()
    try:
        listener, wire = _opened(loop)
        if "fragment" in name:
            listener.data_received(_whole(Opcode.BINARY, b"", fin=False))
        elif "long" in name:
            listener.data_received(_whole(Opcode.BINARY, b"", fin=False) + _whole(Opcode.CONT, b"x"))
        allowed = int(10 * SETTINGS.control_frames_per_s)
        count = 0
        while listener.phase is Phase.OPEN and count < 3 * allowed:
            listener.data_received(CONTROLS[name])
            while wire.is_paused:
                loop.run_until_complete(asyncio.sleep(0))
            count += 1
        assert allowed - 2 <= count <= allowed + 10
        listener.outbox.flush()
        assert wire.written.endswith(Frame(Opcode.CLOSE, b"\x03\xf0too many control frames").serialize(mask=False))
    finally:
        listener.connection_lost(None)
        loop.close()


async def test_many_messages_that_a_hook_fails_on(caplog: pytest.LogCaptureFixture) -> None:
    """A client that has found one cannot fill the log with it."""

    class Failing(Listener):
        def on_text(self, text: str) -> None:
            raise LookupError(text)

    server = EchoServer(asyncio.get_running_loop(), SETTINGS)
    for _ in range(20):
        failing = Failing(server)
        failing.connection_made(Wire())
        failing.phase = Phase.OPENING
        failing.open(b"")
        failing.data_received(_whole(Opcode.TEXT, b"a secret"))
    (record,) = caplog.records
    assert "failed with LookupError at " in record.getMessage()
    assert "a secret" not in record.getMessage()
