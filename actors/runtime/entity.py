"""The base class of every actor that has an id: User, Pair, Group, Connection, and fixed children."""

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
    """Maps message classes to handlers, for one entity class. Each handler is looked up once, through the message's
    MRO."""

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
    """An actor with a life: `on_start`, messages, `on_stop`. A crash ends the life and never escalates.

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
    message's MRO that has one. Each message comes once. Messages of one sender come in the order in which they were
    sent. A handler runs to its end before the next begins; it must not block.

    When a handler raises a GreenroomError, that is a refusal: the sender gets `Failed(message.ref, error)`
    and the life goes on. When it raises anything else, the sender gets `Failed(message.ref, ActorCrashed)`, this
    instance is dropped, and the messages in the mailbox and in the stash go to the next life, in order.
    """

    __slots__ = ("_myRef",)

    stash_limit: ClassVar[int] = 1000
    """How many messages may be stashed. Past it senders get `Failed(MailboxFull)`."""

    busy: int = 0
    """While not zero, `may_sleep` is False. Counts work that is not a pipe."""

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
        """Called once when the life ends without a crash: it falls asleep, is stopped, or the base shuts down.

        An awaitable is awaited before the address is free again. Mail that comes meanwhile waits for the next
        life, or becomes a dead letter when there is none.
        """
        return None

    def on_crash(self, error: BaseException) -> None:
        """Called when the life ends in a crash: answer those who wait. The instance may be half changed."""

    def left_undone(self) -> Outcome | None:
        """A message from this life to the next one, which gets it before all other mail. Called at the end of every
        life, after `on_stop` or `on_crash`. If this returns None, an Outcome that the life crashed on is told to those
        who wait for it.
        """
        return None

    def may_sleep(self) -> bool:
        """Whether this entity may be put to sleep now. Called only when it has no mail, stash or pipe."""
        return not self.busy

    def turn_over(self) -> bool | None:
        """Called after each turn. A turn handles one message, or several that were waiting, so what they decided can go
        out together. True asks for one more turn, after all cells that are ready now. An exception here is a crash,
        charged to the turn's last message.
        """
        return None

    def unhandled(self, message: Any, sender: Address) -> None:
        """Take a message that this class has no handler for: count it, and log its class name."""
        self._myRef.counters.unhandled += 1
        names = type(self).__name__, type(message).__name__
        times = self.runtime.sampler.take(names)
        if times:
            log.warning("%s has no handler for %s (%d times since the last line)", *names, times)

    @property
    def runtime(self) -> LoopBase:
        """The base that this entity lives on."""
        return self._myRef.base

    def send(self, targetAddr: Address, msg: Any) -> None:
        """Send a message. Never fails, never blocks."""
        self._myRef.actor_send(targetAddr, msg)

    def stash(self) -> None:
        """Stash the message that is being handled, until `unstash`."""
        self._myRef.stash_current()

    def unstash(self) -> None:
        """Put the stashed messages back into the mailbox, in their order, before newer mail."""
        self._myRef.unstash()

    def hold(self, *also: type) -> None:
        """From the next message on, stash everything but results (Piped, Answer, Failed) and the classes `also`.

        Timers are stashed too; exits are not. A second `hold` replaces the first.
        """
        self._myRef.held = RESULTS.union(also)

    def release(self) -> None:
        """End a `hold`: the stashed messages come back, in their order, before newer mail."""
        self._myRef.held = None
        self._myRef.unstash()

    def refuse_stashed(self, kind: type, error: GreenroomError) -> None:
        """Answer the stashed messages of this class with an error. The others stay stashed."""
        self._myRef.refuse_stashed(kind, error)

    def end(self) -> NoReturn:
        """End this life from within a handler. The next message wakes a new one. This is no crash: it does not count
        towards quarantine.
        """
        raise LifeEnded

    def pipe(self, awaitable: Awaitable[Any], tag: Any = None, *, eager: bool = True) -> None:
        """Await `awaitable` while this actor goes on. Its result comes as one `Piped(tag, value, error)`.

        The result is dropped when this life has ended by then; the awaitable itself runs on. A coroutine runs at once,
        up to its first suspension and with no current task. One that needs a task before it first suspends
        (`asyncio.timeout`, httpx) must be given with `eager=False`.
        """
        self._myRef.pipe(awaitable, tag, eager=eager)

    def receiveMsg_Ping(self, message: Ping, sender: Address) -> None:
        """Answer that this entity has loaded."""
        self.send(sender, Answer(message.ref))

    def receiveMessage(self, msg: Any, sender: Address) -> None:
        """Thespian's entry point. The cell itself does not use it: it looks the handler up."""
        self._handlers[type(msg)](self, msg, sender)
