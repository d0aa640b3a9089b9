"""Who may come in: how many connections there may be, and how many requests of all of them the node takes on at once.

A request that has begun waits for as long as those before it take: requests in flight over answers a second (Little's
law). So to keep that wait within `answer_within_s`, the limit is the measured answers a second times `answer_within_s`.
A fixed limit would be right for one machine only.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from greenroom.actors.health import Health
    from greenroom.persistence.settings import OverloadSettings

__all__ = ["Admission", "Waiter"]

log = logging.getLogger("greenroom.transport")

_HANDSHAKES_PAST_LIMIT = 1024
"""How many sockets past `max_connections` may stay until they are told that the node is full. More are dropped."""
_TICK_S = 0.05
_RATE_WEIGHT = 0.1
"""Weight of the newest tick in the measured rate. Answers come in batches, so one tick says little."""
_REFUSALS_AN_ANSWER = 2
_REFUSALS_A_TICK = 64
"""How many sends may be refused in a tick: so many for each answer, and so many more. To read and refuse a send costs
about a third of answering it, so without a bound a crowd that keeps sending would leave no time for answers."""
_LOG_EVERY_S = 10.0


class Waiter(Protocol):
    """A connection with requests that wait to begin."""

    def begin_next(self) -> bool:
        """Begin one request. Returns whether another could begin at once."""

    def refuse_late(self) -> int:
        """Refuse the requests that may be refused; of the others begin one. Returns how many were refused."""

    def resume_reading(self) -> None:
        """The back-off after `refuse_late` is over."""


class Admission:
    """Lets connections and requests in.

    Order: the connection that has waited longest begins what it has, up to its own bound, and then stands behind the
    others. No request overtakes those that wait.

    Bound: `limit` requests in flight. Loss: sends that have waited `patience_s` are refused, so what begins has
    waited less. A connection with refused sends is not read for as long again, and TCP slows its client. Late sends
    past the refusals that are allowed wait for their error. One timer, which runs while there is anything to do.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: OverloadSettings, health: Health, *, max_connections: int
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._health = health
        self._max_connections = max_connections
        # When each began to wait; the longest wait first.
        self._waiting: OrderedDict[Waiter, float] = OrderedDict()
        self._late: OrderedDict[Waiter, None] = OrderedDict()
        # When the back-off of each ends.
        self._backing_off: deque[tuple[float, Waiter]] = deque()
        self.in_flight = 0
        self.limit = settings.requests_floor
        self.rate = 0.0
        """Answers a second, measured over the last ticks."""
        self.refused = 0
        """How many sends were refused since the node began."""
        self._answered = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ticked_at = 0.0
        self._logged_at = 0.0
        self._logged_refused = self._logged_shed = 0

    # Connections.

    def may_connect(self, connections: int) -> bool:
        """Whether a socket that was just accepted may stay, beside so many others."""
        return connections < self._max_connections + _HANDSHAKES_PAST_LIMIT

    def may_open(self, sessions: int) -> bool:
        """Whether one more session may open, beside so many others."""
        return sessions < self._max_connections

    # Requests.

    @property
    def waiting_count(self) -> int:
        """How many connections have requests that wait to begin."""
        return len(self._waiting) + len(self._late)

    def may_enter(self) -> bool:
        """Whether a request may begin out of turn: there is room, and no connection waits for it."""
        return self.in_flight < self.limit and not self._waiting

    def enter(self) -> None:
        """A request begins."""
        self.in_flight += 1
        if self._timer is None:
            self._ticked_at = self._loop.time()
            self._schedule()

    def leave(self, count: int = 1) -> None:
        """So many requests were answered, or their connection is gone."""
        self.in_flight -= count
        self._answered += count
        if self._waiting:
            self._give_turns()

    def wait(self, waiter: Waiter) -> None:
        """Call `waiter` in its turn. One that waits already keeps its place."""
        if waiter not in self._late:
            self._waiting.setdefault(waiter, self._loop.time())
            self._health.is_overloaded = True

    def forget(self, waiter: Waiter) -> None:
        """Give `waiter` no turn."""
        self._waiting.pop(waiter, None)
        self._late.pop(waiter, None)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_turns(self) -> None:
        while self._waiting and self.in_flight < self.limit:
            waiter = next(iter(self._waiting))
            if not waiter.begin_next():
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
        while self._backing_off and self._backing_off[0][0] <= now:
            self._backing_off.popleft()[1].resume_reading()
        lags = passed - _TICK_S > settings.answer_within_s
        self._health.is_overloaded = bool(self._waiting or self._late or lags)
        self._log_overload(now)
        if self.in_flight or self._waiting or self._late or self._backing_off or lags:
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
            self.refused += waiter.refuse_late()
            self._backing_off.append((now + patience_s, waiter))

    def _log_overload(self, now: float) -> None:
        refused, shed = self.refused - self._logged_refused, self._health.typing_shed - self._logged_shed
        if (refused or shed) and now >= self._logged_at + _LOG_EVERY_S:
            log.warning(
                "overloaded: %d sends refused and %d typing signs left out; %d requests in flight, %.0f answers/s",
                refused, shed, self.in_flight, self.rate,
            )  # fmt: skip
            self._logged_at, self._logged_refused, self._logged_shed = now, self.refused, self._health.typing_shed
