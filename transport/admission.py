"""Admission control: how many connections there may be, and how many requests of all connections may be in flight.

A request in flight waits until the earlier ones are answered. By Little's law this takes the number of requests in
flight, divided by the answers a second. To keep that wait within `answer_within_s`, the limit is the measured answers a
second times `answer_within_s`. A fixed limit would be right for one machine only.
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
"""Number of sockets beyond `max_connections` that may stay until the refusal is written to them. For a further one the
socket that has been silent longest is dropped."""
_TICK_S = 0.05
_RATE_WEIGHT = 0.1
"""Weight of the newest tick in the measured rate. Answers come in batches, so one tick says little."""
_REFUSALS_PER_ANSWER = 2
_REFUSALS_PER_TICK = 64
"""Number of sends that may be refused in a tick: `_REFUSALS_PER_TICK`, and `_REFUSALS_PER_ANSWER` more for each answer.
To read and refuse a send costs about a third of answering it, so without this bound many clients that keep sending
would leave no time for answers."""
_LOG_EVERY_S = 10.0


class Waiter(Protocol):
    """A connection with pending requests."""

    def begin_next(self) -> bool:
        """Begin one request. Returns whether another one may begin immediately."""

    def refuse_late(self) -> int:
        """Refuse the pending requests that may be refused; of the others begin one. Returns the number of refusals."""

    def resume_reading(self) -> None:
        """The back-off after `refuse_late` is over."""


class Admission:
    """Admits connections and requests.

    Order: the connection that has waited longest begins its pending requests, up to its own bound, and then goes to
    the end of the queue. No request overtakes a connection in the queue. A connection whose wait was longer than
    `patience_s` is late and has left the queue: its sends only wait for their error, so others begin before them.

    Bound: `limit` requests in flight. Loss: sends that have waited for `patience_s` are refused, so a send that begins
    has waited for less. A connection with refused sends is not read for another `patience_s`, and TCP slows its client
    down. Late sends beyond the allowed number of refusals wait for their error. There is one timer, which runs only
    while there is work.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: OverloadSettings, health: Health, *, max_connections: int
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._health = health
        self._max_connections = max_connections
        # The time at which each connection began to wait; the longest wait comes first.
        self._waiting: OrderedDict[Waiter, float] = OrderedDict()
        self._late: OrderedDict[Waiter, None] = OrderedDict()
        # The connections that back off, each with the end of its back-off.
        self._backing_off: deque[tuple[float, Waiter]] = deque()
        self.in_flight = 0
        self.limit = settings.requests_floor
        self.rate = 0.0
        """Answers a second, measured over the last ticks."""
        self.refused = 0
        """Number of sends that were refused since the node started."""
        self._answered = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ticked_at = 0.0
        self._logged_at = 0.0
        self._logged_refused = self._logged_shed = 0

    # Connections.

    def may_connect(self, connections: int) -> bool:
        """Whether there is room for a newly accepted socket, given the number of other connections."""
        return connections < self._max_connections + _HANDSHAKES_PAST_LIMIT

    def may_open(self, sessions: int) -> bool:
        """Whether one more session may open, given the number of other sessions."""
        return sessions < self._max_connections

    # Requests.

    @property
    def waiting_count(self) -> int:
        """Number of connections with pending requests."""
        return len(self._waiting) + len(self._late)

    def may_begin(self) -> bool:
        """Whether a request may begin immediately: the limit is not reached, and the queue is empty. Late connections
        are not in the queue: if they held up others, these would be late as well."""
        return self.in_flight < self.limit and not self._waiting

    def request_began(self) -> None:
        """A request begins."""
        self.in_flight += 1
        if self._timer is None:
            self._ticked_at = self._loop.time()
            self._schedule()

    def requests_ended(self, count: int = 1) -> None:
        """`count` requests were answered, or their connection was lost."""
        self.in_flight -= count
        self._answered += count
        if self._waiting:
            self._give_turns()

    def enqueue(self, waiter: Waiter) -> None:
        """Put `waiter` at the end of the queue. If it is already waiting, it keeps its place."""
        if waiter not in self._late:
            self._waiting.setdefault(waiter, self._loop.time())
            self._health.is_overloaded = True

    def forget(self, waiter: Waiter) -> None:
        """Remove `waiter` from the queue."""
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
        self._refuse(now, _REFUSALS_PER_TICK + _REFUSALS_PER_ANSWER * answered)
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
        refused_limit = self.refused + allowed
        while late and self.refused < refused_limit:
            waiter, _ = late.popitem(last=False)
            self.refused += waiter.refuse_late()
            self._backing_off.append((now + patience_s, waiter))

    def _log_overload(self, now: float) -> None:
        refused, shed = self.refused - self._logged_refused, self._health.typing_shed - self._logged_shed
        if (refused or shed) and now >= self._logged_at + _LOG_EVERY_S:
            log.warning(
                "overloaded: %d sends refused and %d typing indicators dropped; %d requests in flight, %.0f answers/s",
                refused, shed, self.in_flight, self.rate,
            )  # fmt: skip
            self._logged_at, self._logged_refused, self._logged_shed = now, self.refused, self._health.typing_shed
