"""The cell: what the base keeps for one incarnation of an actor. Thespian calls it the actor's `_myRef`.

An incarnation is the time of one actor between its start or wake and its stop, sleep or crash. Each has its own cell.
A timer or a piped result compares cells before it delivers, so a result of a former incarnation never reaches the next
one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from thespian.actors import WakeupMessage
from thespian.system.timing import timePeriodSeconds

if TYPE_CHECKING:
    import asyncio

    from thespian.actors import Actor

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.runtime.counters import Counters

__all__ = ["Cell", "Mail", "VacantCell"]

Mail = tuple["Address", Any]
"""A message in a mailbox, with its sender: (sender, message)."""


class Cell:
    """One incarnation: its address and its mailbox. Subclasses define what a turn does.

    Order: first in, first out for each pair of sender and target. No duplicates. Mail is lost only when the
    actor ends without a next incarnation (dead letters), or when the base shuts down.
    """

    # Slots here, in EntityCell and in Address: an awake conversation takes 1.93 KiB instead of 2.02 (bench: awake).
    __slots__ = ("actor", "address", "base", "children", "counters", "mailbox", "not_schedulable", "parent", "timers")

    def __init__(
        self, base: LoopBase, address: Address, actor: Actor | None, counters: Counters, parent: Address | None = None
    ) -> None:
        self.base = base
        self.address = address
        self.actor = actor
        self.counters = counters
        self.parent = parent
        self.mailbox: deque[Mail] | None = None
        # True while the cell is in the base's ready queue or running, and when it must not run at all.
        self.not_schedulable = False
        self.children: dict[Address, None] | None = None
        self.timers: dict[int, asyncio.TimerHandle] | None = None

    def turn(self, limit: int) -> int:
        """Handle at most `limit` messages, and return the number handled. Only the base calls it."""
        raise NotImplementedError

    # The hottest lines of the engine: every `Actor.send` runs them.
    def actor_send(self, target: Address, message: Any) -> None:
        """Put the message into the target's mailbox, with this actor as the sender."""
        base = self.base
        try:
            cell = base.cells[target]
        except (KeyError, TypeError):
            base.send_to_missing(self.address, target, message)
            return
        mailbox = cell.mailbox
        if mailbox is None:
            mailbox = cell.mailbox = deque()
        mailbox.append((self.address, message))
        if not cell.not_schedulable:
            cell.not_schedulable = True
            base.ready.append(cell)
            if not base.scheduled:
                base.schedule()

    def take(self) -> deque[Mail]:
        """Return the mailbox, and note its length in the counters."""
        mailbox = self.mailbox
        if mailbox is None:
            mailbox = self.mailbox = deque()
        elif len(mailbox) > self.counters.high_water:
            self.counters.note_high_water(len(mailbox))
        return mailbox

    def put(self, sender: Address, message: Any) -> None:
        """Put a message into this cell's own mailbox."""
        mailbox = self.mailbox
        if mailbox is None:
            mailbox = self.mailbox = deque()
        mailbox.append((sender, message))
        self.make_ready()

    def make_ready(self) -> None:
        """Add this cell to the ready queue, unless it is already there."""
        if not self.not_schedulable:
            self.not_schedulable = True
            self.base.ready.append(self)
            if not self.base.scheduled:
                self.base.schedule()

    def end_turn(self) -> None:
        """End a turn: go to the end of the ready queue if there is still mail, otherwise leave the queue."""
        if self.mailbox:
            self.base.ready.append(self)
        else:
            self.not_schedulable = False

    def wakeupAfter(self, timePeriod: Any, payload: Any = None) -> None:
        """Send a `WakeupMessage` to this incarnation of the actor after `timePeriod`."""
        if self.timers is None:
            self.timers = {}
        number = self.base.next_number()
        self.timers[number] = self.base.loop.call_later(
            max(0.0, timePeriodSeconds(timePeriod)), self._wake_up, number, timePeriod, payload
        )

    def _wake_up(self, number: int, period: Any, payload: Any) -> None:
        if self.timers is not None:
            self.timers.pop(number, None)
        if self.base.cells.get(self.address) is self:
            self.put(self.address, WakeupMessage(period, payload))

    def cancel_timers(self) -> None:
        """Cancel the timers of this incarnation."""
        if self.timers:
            for handle in self.timers.values():
                handle.cancel()
        self.timers = None

    # What Thespian's Actor calls on its `_myRef`. None of it is hot.
    @property
    def instance(self) -> Actor | None:
        """The actor itself. Thespian's tests read it."""
        return self.actor

    @property
    def globalName(self) -> str | None:
        """The global name that this address was registered under."""
        return self.base.outside.name_of(self.address)

    def createActor(
        self,
        actorClass: Any,
        targetActorRequirements: Any,
        globalName: str | None,
        sourceHash: str | None = None,
    ) -> Address:
        """Create a child of this actor. If that fails, this actor gets a `ChildActorExited` for the child."""
        return self.base.outside.create_child(
            self, actorClass, targetActorRequirements, globalName, sourceHash
        )

    def handleDeadLetters(self, address: Address, enable: bool) -> None:
        """Start or stop handling dead letters at this address."""
        self.base._handleDeadLetters(address, enable)

    def updateCapability(self, capabilityName: str, capabilityValue: Any = None) -> None:
        """Change one of the system's capabilities. None removes it."""
        self.base.updateCapability(capabilityName, capabilityValue)

    def notifyOnSystemRegistrationChanges(self, address: Address, enable: bool) -> None:
        """Ignored: systems do not register with each other, because there is only this process."""

    def registerSourceAuthority(self, address: Address) -> None:
        """See `sources.Sources`."""
        self.base.outside.sources.authority = address

    def notifyOnSourceAvailability(self, address: Address, enable: bool) -> None:
        """See `sources.Sources`."""
        self.base.outside.sources.notify(address, enable)

    def loadActorSource(self, fname: Any) -> str:
        """See `sources.Sources`."""
        return self.base.outside.sources.load(fname)

    def unloadActorSource(self, sourceHash: str) -> None:
        """See `sources.Sources`."""
        self.base.outside.sources.unload(sourceHash)

    def actorSystemShutdown(self) -> None:
        """Shut the whole system down."""
        self.base.shutdown()


class VacantCell(Cell):
    """An address without an actor. It keeps the mail of a fixed child between its crash and its restart."""

    __slots__ = ()

    def __init__(self, base: LoopBase, address: Address, counters: Counters, mail: deque[Mail]) -> None:
        super().__init__(base, address, None, counters)
        self.mailbox = mail
        self.not_schedulable = True  # It never gets a turn.
