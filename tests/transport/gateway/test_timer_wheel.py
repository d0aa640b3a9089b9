"""The timer wheel, with a clock that the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from greenroom.transport.gateway.timer_wheel import TimerWheel

if TYPE_CHECKING:
    from collections.abc import Callable


class Handle:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """The two methods of a loop that the wheel uses."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], None], Handle]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        handle = Handle()
        self.timers.append((when, callback, handle))
        return handle

    def turn_to(self, now: float) -> None:
        while due := [timer for timer in self.timers if timer[0] <= now and not timer[2].cancelled]:
            timer = min(due, key=lambda each: each[0])
            self.timers.remove(timer)
            self.now = max(self.now, timer[0])
            timer[1]()
        self.now = now


class Item:
    def __init__(self, clock: Clock, *, every: float | None = None) -> None:
        self.slot = -1
        self.clock = clock
        self.every = every
        self.checks: list[float] = []

    def on_deadline(self, now: float) -> float | None:
        self.checks.append(now)
        return None if self.every is None else now + self.every


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wheel(clock: Clock) -> TimerWheel:
    loop: Any = clock
    return TimerWheel(loop, tick_s=1.0)


def test_check_comes_within_a_tick_after_the_deadline(clock: Clock, wheel: TimerWheel) -> None:
    item = Item(clock)
    wheel.add(item, 103.5)
    clock.turn_to(103.9)
    assert item.checks == []
    clock.turn_to(104.0)
    assert item.checks == [104.0]
    clock.turn_to(200.0)
    assert item.checks == [104.0]


def test_one_timer_for_all_and_none_when_idle(clock: Clock, wheel: TimerWheel) -> None:
    for number in range(100):
        wheel.add(Item(clock), 101.0 + number % 7)
    assert len(clock.timers) == 1
    clock.turn_to(120.0)
    assert clock.timers == []


def test_later_deadline_is_what_check_answers(clock: Clock, wheel: TimerWheel) -> None:
    item = Item(clock, every=2.0)
    wheel.add(item, 102.0)
    clock.turn_to(110.0)
    assert item.checks == [103.0, 106.0, 109.0]


def test_earlier_deadline_wins(clock: Clock, wheel: TimerWheel) -> None:
    item = Item(clock)
    wheel.add(item, 130.0)
    wheel.add(item, 102.0)
    wheel.add(item, 150.0)
    clock.turn_to(200.0)
    assert item.checks == [103.0]


def test_discarded_item_is_forgotten(clock: Clock, wheel: TimerWheel) -> None:
    item = Item(clock)
    wheel.add(item, 102.0)
    wheel.discard(item)
    wheel.discard(item)
    clock.turn_to(110.0)
    assert item.checks == []


def test_item_that_is_discarded_by_its_neighbour(clock: Clock, wheel: TimerWheel) -> None:
    neighbour = Item(clock)

    class Nasty(Item):
        def on_deadline(self, now: float) -> float | None:
            wheel.discard(neighbour)
            return super().on_deadline(now)

    wheel.add(Nasty(clock), 102.0)
    wheel.add(neighbour, 102.0)
    clock.turn_to(110.0)
    assert neighbour.checks == []


def test_busy_loop_catches_up(clock: Clock, wheel: TimerWheel) -> None:
    """It reads first: a tick that is late checks nothing, and the next one checks everything."""
    items = [Item(clock) for _ in range(3)]
    for number, item in enumerate(items):
        wheel.add(item, 101.0 + number)
    clock.now = 150.0
    clock.turn_to(150.0)
    assert [item.checks for item in items] == [[]] * 3
    clock.turn_to(151.0)
    assert [item.checks for item in items] == [[151.0]] * 3


def test_loop_that_is_always_late_checks_all_the_same(clock: Clock, wheel: TimerWheel) -> None:
    item = Item(clock)
    wheel.add(item, 101.0)
    for late in (110.0, 120.0, 130.0):
        clock.now = late
        clock.turn_to(late)
        assert item.checks == []
    clock.now = 140.0
    clock.turn_to(140.0)
    assert item.checks == [140.0]


def test_stop(clock: Clock, wheel: TimerWheel) -> None:
    item = Item(clock)
    wheel.add(item, 102.0)
    wheel.stop()
    clock.turn_to(110.0)
    assert item.checks == []
