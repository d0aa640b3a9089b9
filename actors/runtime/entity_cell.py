"""One incarnation of an entity: its turns, its stash, its pipes, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from thespian.actors import ActorExitRequest, ActorSystemMessage, ChildActorExited, WakeupMessage

from greenroom.actors.errors import ActorCrashed, GreenroomError, MailboxFull, Quarantined
from greenroom.actors.runtime.cell import Cell, Mail
from greenroom.actors.runtime.frames import frames_of
from greenroom.actors.runtime.pipe import drive
from greenroom.actors.runtime.replies import Answer, Failed, Outcome, Piped

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.runtime.counters import Counters
    from greenroom.actors.runtime.entity import Entity

__all__ = ["RESULTS", "EntityCell", "Handler", "IncarnationEnded", "Keeper", "handle_exit"]

log = logging.getLogger("greenroom.actors.runtime")

Handler = Callable[["Entity", Any, "Address"], object]
"""Handles one message for an entity: called with the entity, the message and its sender."""

RESULTS: Final[frozenset[type]] = frozenset({Piped, Answer, Failed, ActorExitRequest, ChildActorExited})
"""Message classes that are handled during every `hold`. The number of results is bounded by the entity's own requests,
and exit requests are never refused."""

INCARNATION_ONLY: Final = (Piped, WakeupMessage, ActorExitRequest, ChildActorExited)
"""Mail for one incarnation only: the next one does not get it."""

NEVER_ANSWERED: Final = (Answer, Failed, Piped, ActorSystemMessage)
"""A failure on one of these is not answered. Otherwise two failing actors would answer each other without end."""


class Keeper(Protocol):
    """Owns an address between two incarnations: the Directory for a kind, the Supervisor for fixed children."""

    def forget(self, cell: EntityCell) -> None:
        """Called before an incarnation is removed from the base."""

    def note_crash(self, cell: EntityCell) -> Quarantined | None:
        """Called after a crash. If the next incarnation must not start yet, returns the refusal for the senders."""

    def resume(self, address: Address, mail: deque[Mail]) -> None:
        """Called after an incarnation was removed from the base, with its unread mail."""

    def keep(self, address: Address, mail: Mail) -> None:
        """Keep mail until the next incarnation starts."""


class IncarnationEnded(BaseException):
    """Ends the turn and the incarnation without a crash, because of an exit request or a call of `end`."""


def handle_exit(entity: Entity, message: Any, sender: Address) -> None:
    """Handle an exit request. Every entity class has this handler."""
    raise IncarnationEnded


class EntityCell(Cell):
    """One incarnation of an entity. The instance is created in its first turn, so a constructor that fails is a crash
    of this entity and not of the sender.
    """

    actor: Entity | None

    __slots__ = (
        "accepted_while_stashing", "current", "factory", "handlers", "keeper", "last_used_at", "pipes", "stashed",
    )  # fmt: skip

    def __init__(
        self,
        base: LoopBase,
        address: Address,
        factory: Callable[[str], Entity],
        counters: Counters,
        keeper: Keeper | None = None,
        parent: Address | None = None,
    ) -> None:
        super().__init__(base, address, None, counters, parent)
        self.factory: Callable[[str], Entity] | None = factory
        self.keeper = keeper
        self.handlers: dict[type, Handler] = {}
        self.accepted_while_stashing: frozenset[type] | None = None
        """During a `hold`, the message classes that are handled; all others are stashed."""
        self.stashed: deque[Mail] | None = None
        self.current: Mail | None = None
        self.pipes = 0
        self.last_used_at = base.now

    def turn(self, limit: int) -> int:
        if self.actor is None and not self._start():
            return 1
        actor = self.actor
        assert actor is not None
        handlers = self.handlers
        mailbox = self.mailbox
        if mailbox is None:
            mailbox = self.mailbox = deque()
        counters = self.counters
        if len(mailbox) > counters.high_water:
            counters.note_high_water(len(mailbox))
        base = self.base
        self.last_used_at = base.now
        handled = 0
        wants_turn: bool | None = False
        try:
            while mailbox and handled < limit:
                self.current = mail = mailbox.popleft()
                handled += 1
                sender, message = mail
                kind = message.__class__
                if self.accepted_while_stashing is not None and kind not in self.accepted_while_stashing:
                    self.stash_current()
                    continue
                try:
                    handlers[kind](actor, message, sender)
                except GreenroomError as refusal:
                    self.refuse(mail, refusal)
            if actor._handles_turn_end:
                wants_turn = actor.on_turn_end()
        except (Exception, asyncio.CancelledError) as error:  # The latter is that of an awaitable, raised again here.
            counters.messages += handled
            self.crash(error)
            return handled
        except IncarnationEnded:
            counters.messages += handled
            # The decisions from before the exit request must still be sent.
            try:
                actor.on_turn_end()
            except Exception as error:
                self.crash(error)
            else:
                self.stop()
            return handled
        self.current = None
        counters.messages += handled
        if mailbox or wants_turn:
            base.ready.append(self)
        else:
            self.not_schedulable = False
            self.mailbox = None
        return handled

    def _start(self) -> bool:
        if self.factory is None:  # It ended while it was in the ready queue.
            return False
        try:
            actor = self.factory(self.address.id)
            self.handlers = actor._handlers
            self.counters = self.base.counters_of(type(actor))
            self.counters.wakes += 1
            actor._myRef = self
            self.actor = actor
            actor.on_start()
        except Exception as error:
            # Remove the message that woke the entity. Otherwise it would wake and crash without end.
            if self.mailbox:
                self.current = self.mailbox.popleft()
            self.crash(error)
            return False
        return True

    def stash_current(self) -> None:
        """Stash the message that is being handled, or refuse it when the stash is full."""
        mail = self.current
        if mail is None:
            return
        self.current = None
        if self.stashed is None:
            self.stashed = deque()
        assert self.actor is not None
        if len(self.stashed) < self.actor.stash_limit:
            self.stashed.append(mail)
        else:
            self.refuse(mail, MailboxFull())

    def unstash(self) -> None:
        """Put the stashed messages back into the mailbox, before newer mail."""
        if self.stashed:
            stashed, self.stashed = self.stashed, None
            if self.mailbox is None:
                self.mailbox = stashed
            else:
                self.mailbox.extendleft(reversed(stashed))
            self.make_ready()

    def refuse_stashed(self, kind: type, error: GreenroomError) -> None:
        """Answer the stashed messages of this class with an error."""
        stashed = self.stashed or ()
        self.stashed = deque(mail for mail in stashed if not isinstance(mail[1], kind))
        for mail in stashed:
            if isinstance(mail[1], kind):
                self.refuse(mail, error)

    def pipe(self, awaitable: Awaitable[Any], tag: Any, *, eager: bool) -> None:
        """Await while the actor continues. The result is mail for this incarnation only."""
        self.pipes += 1

        def settle(value: Any, error: BaseException | None) -> None:
            self.pipes -= 1
            if self.base.cells.get(self.address) is self:
                self.put(self.address, Piped(tag, value, error))

        drive(awaitable, settle, eager=eager, start_task=self.base.start_task)

    def idle_since(self, horizon: float) -> bool:
        """Whether this entity has handled no message since `horizon` and has nothing in flight."""
        return (
            self.last_used_at <= horizon
            and not self.not_schedulable
            and not self.mailbox
            and not self.stashed
            and not self.pipes
            and self.accepted_while_stashing is None
            and self.actor is not None
        )

    def stop(self) -> None:
        """End this incarnation because of an exit request, or because it is idle."""
        self.not_schedulable = True
        self.current = None
        closing: Awaitable[None] | None = None
        if self.actor is not None:
            try:
                closing = self.actor.on_stop()
            except Exception as error:
                self._note_crash(error)
        if closing is None:
            self._ended()
        else:
            drive(closing, self._closed, eager=True, start_task=self.base.start_task)

    def _closed(self, value: Any, error: BaseException | None) -> None:
        if isinstance(error, Exception):
            self._note_crash(error)
        self._ended()

    def _ended(self) -> None:
        if self.base.cells.get(self.address) is not self:
            return
        pending = self.pending_mail()
        mail = self._remove(None)
        mail.extendleft(pending)
        if self.keeper is not None and not self.base.shutting_down:
            self.keeper.resume(self.address, mail)
        else:
            self.base.send_to_dead_letters(self.address, mail)

    def crash(self, error: BaseException) -> None:
        """End this incarnation after a crash: count the crash, refuse the message that was being handled, and hand the
        unread mail to the keeper, or to dead letters. Never raises."""
        self.not_schedulable = True
        base = self.base
        self._note_crash(error)
        if self.actor is not None:
            try:
                self.actor.on_crash(error)
            except Exception as second:
                log.warning("on_crash of %s failed with %s", self.counters.name, type(second).__name__)
        pending = self.pending_mail()
        mail, self.current = self.current, None
        unread = self._remove(error)
        unread.extendleft(pending)
        refusal: GreenroomError = ActorCrashed()
        if mail is not None and not (pending and isinstance(mail[1], Outcome)):
            self.refuse(mail, refusal)
        if base.on_crash is not None:
            try:
                base.on_crash(self.address, mail[0] if mail is not None else None, error)
            except Exception as second:
                log.warning("the base's on_crash hook failed with %s", type(second).__name__)
        if self.keeper is not None:
            quarantined = self.keeper.note_crash(self)
            if quarantined is None:
                self.keeper.resume(self.address, unread)
                return
            refusal = quarantined
        for each in unread:
            self.refuse(each, refusal, redeliver=True)

    def refuse(self, mail: Mail, error: GreenroomError, *, redeliver: bool = False) -> None:
        """Answer one message with an error, unless it is itself an answer. With `redeliver`, an Outcome that must not
        be lost is also kept for the next incarnation."""
        sender, message = mail
        if isinstance(message, Outcome):
            message.notify_waiters(self.actor_send, error)
            if redeliver and message.is_redelivered and self.keeper is not None:
                self.keeper.keep(self.address, mail)
        elif not isinstance(message, NEVER_ANSWERED):
            self.base.send(self.address, sender, Failed(getattr(message, "ref", None), error))

    def pending_mail(self) -> list[Mail]:
        """The message from this incarnation to the next one, in a list; empty if there is none."""
        if self.actor is None:  # It could not be created. The message that woke it must still be handled.
            _, message = self.current or (None, None)
            return [(self.address, message)] if isinstance(message, Outcome) and message.is_redelivered else []
        try:
            effects = self.actor.pending_effects()
        except Exception as second:
            log.warning("pending_effects of %s failed with %s", self.counters.name, type(second).__name__)
            return []
        return [(self.address, effects)] if effects is not None else []

    def _remove(self, error: BaseException | None) -> deque[Mail]:
        """Remove this incarnation from the base, and return the unread mail for the next one."""
        mail: deque[Mail] = self.stashed or deque()
        mail.extend(self.mailbox or ())
        self.stashed = self.mailbox = None
        if self.keeper is not None:
            self.keeper.forget(self)
        self.base.remove_cell(self, error=error)
        self.factory = None
        return deque(each for each in mail if not isinstance(each[1], INCARNATION_ONLY))

    def _note_crash(self, error: BaseException) -> None:
        self.counters.crashes += 1
        frames = frames_of(error)
        name, place = self.counters.name, frames[-1] if frames else "?"
        key = (name, type(error), place)
        # Without the exception's text, which may quote the message, and without source lines.
        stack = "".join(f"\n  {frame}" for frame in frames) if self.base.sampler.is_new(key) else ""
        times = self.base.sampler.take(key)
        if times:
            log.error(
                "%s crashed: %s at %s (%d such since the last line; %d of %s in all)%s",
                self.address, type(error).__name__, place, times, self.counters.crashes, name, stack,
                extra={"actor": name, "address": str(self.address), "crashes": self.counters.crashes},
            )  # fmt: skip
