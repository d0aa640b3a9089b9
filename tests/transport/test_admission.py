"""The admission by itself: limit, turns, refusals, back-off. Its loop's time moves only when a test moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from greenroom.actors.health import Health
from greenroom.persistence.settings import OverloadSettings
from greenroom.tests.kit.manual_loop import ManualLoop
from greenroom.transport.admission import Admission

if TYPE_CHECKING:
    import asyncio


class StubWaiter:
    """Has so many requests to begin. `begun` is shared: the names of those that began, in order."""

    def __init__(self, name: str, count: int, admission: Admission, begun: list[str]) -> None:
        self.name, self.count, self.admission, self.begun = name, count, admission, begun
        self.refused = 0
        self.reads = 0

    def begin_next(self) -> bool:
        self.count -= 1
        self.begun.append(self.name)
        self.admission.request_began()
        return self.count > 0

    def refuse_late(self) -> int:
        count, self.count = self.count, 0
        self.refused += count
        return count

    def resume_reading(self) -> None:
        self.reads += 1


class Desk:
    def __init__(self, *, floor: int = 2) -> None:
        self.loop = ManualLoop()
        self.health = Health()
        settings = OverloadSettings(answer_within_s=0.2, requests_floor=floor, patience_s=0.19)
        loop = cast("asyncio.AbstractEventLoop", self.loop)
        self.admission = Admission(loop, settings, self.health, max_connections=2)
        self.begun: list[str] = []

    def waiter(self, name: str, count: int = 1) -> StubWaiter:
        one = StubWaiter(name, count, self.admission, self.begun)
        self.admission.enqueue(one)
        return one

    def fill(self) -> None:
        while self.admission.may_begin():
            self.admission.request_began()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_connections_past_the_limit_are_told_so_up_to_a_bound(desk: Desk) -> None:
    admission = desk.admission
    assert [admission.may_open(sessions) for sessions in (0, 1, 2, 3)] == [True, True, False, False]
    assert [admission.may_connect(sockets) for sockets in (2, 1025, 1026, 1027)] == [True, True, False, False]


def test_room_for_as_many_as_the_limit(desk: Desk) -> None:
    desk.fill()
    assert desk.admission.in_flight == desk.admission.limit == 2
    desk.admission.requests_ended()
    assert desk.admission.may_begin()


def test_turns_come_in_the_order_of_waiting(desk: Desk) -> None:
    desk.fill()
    desk.waiter("a", 3)
    desk.waiter("b")
    for _ in range(4):
        desk.admission.requests_ended()
        assert not desk.admission.may_begin()
    assert desk.begun == ["a", "a", "a", "b"]
    assert desk.admission.waiting_count == 0


def test_nobody_passes_those_who_wait(desk: Desk) -> None:
    desk.fill()
    desk.waiter("a", 5)
    desk.admission.requests_ended(2)
    assert desk.begun == ["a", "a"]
    assert not desk.admission.may_begin()


def test_who_waits_too_long_is_refused_and_rests(desk: Desk) -> None:
    desk.fill()
    early = desk.waiter("early", 3)
    desk.loop.pass_s(0.1)
    late = desk.waiter("late")
    desk.loop.pass_s(0.15)
    assert (early.refused, late.refused, desk.admission.refused) == (3, 0, 3)
    assert desk.health.is_overloaded
    desk.loop.pass_s(0.1)
    assert late.refused == 1
    assert (early.reads, late.reads) == (0, 0)
    desk.loop.pass_s(0.3)
    assert (early.reads, late.reads) == (1, 1)
    assert not desk.health.is_overloaded
    assert desk.begun == []


def test_refusals_keep_within_their_bound(desk: Desk) -> None:
    desk.fill()
    crowd = [desk.waiter(str(number), 8) for number in range(40)]
    desk.loop.pass_s(0.2)
    first = desk.admission.refused
    assert 64 <= first < 64 + 8
    desk.admission.requests_ended(0)
    desk.loop.pass_s(0.05)
    assert 128 <= desk.admission.refused < 128 + 16
    # The late are not begun when there is room again: their answer would be later still.
    desk.admission.requests_ended()
    assert desk.begun == []
    desk.loop.pass_s(0.2)
    assert desk.admission.refused == 8 * 40 == sum(each.refused for each in crowd)


def test_others_begin_while_the_late_wait_for_their_error(desk: Desk) -> None:
    """The late have left the queue. Whoever comes in time is not made late by them."""
    desk.fill()
    crowd = [desk.waiter(str(number), 40) for number in range(10)]
    desk.loop.pass_s(0.2)
    assert 0 < sum(each.refused > 0 for each in crowd) < 10
    assert not desk.admission.may_begin()
    desk.admission.requests_ended(2)
    assert desk.admission.may_begin()
    assert desk.begun == []


def test_limit_follows_the_answers(desk: Desk) -> None:
    admission = desk.admission
    for _ in range(100):
        for _ in range(100):
            admission.request_began()
        admission.requests_ended(100)
        admission.request_began()
        desk.loop.pass_s(0.05)
        admission.requests_ended()
    # 100 answers each 50 ms: as many are let in as are answered in 0.2 s.
    assert 380 <= admission.limit <= 420
    admission.request_began()
    desk.loop.pass_s(5)
    assert admission.limit == 2
    admission.requests_ended()


def test_timer_ends_when_nothing_is_left(desk: Desk) -> None:
    desk.fill()
    gone = desk.waiter("gone")
    desk.admission.forget(gone)
    desk.admission.requests_ended(2)
    desk.loop.pass_s(1)
    assert desk.loop.due == []
    assert (gone.refused, desk.begun) == (0, [])
    assert not desk.health.is_overloaded


def test_late_loop_is_overload(desk: Desk) -> None:
    desk.fill()
    desk.loop.now += 0.5
    desk.loop.pass_s(0)
    assert desk.health.is_overloaded
    desk.loop.pass_s(0.1)
    assert not desk.health.is_overloaded
