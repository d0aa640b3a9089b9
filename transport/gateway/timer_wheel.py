"""The timer wheel: one timer of the loop serves the deadlines of all connections, in coarse ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["Timed", "TimerWheel"]

NOWHERE = -1


class Timed(Protocol):
    """Something with a deadline. `slot` belongs to the wheel; it begins as -1."""

    slot: int

    def on_deadline(self, now: float) -> float | None:
        """A deadline that was given to the wheel has come; its owner may have moved it since.

        Do what is really due. Returns the next deadline in the loop's time, or None to leave the wheel.
        """


class TimerWheel:
    """Calls `on_deadline` at the deadline or up to one tick later, never before it.

    To postpone a deadline costs nothing: its owner remembers the new one, and returns it from `on_deadline`. An
    earlier deadline must be given to `add`. Each object stands in one slot only, and `discard` takes it out at once,
    so the wheel keeps nothing that has closed. The loop's timer runs only while the wheel holds something.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, tick_s: float = 1.0) -> None:
        self._loop = loop
        self._tick_s = tick_s
        self._slots: dict[int, dict[Timed, None]] = {}
        self._last = NOWHERE
        self._timer: asyncio.TimerHandle | None = None

    def add(self, timed: Timed, deadline: float) -> None:
        """Call `timed` at `deadline`, or at the deadline that it has already if that is earlier."""
        slot = int(deadline / self._tick_s) + 1
        if NOWHERE < timed.slot <= slot:
            return
        self.discard(timed)
        if self._timer is None:
            self._last = int(self._loop.time() / self._tick_s)
            self._schedule()
        slot = max(slot, self._last + 1)
        timed.slot = slot
        self._slots.setdefault(slot, {})[timed] = None

    def discard(self, timed: Timed) -> None:
        """Forget `timed`, if the wheel holds it."""
        slot = self._slots.get(timed.slot)
        if slot is not None:
            slot.pop(timed, None)
            if not slot:
                del self._slots[timed.slot]
        timed.slot = NOWHERE

    def stop(self) -> None:
        """Forget everything."""
        for slot in self._slots.values():
            for timed in slot:
                timed.slot = NOWHERE
        self._slots.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        self._timer = self._loop.call_at((self._last + 1) * self._tick_s, self._turn)

    def _turn(self) -> None:
        now = self._loop.time()
        current = int(now / self._tick_s)
        # After a busy time several slots are due at once.
        for number in range(self._last + 1, current + 1):
            for timed in self._slots.pop(number, ()):
                if timed.slot != number:
                    continue
                timed.slot = NOWHERE
                deadline = timed.on_deadline(now)
                if deadline is not None:
                    self.add(timed, max(deadline, now))
            self._last = max(self._last, number)
        self._timer = None
        if self._slots:
            self._schedule()
