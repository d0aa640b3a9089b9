"""One life of an entity: its turns, its stash, its pipes, and how it ends."""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from thespian.actors import ActorExitRequest, ActorSystemMessage, ChildActorExited, WakeupMessage

from greenroom.actors.errors import ActorCrashed, GreenroomError, MailboxFull, Quarantined
from greenroom.actors.runtime.cell import Cell, Mail
from greenroom.actors.runtime.pipe import drive
from greenroom.actors.runtime.replies import Answer, Failed, Outcome, Piped

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.runtime.counters import Counters
    from greenroom.actors.runtime.entity import Entity

__all__ = ["RESULTS", "EntityCell", "Handler", "Keeper", "LifeEnded", "end_life"]

log = logging.getLogger("greenroom.actors.runtime")

Handler = Callable[["Entity", Any, "Address"], object]
"""Handles a message from a sender, for an entity."""

RESULTS: Final[frozenset[type]] = frozenset({Piped, Answer, Failed, ActorExitRequest, ChildActorExited})
"""What a hold lets through. Results are bounded by what was asked, and exits are never refused."""

OF_ONE_LIFE: Final = (Piped, WakeupMessage, ActorExitRequest, ChildActorExited)
"""Mail that means nothing to the next life."""

NEVER_ANSWERED: Final = (Answer, Failed, Piped, ActorSystemMessage)
"""Failures on these are not answered. Otherwise two failing actors would answer each other without end."""


class Keeper(Protocol):
    """Owns an address between two lives: the Directory for a kind, the Supervisor for fixed children."""

    def forget(self, cell: EntityCell) -> None:
        """Called before a life leaves the base."""

    def note_crash(self, cell: EntityCell) -> Quarantined | None:
        """Called when a life ended in a crash. If no next life may begin for now, returns the refusal for senders."""

    def resume(self, address: Address, mail: deque[Mail]) -> None:
        """Called when a life has left the base, with its unread mail."""

    def keep(self, address: Address, mail: Mail) -> None:
        """Keep mail until the next life begins."""


class LifeEnded(BaseException):
    """Ends a turn and the entity's life, without a crash: it was asked to exit, or it called `end`."""


def end_life(entity: Entity, message: Any, sender: Address) -> None:
    """Handle an exit request, in every entity class."""
    raise LifeEnded


class EntityCell(Cell):
    """One life of an entity. The instance is made in its first turn, so a constructor that fails is a crash of this
    entity and not of the sender.
    """

    actor: Entity | None

    __slots__ = ("current", "factory", "handlers", "held", "keeper", "pipes", "stashed", "touched")

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
        self.held: frozenset[type] | None = None
        self.stashed: deque[Mail] | None = None
        self.current: Mail | None = None
        self.pipes = 0
        self.touched = base.now

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
        self.touched = base.now
        handled = 0
        again: bool | None = False
        try:
            while mailbox and handled < limit:
                self.current = mail = mailbox.popleft()
                handled += 1
                sender, message = mail
                kind = message.__class__
                if self.held is not None and kind not in self.held:
                    self.stash_current()
                    continue
                try:
                    handlers[kind](actor, message, sender)
                except GreenroomError as refusal:
                    self.refuse(mail, refusal)
            if actor._turns_over:
                again = actor.turn_over()
        except Exception as error:
            counters.messages += handled
            self.crash(error)
            return handled
        except LifeEnded:
            counters.messages += handled
            # What was decided before the exit request must still leave.
            try:
                actor.turn_over()
            except Exception as error:
                self.crash(error)
            else:
                self.stop()
            return handled
        self.current = None
        counters.messages += handled
        if mailbox or again:
            base.ready.append(self)
        else:
            self.queued = False
            self.mailbox = None
        return handled

    def _start(self) -> bool:
        if self.factory is None:  # Ended while it was in the ready queue.
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
            # Take the message that woke it, or the entity would wake and crash without end.
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
        """Put the stashed messages back before the newer mail."""
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
        """Await while the actor goes on. The result is mail for this life only."""
        self.pipes += 1

        def settle(value: Any, error: BaseException | None) -> None:
            self.pipes -= 1
            if self.base.cells.get(self.address) is self:
                self.put(self.address, Piped(tag, value, error))

        drive(awaitable, settle, eager=eager, start_task=self.base.start_task)

    def idle_since(self, horizon: float) -> bool:
        """Whether this entity handled nothing since `horizon` and has nothing in flight."""
        return (
            self.touched <= horizon
            and not self.queued
            and not self.mailbox
            and not self.stashed
            and not self.pipes
            and self.held is None
            and self.actor is not None
        )

    def stop(self) -> None:
        """End this life without a crash."""
        self.queued = True  # No more turns.
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
        undone = self.undone()
        mail = self._leave(None)
        mail.extendleft(undone)
        if self.keeper is not None and not self.base.closed:
            self.keeper.resume(self.address, mail)
        else:
            self.base.send_dead(self.address, mail)

    def crash(self, error: Exception) -> None:
        """End this life after a failure: answer the sender, count the crash, pass the mail on. Never escalates."""
        self.queued = True
        base = self.base
        self._note_crash(error)
        if self.actor is not None:
            try:
                self.actor.on_crash(error)
            except Exception as second:
                log.warning("on_crash of %s failed with %s", self.counters.name, type(second).__name__)
        undone = self.undone()
        mail, self.current = self.current, None
        left = self._leave(error)
        left.extendleft(undone)
        refusal: GreenroomError = ActorCrashed()
        if mail is not None and not (undone and isinstance(mail[1], Outcome)):
            self.refuse(mail, refusal)
        if base.on_crash is not None:
            try:
                base.on_crash(self.address, mail[0] if mail is not None else None, error)
            except Exception as second:
                log.warning("the base's on_crash hook failed with %s", type(second).__name__)
        if self.keeper is not None:
            quarantined = self.keeper.note_crash(self)
            if quarantined is None:
                self.keeper.resume(self.address, left)
                return
            refusal = quarantined
        for each in left:
            self.refuse(each, refusal, keep=True)

    def refuse(self, mail: Mail, error: GreenroomError, *, keep: bool = False) -> None:
        """Answer one message with an error, unless it is itself an answer. With `keep`, an Outcome that must not be
        lost is kept for the next life."""
        sender, message = mail
        if isinstance(message, Outcome):
            message.tell(self.actor_send, error)
            if keep and message.is_kept and self.keeper is not None:
                self.keeper.keep(self.address, mail)
        elif not isinstance(message, NEVER_ANSWERED):
            self.base.send(self.address, sender, Failed(getattr(message, "ref", None), error))

    def undone(self) -> list[Mail]:
        """The message that this life leaves to the next one, if there is any."""
        if self.actor is None:  # It could not be made. The message that it was made for must still be handled.
            _, left = self.current or (None, None)
            return [(self.address, left)] if isinstance(left, Outcome) and left.is_kept else []
        try:
            left = self.actor.left_undone()
        except Exception as second:
            log.warning("left_undone of %s failed with %s", self.counters.name, type(second).__name__)
            return []
        return [(self.address, left)] if left is not None else []

    def _leave(self, error: Exception | None) -> deque[Mail]:
        """Remove this life from the base, and return the mail that the next one inherits."""
        mail: deque[Mail] = self.stashed or deque()
        mail.extend(self.mailbox or ())
        self.stashed = self.mailbox = None
        if self.keeper is not None:
            self.keeper.forget(self)
        self.base.bury(self, error=error)
        self.factory = None
        return deque(each for each in mail if not isinstance(each[1], OF_ONE_LIFE))

    def _note_crash(self, error: Exception) -> None:
        self.counters.crashes += 1
        frames = [
            f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
            for frame, line in traceback.walk_tb(error.__traceback__)
        ]
        name, place = self.counters.name, frames[-1] if frames else "?"
        key = (name, type(error), place)
        # No exception text, which may quote the message, and no source lines.
        stack = "".join(f"\n  {frame}" for frame in frames) if self.base.sampler.is_new(key) else ""
        times = self.base.sampler.take(key)
        if times:
            log.error(
                "%s crashed: %s at %s (%d such since the last line; %d of %s in all)%s",
                self.address, type(error).__name__, place, times, self.counters.crashes, name, stack,
                extra={"actor": name, "address": str(self.address), "crashes": self.counters.crashes},
            )  # fmt: skip
