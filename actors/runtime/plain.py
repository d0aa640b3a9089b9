"""The cell of a plain Thespian actor, which follows Thespian's own rules, and the cells without an actor."""

from __future__ import annotations

import logging
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from thespian.actors import (
    ActorExitRequest,
    ActorSystemMessage,
    ChildActorExited,
    PoisonMessage,
    Thespian_ActorStatus,
    Thespian_StatusReq,
)
from thespian.system.timing import ExpirationTimer

from greenroom.actors.errors import ActorCrashed
from greenroom.actors.runtime.cell import Cell
from greenroom.actors.runtime.replies import Failed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.runtime.counters import Counters

__all__ = ["PlainCell", "ReplyCell", "SinkCell"]

log = logging.getLogger("greenroom.actors.runtime")


class Retry(ActorSystemMessage):
    """A message that has failed once. It goes to the end of the mailbox for its second and last try."""

    def __init__(self, message: Any) -> None:
        self.message = message


class PlainCell(Cell):
    """A plain actor. A message that fails is tried once more, from the end of the mailbox. If it fails again, it is
    returned to the sender as a `PoisonMessage`. The instance stays in use until an `ActorExitRequest`; its unread mail
    then becomes dead letters.
    """

    def turn(self, limit: int) -> int:
        actor = self.actor
        if actor is None:
            return 0
        mailbox = self.mailbox
        if mailbox is None:
            return 0
        if len(mailbox) > self.counters.high_water:
            self.counters.note_high_water(len(mailbox))
        receive = actor.receiveMessage
        handled = 0
        while mailbox and handled < limit:
            sender, message = mailbox.popleft()
            handled += 1
            if isinstance(message, ActorSystemMessage):
                self._system_message(sender, message)
                if self.actor is None:
                    self.counters.messages += handled
                    return handled
                continue
            try:
                receive(message, sender)
            except Exception as error:
                self._failed(sender, message, error, second=False)
        self.counters.messages += handled
        if mailbox:
            self.base.ready.append(self)
        else:
            self.not_schedulable = False
        return handled

    def _system_message(self, sender: Address, message: Any) -> None:
        if isinstance(message, Thespian_StatusReq):
            self._report(sender)
            return
        second = isinstance(message, Retry)
        if second:
            message = message.message
        try:
            if self.actor is not None:
                self.actor.receiveMessage(message, sender)
        except Exception as error:
            # An actor that cannot handle the exit request still exits.
            if not isinstance(message, ActorExitRequest):
                self._failed(sender, message, error, second=second)
        if isinstance(message, ActorExitRequest):
            self.base.remove_cell(self, recursive=message.isRecursive)
            mail, self.mailbox = self.mailbox or (), None
            self.base.send_to_dead_letters(
                self.address, [(s, m.message if isinstance(m, Retry) else m) for s, m in mail]
            )

    def _failed(self, sender: Address, message: Any, error: Exception, *, second: bool) -> None:
        self.counters.crashes += 1
        log.warning(
            "%s at %s failed on %s with %s (try %d)",
            self.counters.name,
            self.address,
            type(message).__name__,
            type(error).__name__,
            2 if second else 1,
        )
        if not second:
            self.put(sender, Retry(message))
        # A failure on a PoisonMessage or a ChildActorExited is not reported: two actors could fail without end.
        elif not isinstance(message, (PoisonMessage, ChildActorExited)):
            details = "".join(traceback.format_exception(error))
            self.base.send(self.address, sender, PoisonMessage(message, details))

    def _report(self, sender: Address) -> None:
        status = Thespian_ActorStatus(self.address, self.counters.name, self.base.system_address)
        for child in self.children or ():
            status.addChild(child)
        now = self.base.loop.time()
        timers = (self.timers or {}).values()
        status.addWakeups(
            [(self.address, ExpirationTimer(timedelta(seconds=timer.when() - now))) for timer in timers]
        )
        self.base.send(self.address, sender, status)


class SinkCell(Cell):
    """A mailbox whose messages go to a callable. The system's own address and each outside thread have one."""

    def __init__(
        self, base: LoopBase, address: Address, counters: Counters, accept: Callable[[Address, Any], None]
    ) -> None:
        super().__init__(base, address, None, counters)
        self.accept = accept

    def turn(self, limit: int) -> int:
        mailbox = self.take()
        handled = 0
        while mailbox and handled < limit:
            sender, message = mailbox.popleft()
            handled += 1
            self.accept(sender, message)
        self.end_turn()
        return handled


class ReplyCell(Cell):
    """The temporary address of one `ask`. The first message completes the future; all others are dropped."""

    def __init__(
        self, base: LoopBase, address: Address, counters: Counters, future: asyncio.Future[Any]
    ) -> None:
        super().__init__(base, address, None, counters)
        self.future = future

    def turn(self, limit: int) -> int:
        mailbox = self.take()
        if mailbox and not self.future.done():
            _, message = mailbox.popleft()
            if type(message) is Failed:
                self.future.set_exception(message.error)
            elif isinstance(message, PoisonMessage):
                self.future.set_exception(ActorCrashed())
            else:
                self.future.set_result(message)
        mailbox.clear()
        self.not_schedulable = False
        return 1
