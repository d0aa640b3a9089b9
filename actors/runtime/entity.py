"""The base class of everything that has an id: User, Conversation, Group, Connection, and fixed children."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from thespian.actors import Actor, ActorExitRequest

from greenroom.actors.runtime.entity_cell import RESULTS, EntityCell, LifeEnded, end_life
from greenroom.actors.runtime.replies import Answer, Ping

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from greenroom.actors.errors import GreenroomError
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.runtime.entity_cell import Handler
    from greenroom.actors.runtime.replies import Outcome

__all__ = ["Entity"]

log = logging.getLogger("greenroom.actors.runtime")


class HandlerTable(dict[type, "Handler"]):
    """Message class to handler, for one entity class; each found once, through the message's MRO."""

    def __init__(self, owner: type[Entity]) -> None:
        self.owner = owner

    def __missing__(self, message_class: type) -> Handler:
        handler: Handler = self.owner.unhandled
        if issubclass(message_class, ActorExitRequest):
            handler = end_life
        else:
            for each in message_class.__mro__:
                found = getattr(self.owner, f"receiveMsg_{each.__name__}", None)
                if found is not None:
                    handler = found
                    break
        self[message_class] = handler
        return handler


class Entity(Actor):
    """An actor with a life: `on_start`, messages, `on_stop`; a crash ends it and never escalates.

    ```python
    class Counter(Entity):
        def on_start(self) -> None:
            self.hold()
            self.pipe(self.store.load(self.myAddress.id), tag="loaded")

        def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
            self.total = message.value
            self.release()

        def receiveMsg_Add(self, message: Add, sender: Address) -> None:
            self.total += message.amount
            self.send(sender, Answer(message.ref, self.total))
    ```

    A handler is the method `receiveMsg_<ClassName>(self, message, sender)` of the first class in the
    message's MRO that has one. Messages come in the order each sender sent them, once. A handler runs to its
    end before the next begins; it must not block.

    When a handler raises a GreenroomError, that is a refusal: the sender gets `Failed(message.ref, error)`
    and life goes on. When it raises anything else, the sender gets `Failed(message.ref, ActorCrashed)`, this
    instance is thrown away, and what waits in the mailbox and in the stash goes to the next life, in order.
    """

    __slots__ = ("_myRef",)

    stash_limit: ClassVar[int] = 1000
    """How many messages may be set aside; past it senders get `Failed(MailboxFull)`."""

    busy: int = 0
    """While not zero, `may_sleep` says no. For work that no pipe stands for, such as a slice in a lane."""

    if TYPE_CHECKING:

        @property
        def myAddress(self) -> Address: ...

    _myRef: EntityCell
    _handlers: ClassVar[HandlerTable]
    _turns_over: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._handlers = HandlerTable(cls)
        cls._turns_over = cls.turn_over is not Entity.turn_over

    def on_start(self) -> None:
        """Called once, before the first message."""

    def on_stop(self) -> Awaitable[None] | None:
        """Called once when life ends in peace: asleep, stopped or shut down; not after a crash.

        An awaitable is awaited before the address is free again; mail that comes meanwhile waits for the next
        life, or is a dead letter when there is none.
        """
        return None

    def on_crash(self, error: BaseException) -> None:
        """Last words of a life that crashed: answer those who wait. The instance may be half changed."""

    def left_undone(self) -> Outcome | None:
        """What this life leaves to the next one, which gets it before all other mail. Asked for at the end of every
        life, after `on_stop` or `on_crash`. An Outcome that the life crashed on is told unless something is left.
        """
        return None

    def may_sleep(self) -> bool:
        """Whether this entity may be put to sleep now. Asked only when it has no mail, stash or pipe."""
        return not self.busy

    def turn_over(self) -> bool | None:
        """Called after each turn, which is one message or several that were waiting: what they decided may go
        out together. True asks for one more turn, after those of everybody who waits for one now. Failing here is a
        crash, charged to the turn's last message.
        """
        return None

    def unhandled(self, message: Any, sender: Address) -> None:
        """A message for which this class has no handler: counted, and logged by its class name."""
        self._myRef.counters.unhandled += 1
        names = type(self).__name__, type(message).__name__
        times = self.runtime.sampler.take(names)
        if times:
            log.warning("%s has no handler for %s (%d times since the last line)", *names, times)

    @property
    def runtime(self) -> LoopBase:
        """The base this entity lives on, with its engine-side API."""
        return self._myRef.base

    def send(self, targetAddr: Address, msg: Any) -> None:
        """Send a message; never fails, never blocks."""
        self._myRef.actor_send(targetAddr, msg)

    def stash(self) -> None:
        """Set the message that is being handled aside, until `unstash`."""
        self._myRef.stash_current()

    def unstash(self) -> None:
        """All that was set aside comes back, in its order, before newer mail."""
        self._myRef.unstash()

    def hold(self, *also: type) -> None:
        """From the next message on, set all aside but results (Piped, Answer, Failed) and the classes `also`.

        Timers wait too; exits do not. A second `hold` replaces the first.
        """
        self._myRef.held = RESULTS.union(also)

    def release(self) -> None:
        """End a `hold`: what waited comes back, in its order, before newer mail."""
        self._myRef.held = None
        self._myRef.unstash()

    def refuse_stashed(self, kind: type, error: GreenroomError) -> None:
        """Answer what was set aside and is of this class with an error; the rest stays set aside."""
        self._myRef.refuse_stashed(kind, error)

    def end(self) -> NoReturn:
        """End this life in peace, right here in a handler: the next message wakes a new one. No crash: not
        counted towards quarantine.
        """
        raise LifeEnded

    def pipe(self, awaitable: Awaitable[Any], tag: Any = None, *, eager: bool = True) -> None:
        """Await `awaitable` beside this actor; its result comes as one `Piped(tag, value, error)`.

        Dropped when this life has ended by then; the awaitable itself runs on. A coroutine runs right here up
        to its first suspension, with no current task: one that needs a task before it first suspends
        (`asyncio.timeout`, httpx) must come with `eager=False`.
        """
        self._myRef.pipe(awaitable, tag, eager=eager)

    def receiveMsg_Ping(self, message: Ping, sender: Address) -> None:
        """Answer that this entity has loaded."""
        self.send(sender, Answer(message.ref))

    def receiveMessage(self, msg: Any, sender: Address) -> None:
        """Thespian's entry; the cell looks the handler up itself."""
        self._handlers[type(msg)](self, msg, sender)
