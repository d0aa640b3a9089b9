"""Whose connections are read in which turn of the loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from greenroom.transport.gateway import read_turns
from greenroom.transport.gateway.read_turns import TURN_BYTES, ReadTurns

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


class Connection:
    """Has requests that cost this many bytes each. It notes in `log` when one is read."""

    def __init__(self, turns: ReadTurns, log: list[str], name: str, *costs: int) -> None:
        self.turns, self.log, self.name = turns, log, name
        self.owner = name[0]
        self.costs = list(costs)
        turns.add(self)

    def read_on(self) -> None:
        while self.costs:
            if not self.turns.may_read(self.owner):
                self.turns.add(self)
                return
            self.log.append(self.name)
            self.turns.charge(self.owner, self.costs.pop(0))


def turn(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_users_have_turns_not_connections(loop: asyncio.AbstractEventLoop) -> None:
    """One read of each user in each turn: `b` waits for no more than one of `a`'s, however many connections `a` has."""
    turns, log = ReadTurns(loop), list[str]()
    for number in range(5):
        Connection(turns, log, f"a{number}", TURN_BYTES)
    Connection(turns, log, "b0", TURN_BYTES, TURN_BYTES)
    turn(loop)
    assert log == ["a0", "b0"]
    for _ in range(4):
        turn(loop)
    assert log == ["a0", "b0", "a1", "b0", "a2", "a3", "a4"]


def test_small_requests_of_many_connections_share_a_turn(loop: asyncio.AbstractEventLoop) -> None:
    turns, log = ReadTurns(loop), list[str]()
    for number in range(9):
        Connection(turns, log, f"a{number}", TURN_BYTES // 4)
    turn(loop)
    assert log == ["a0", "a1", "a2", "a3"]
    turn(loop)
    assert log[4:] == ["a4", "a5", "a6", "a7"]


def test_at_most_four_users_in_a_turn(loop: asyncio.AbstractEventLoop) -> None:
    turns, log = ReadTurns(loop), list[str]()
    for name in "abcdef":
        Connection(turns, log, name, TURN_BYTES, 1)
    turn(loop)
    assert log == list("abcd")
    turn(loop)
    assert log == list("abcdefab")


def test_a_debt_is_repaid_before_the_user_is_read_again(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile the other users are read. The debt ends, so the user is read again."""
    monkeypatch.setattr(read_turns, "_REPAYMENT_S", 3600)
    turns, log = ReadTurns(loop), list[str]()
    Connection(turns, log, "a", 4 * TURN_BYTES, 1)
    Connection(turns, log, "b", TURN_BYTES, TURN_BYTES, TURN_BYTES)
    for _ in range(9):
        turn(loop)
    assert log == ["a", "b", "b", "b"]
    assert turns.must_wait("a")
    assert not turns.must_wait("b")
    turns._repay()
    turn(loop)
    assert log[4:] == []
    turns._repay()
    turn(loop)
    assert log[4:] == ["a"]


def test_new_bytes_wait_behind_those_of_other_connections(loop: asyncio.AbstractEventLoop) -> None:
    turns = ReadTurns(loop)
    assert not turns.must_wait("a")
    one = Connection(turns, [], "a0")
    assert turns.must_wait("a")
    turns.discard(one)
    assert not turns.must_wait("a")


def test_end_of_a_users_turn(loop: asyncio.AbstractEventLoop) -> None:
    turns = ReadTurns(loop)
    turns.charge("a", 1)
    assert turns.may_read("a")
    turns.end_turn("a")
    assert not turns.may_read("a")
    turn(loop)
    assert turns.may_read("a"), "there is no debt"
    turns.charge("a", 2 * TURN_BYTES)
    assert not turns.may_read("a")
    turn(loop)
    assert turns.may_read("a"), "the last request of a turn may be a little longer"
