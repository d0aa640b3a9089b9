"""The directory of one kind of entity. It wakes entities, puts idle ones to sleep, and quarantines an entity that
crashes too often.

An entity is put to sleep within one turn of the loop, with nothing in flight. So a message either reaches this
incarnation or wakes the next one.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.actors.errors import Quarantined
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity_cell import EntityCell

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.runtime.cell import Mail
    from greenroom.actors.runtime.counters import Counters
    from greenroom.actors.runtime.entity import Entity

__all__ = ["Directory", "Quarantine"]

log = logging.getLogger("greenroom.actors.runtime")

FULL_TIMEOUT_AWAKE_MAX = 100_000
"""While at most this many entities of a kind are awake, each has the whole idle timeout. When twice as many are awake,
each has half of it, and so on. So a client that writes to more and more new addresses cannot fill the memory: busy
entities stay awake, and waking any other entity costs a read."""

SWEEP_BATCH = 1000
"""Number of cells that one step of the sweep checks. A step takes about 0.2 ms, so it does not block the loop."""


class Quarantine(msgspec.Struct, frozen=True):
    """An entity in quarantine: no message wakes it yet."""

    address: Address
    actor: str
    """The entity's class."""
    crashes: int
    """Number of crashes since the entity last worked long enough without a crash."""
    strikes: int
    """Number of quarantines in a row, including this one."""
    remaining_s: float


class CrashRecord:
    """The crashes of one entity. The record is kept until the entity has worked long enough without a crash."""

    def __init__(self) -> None:
        self.stashed_mail: deque[Mail] | None = None
        """Mail for the incarnation after the quarantine. While there is any, a timer runs."""
        self.actor = ""
        self.crashes = 0
        self.crashes_in_window = 0
        self.window_end = 0.0
        self.strikes = 0
        self.quarantined_until = 0.0


class Directory:
    """All entities of one kind. To wake or to end an entity costs O(1). One shared sweep finds idle entities; each of
    its steps checks a bounded number of them. An entity is put to sleep between 1 and 1.5 idle timeouts after its last
    message.
    """

    def __init__(
        self,
        base: LoopBase,
        kind: str,
        factory: Callable[[str], Entity],
        *,
        counters: Counters,
        idle_timeout_s: float | None,
        crash_limit: int,
        crash_window_s: float,
        quarantine_s: float,
        quarantine_max_s: float,
    ) -> None:
        self.base = base
        self.kind = kind
        self.factory = factory
        self.counters = counters
        self.idle_timeout_s = idle_timeout_s
        self.crash_limit = crash_limit
        self.crash_window_s = crash_window_s
        self.quarantine_s = quarantine_s
        self.quarantine_max_s = quarantine_max_s
        self.awake_count = 0
        # Cells in the order in which the sweep will check them. A cell that has ended is removed later.
        self._sweep_queue: deque[EntityCell] = deque()
        self._records: dict[Address, CrashRecord] = {}
        self._releases: dict[Address, asyncio.TimerHandle] = {}
        self._sweep_timer: asyncio.TimerHandle | None = None

    def receive(self, sender: Address, address: Address, message: Any) -> None:
        """Receive a message for an entity that is not awake: wake it, or refuse the message if it is in quarantine."""
        cell = self._wake(address)
        if self._quarantined(address) is not None:
            cell.refuse((sender, message), Quarantined(), redeliver=True)
            return
        if address in self._records:
            record = self._records[address]
            cell.mailbox, record.stashed_mail = record.stashed_mail, None
        cell.put(sender, message)
        self._adopt(cell)

    def keep(self, address: Address, mail: Mail) -> None:
        """Keep mail for an entity in quarantine. It wakes the entity after the quarantine."""
        record = self._records[address]
        if record.stashed_mail is None:
            record.stashed_mail = deque()
        record.stashed_mail.append(mail)
        if address not in self._releases:
            self._release_later(address, record)

    def _release_later(self, address: Address, record: CrashRecord) -> None:
        delay = max(0.0, record.quarantined_until - self.base.loop.time())
        self._releases[address] = self.base.loop.call_later(delay, self._release, address)

    def _release(self, address: Address) -> None:
        record = self._records[address]
        if record.stashed_mail is None:
            del self._releases[address]
        elif self._quarantined(address) is not None:
            self._release_later(address, record)
        else:
            del self._releases[address]
            mail, record.stashed_mail = record.stashed_mail, None
            self.resume(address, mail)

    def resume(self, address: Address, mail: deque[Mail]) -> None:
        """Give the unread mail of an incarnation that ended to the next one. Without mail, nothing is woken."""
        if not mail:
            return
        cell = self.base.cells.get(address)
        if cell is None:
            cell = self._wake(address)
            cell.mailbox = mail
            cell.make_ready()
            self._adopt(cell)
            return
        # A message that was sent while the former incarnation ended has already woken the next one. This mail is older.
        if cell.mailbox is None:
            cell.mailbox = mail
        else:
            cell.mailbox.extendleft(reversed(mail))
        cell.make_ready()

    def _wake(self, address: Address) -> EntityCell:
        return EntityCell(self.base, address, self.factory, self.counters, self)

    def _adopt(self, cell: EntityCell) -> None:
        self.base.cells[cell.address] = cell
        self.awake_count += 1
        self._sweep_queue.append(cell)
        if self._sweep_timer is None:
            self._schedule_sweep()

    def forget(self, cell: EntityCell) -> None:
        """Note that an incarnation has ended. Its cell is removed from the sweep queue later, together with others."""
        self.awake_count -= 1
        if len(self._sweep_queue) > 2 * self.awake_count + SWEEP_BATCH:
            cells = self.base.cells
            self._sweep_queue = deque(c for c in self._sweep_queue if c is not cell and cells.get(c.address) is c)

    def awake(self) -> list[EntityCell]:
        """The cells that are awake now. It costs O(number awake)."""
        cells = self.base.cells
        return [cell for cell in self._sweep_queue if cells.get(cell.address) is cell]

    def note_crash(self, cell: EntityCell) -> Quarantined | None:
        """Count a crash. If the entity is put into quarantine for it, returns the refusal that senders get.

        After a quarantine, a single crash starts the next one, which is twice as long. This rule ends once the entity
        has worked without a crash for the crash window and for the length of the last quarantine, whichever is longer.
        """
        now = self.base.loop.time()
        record = self._records.setdefault(cell.address, CrashRecord())
        record.actor = cell.counters.name
        record.crashes += 1
        if now > record.window_end:
            quarantine_s = self._length(record.strikes)
            if record.strikes and now > record.quarantined_until + max(self.crash_window_s, quarantine_s):
                record.strikes = 0
            record.crashes_in_window = 0
            record.window_end = now + self.crash_window_s
        record.crashes_in_window += 1
        if self._sweep_timer is None:
            self._schedule_sweep()
        if record.crashes_in_window < self.crash_limit and not record.strikes:
            return None
        record.strikes += 1
        record.quarantined_until = now + self._length(record.strikes)
        length = record.quarantined_until - now
        log.error(
            "%s is in quarantine for %.1f s: %s crashed %d times, quarantine %d in a row",
            cell.address, length, record.actor, record.crashes, record.strikes,
            extra={
                "actor": record.actor, "address": str(cell.address), "crashes": record.crashes,
                "strikes": record.strikes, "quarantine_s": length,
            },
        )  # fmt: skip
        return Quarantined()

    def _length(self, strikes: int) -> float:
        return min(self.quarantine_max_s, self.quarantine_s * 2.0 ** min(strikes - 1, 30))

    def _quarantined(self, address: Address) -> CrashRecord | None:
        if not self._records:
            return None
        record = self._records.get(address)
        if record is not None and record.quarantined_until > self.base.loop.time():
            return record
        return None

    def quarantines(self) -> list[Quarantine]:
        """The entities that are in quarantine now because they crashed too often."""
        now = self.base.loop.time()
        return [
            Quarantine(address, record.actor, record.crashes, record.strikes, record.quarantined_until - now)
            for address, record in self._records.items()
            if record.quarantined_until > now
        ]

    def _idle_s(self) -> float | None:
        """The idle timeout for the number of entities that are awake now, in seconds."""
        if self.idle_timeout_s is None:
            return None
        return self.idle_timeout_s * min(1.0, FULL_TIMEOUT_AWAKE_MAX / max(1, self.awake_count))

    def _schedule_sweep(self) -> None:
        idle = self._idle_s() or self.crash_window_s
        # The sweep checks all entities once in half a timeout, whatever their number.
        delay = max(0.01, idle / 2 / (1 + len(self._sweep_queue) // SWEEP_BATCH))
        self._sweep_timer = self.base.loop.call_later(delay, self._sweep)

    def _sweep(self) -> None:
        self._sweep_timer = None
        base = self.base
        now = base.loop.time()
        idle_s = self._idle_s()
        if idle_s is not None:
            horizon = now - idle_s
            for _ in range(min(SWEEP_BATCH, len(self._sweep_queue))):
                cell = self._sweep_queue.popleft()
                if base.cells.get(cell.address) is not cell:
                    continue
                if cell.idle_since(horizon) and self._may_sleep(cell):
                    cell.counters.sleeps += 1
                    cell.stop()
                    continue
                self._sweep_queue.append(cell)
        for address, record in list(self._records.items())[:SWEEP_BATCH]:
            kept_until = record.quarantined_until + self._length(record.strikes) if record.strikes else 0.0
            if address not in self._releases and now > max(record.window_end, kept_until + self.crash_window_s):
                del self._records[address]
        if (self._sweep_queue and self.idle_timeout_s is not None) or self._records:
            self._schedule_sweep()

    def _may_sleep(self, cell: EntityCell) -> bool:
        try:
            return cell.actor is not None and cell.actor.may_sleep()
        except Exception as error:
            cell.crash(error)
            return False

    def close(self) -> None:
        """Stop the sweep and the timers of the quarantines."""
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        for timer in self._releases.values():
            timer.cancel()
