"""The timer wheel: one event-loop timer serves the deadlines of all connections, in coarse ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["Timed", "TimerWheel"]

NO_SLOT = -1
SKIPPED_LIMIT = 3
"""Up to this number of ticks in a row check nothing if they are late."""


class Timed(Protocol):
    """An object with a deadline. `slot` belongs to the wheel, and is initially -1."""

    slot: int

    def on_deadline(self, now: float) -> float | None:
        """Called when a deadline that was given to the wheel has passed. The object may have postponed it meanwhile.

        Do only the work that is due. Returns the next deadline on the loop's clock, or None if there is none.
        """


class TimerWheel:
    """Calls `on_deadline` at the deadline or up to one tick later, never before it.

    If a tick is late, because the process was stopped or the loop was busy, it checks nothing: until the next tick the
    loop reads what has arrived meanwhile. At most `SKIPPED_LIMIT` ticks in a row check nothing.

    Postponing a deadline costs nothing: the object remembers the new one, and returns it from `on_deadline`. An earlier
    deadline must be given to `add`. Each object is in one slot only, and `discard` removes it immediately, so the
    wheel never keeps a closed connection alive. The loop's timer runs only while the wheel is not empty.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, tick_s: float = 1.0) -> None:
        self._loop = loop
        self._tick_s = tick_s
        self._slots: dict[int, dict[Timed, None]] = {}
        self._last_slot = NO_SLOT
        self._due_at = 0.0
        self._skipped = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, timed: Timed, deadline: float) -> None:
        """Call `timed.on_deadline` at `deadline`, or at its current deadline if that is earlier."""
        slot = int(deadline / self._tick_s) + 1
        if NO_SLOT < timed.slot <= slot:
            return
        self.discard(timed)
        if self._timer is None:
            self._last_slot = int(self._loop.time() / self._tick_s)
            self._schedule()
        slot = max(slot, self._last_slot + 1)
        timed.slot = slot
        self._slots.setdefault(slot, {})[timed] = None

    def discard(self, timed: Timed) -> None:
        """Remove `timed`, if it is in the wheel."""
        slot = self._slots.get(timed.slot)
        if slot is not None:
            slot.pop(timed, None)
            if not slot:
                del self._slots[timed.slot]
        timed.slot = NO_SLOT

    def stop(self) -> None:
        """Remove all objects and stop the timer."""
        for slot in self._slots.values():
            for timed in slot:
                timed.slot = NO_SLOT
        self._slots.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, at: float | None = None) -> None:
        self._due_at = (self._last_slot + 1) * self._tick_s if at is None else at
        self._timer = self._loop.call_at(self._due_at, self._on_tick)

    def _on_tick(self) -> None:
        now = self._loop.time()
        if now - self._due_at >= self._tick_s and self._skipped < SKIPPED_LIMIT:
            self._skipped += 1
            self._schedule(now + self._tick_s)
            return
        self._skipped = 0
        current = int(now / self._tick_s)
        # If the loop was busy, several slots are due.
        for number in range(self._last_slot + 1, current + 1):
            for timed in self._slots.pop(number, ()):
                if timed.slot != number:
                    continue
                timed.slot = NO_SLOT
                deadline = timed.on_deadline(now)
                if deadline is not None:
                    self.add(timed, max(deadline, now))
            self._last_slot = max(self._last_slot, number)
        self._timer = None
        if self._slots:
            self._schedule()
