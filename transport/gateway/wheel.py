"""The timer wheel: one loop timer for the deadlines of every connection, in coarse ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["Timed", "Wheel"]

NOWHERE = -1


class Timed(Protocol):
    """What a wheel holds. `slot` belongs to the wheel; it begins as -1."""

    slot: int

    def check(self, now: float) -> float | None:
        """A deadline has come, perhaps renewed since: act on what is really due, and answer the next
        deadline in the loop's time, or None to leave the wheel."""


class Wheel:
    """Calls `check` of what it holds at or up to one tick after the deadline, never before it.

    Renewing costs nothing: the owner moves its own mark, and answers the later deadline when asked. An
    earlier deadline is made known with `add`. Each object stands in one slot only, and leaves at once with
    `discard`, so nothing that has closed is kept. The loop timer runs only while something is held.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, tick_s: float = 1.0) -> None:
        self._loop = loop
        self._tick_s = tick_s
        self._slots: dict[int, dict[Timed, None]] = {}
        self._last = NOWHERE
        self._timer: asyncio.TimerHandle | None = None

    def add(self, timed: Timed, deadline: float) -> None:
        """Hold `timed` until `deadline`; an earlier deadline it stands at already stays."""
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
        """Let go of `timed`, whether it is held or not."""
        slot = self._slots.get(timed.slot)
        if slot is not None:
            slot.pop(timed, None)
            if not slot:
                del self._slots[timed.slot]
        timed.slot = NOWHERE

    def stop(self) -> None:
        """Let go of everything."""
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
        # A loop that was busy has several slots to catch up with.
        for number in range(self._last + 1, current + 1):
            for timed in self._slots.pop(number, ()):
                if timed.slot != number:
                    continue
                timed.slot = NOWHERE
                deadline = timed.check(now)
                if deadline is not None:
                    self.add(timed, max(deadline, now))
            self._last = max(self._last, number)
        self._timer = None
        if self._slots:
            self._schedule()
