"""How many requests of all connections the node takes on at once, and what happens to those past that.

Little's law turned round: what is under way waits (count / answers a second), so the count that keeps the wait within
`answer_within_s` is answers a second times that, as measured just now. A fixed count would be right for one machine.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from greenroom.actors.strain import Strain
    from greenroom.persistence.settings import OverloadSettings

__all__ = ["Admission", "Waiter"]

log = logging.getLogger("greenroom.transport")

_TICK_S = 0.05
_RATE_WEIGHT = 0.1
"""Of the newest tick in the measured rate: answers come in batches, so that one tick says little."""
_REFUSALS_AN_ANSWER = 2
_REFUSALS_A_TICK = 64
"""So many sends are refused for each answer, and a few more. To read and refuse one costs about a third of answering
it: without a bound a crowd that sends on and on would leave no time for answers."""
_SAID_EVERY_S = 10.0


class Waiter(Protocol):
    """Who wants to begin requests."""

    def go_on(self) -> bool:
        """Begin one (`enter`). Whether more could begin at once."""

    def give_up(self) -> int:
        """Too late: refuse those that may be refused, begin one that may not. How many were refused."""

    def read_on(self) -> None:
        """The rest is over."""


class Admission:
    """Order: who waits first is the first to begin what it has, up to a connection's own bound; then it stands behind
    the others. Nobody passes those who wait.

    Bound: `limit` requests under way. Loss: sends that have waited `patience_s` are refused, so what is begun has
    waited less; who was refused is not read for as long again, and TCP slows its client. What is past the refusals
    that are allowed waits for its error. One timer, while there is anything to do.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: OverloadSettings, strain: Strain) -> None:
        self._loop = loop
        self._settings = settings
        self._strain = strain
        # Since when each waits; in that order.
        self._waiting: OrderedDict[Waiter, float] = OrderedDict()
        self._late: OrderedDict[Waiter, None] = OrderedDict()
        self._resting: deque[tuple[float, Waiter]] = deque()
        self.under_way = 0
        self.limit = settings.requests_floor
        self.rate = 0.0
        """Answers a second, lately."""
        self.refused = 0
        """Sends refused since the node began."""
        self._answered = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ticked_at = 0.0
        self._said_at = 0.0
        self._said_refused = self._said_shed = 0

    @property
    def waiting_count(self) -> int:
        return len(self._waiting) + len(self._late)

    def may_enter(self) -> bool:
        """Whether a request may begin out of turn: there is room, and nobody waits for it."""
        return self.under_way < self.limit and not self._waiting

    def enter(self) -> None:
        """A request begins."""
        self.under_way += 1
        if self._timer is None:
            self._ticked_at = self._loop.time()
            self._schedule()

    def leave(self, count: int = 1) -> None:
        """Requests were answered, or their connection is gone."""
        self.under_way -= count
        self._answered += count
        if self._waiting:
            self._give_turns()

    def wait(self, waiter: Waiter) -> None:
        """Be called in turn; whoever waits already keeps its place."""
        if waiter not in self._late:
            self._waiting.setdefault(waiter, self._loop.time())
            self._strain.is_high = True

    def forget(self, waiter: Waiter) -> None:
        self._waiting.pop(waiter, None)
        self._late.pop(waiter, None)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_turns(self) -> None:
        while self._waiting and self.under_way < self.limit:
            waiter = next(iter(self._waiting))
            if not waiter.go_on():
                self._waiting.pop(waiter, None)

    def _schedule(self) -> None:
        self._timer = self._loop.call_at(self._ticked_at + _TICK_S, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        passed, answered = now - self._ticked_at, self._answered
        self._ticked_at, self._answered = now, 0
        self.rate += _RATE_WEIGHT * (answered / passed - self.rate)
        settings = self._settings
        self.limit = max(settings.requests_floor, int(self.rate * settings.answer_within_s))
        self._give_turns()
        self._refuse(now, _REFUSALS_A_TICK + _REFUSALS_AN_ANSWER * answered)
        while self._resting and self._resting[0][0] <= now:
            self._resting.popleft()[1].read_on()
        lags = passed - _TICK_S > settings.answer_within_s
        self._strain.is_high = bool(self._waiting or self._late or lags)
        self._say(now)
        if self.under_way or self._waiting or self._late or self._resting or lags:
            self._schedule()
        else:
            self._timer = None

    def _refuse(self, now: float, allowed: int) -> None:
        waiting, late, patience_s = self._waiting, self._late, self._settings.patience_s
        while waiting and next(iter(waiting.values())) <= now - patience_s:
            late[waiting.popitem(last=False)[0]] = None
        until = self.refused + allowed
        while late and self.refused < until:
            waiter, _ = late.popitem(last=False)
            self.refused += waiter.give_up()
            self._resting.append((now + patience_s, waiter))

    def _say(self, now: float) -> None:
        refused, shed = self.refused - self._said_refused, self._strain.typing_shed - self._said_shed
        if (refused or shed) and now >= self._said_at + _SAID_EVERY_S:
            log.warning(
                "overloaded: %d sends refused and %d typing signs left out; %d requests under way, %.0f answers/s",
                refused, shed, self.under_way, self.rate,
            )  # fmt: skip
            self._said_at, self._said_refused, self._said_shed = now, self.refused, self._strain.typing_shed
