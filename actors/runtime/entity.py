"""The base class of every actor with an id: User, Pair, Group, Connection, and the fixed children."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from thespian.actors import Actor, ActorExitRequest

from greenroom.actors.runtime.entity_cell import RESULTS, EntityCell, IncarnationEnded, handle_exit
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
    """The handlers of one entity class, by message class. Each is looked up once, through the message class's MRO."""

    def __init__(self, owner: type[Entity]) -> None:
        self.owner = owner

    def __missing__(self, message_class: type) -> Handler:
        handler: Handler = self.owner.unhandled
        if issubclass(message_class, ActorExitRequest):
            handler = handle_exit
        else:
            for each in message_class.__mro__:
                found = getattr(self.owner, f"receiveMsg_{each.__name__}", None)
                if found is not None:
                    handler = found
                    break
        self[message_class] = handler
        return handler


class Entity(Actor):
    """An actor with a life cycle: `on_start`, messages, `on_stop`. A crash ends the incarnation and never escalates.

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
    message's MRO that has one. Each message is handled once. Messages of one sender are handled in the order in which
    they were sent. A handler runs to its end before the next one starts; it must not block.

    A GreenroomError from a handler is a refusal: the sender gets `Failed(message.ref, error)`, and the incarnation
    continues. Any other exception is a crash: the sender gets `Failed(message.ref, ActorCrashed)`, this instance is
    dropped, and the messages in the mailbox and in the stash go to the next incarnation, in order.
    """

    __slots__ = ("_myRef",)

    stash_limit: ClassVar[int] = 1000
    """Number of messages that may be stashed. The senders of further ones get `Failed(MailboxFull)`."""

    busy: int = 0
    """Number of pieces of unfinished work that are not pipes. While it is not zero, `may_sleep` is False."""

    if TYPE_CHECKING:

        @property
        def myAddress(self) -> Address: ...

    _myRef: EntityCell
    _handlers: ClassVar[HandlerTable]
    _handles_turn_end: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._handlers = HandlerTable(cls)
        cls._handles_turn_end = cls.on_turn_end is not Entity.on_turn_end

    def on_start(self) -> None:
        """Called once, before the first message."""

    def on_stop(self) -> Awaitable[None] | None:
        """Called once when the incarnation ends without a crash: by sleep, by a stop, or by the base's shutdown.

        An awaitable is awaited before the address is free again. Mail that arrives meanwhile is for the next
        incarnation, or becomes dead letters if there is none.
        """
        return None

    def on_crash(self, error: BaseException) -> None:
        """Called after a crash, to answer the clients that still wait. The instance may be half changed."""

    def pending_effects(self) -> Outcome | None:
        """A message from this incarnation to the next one, which gets it before all other mail. Called at the end of
        every incarnation, after `on_stop` or `on_crash`. If the crash was on an Outcome and this returns None, the
        clients that wait for this Outcome are notified of the crash.
        """
        return None

    def may_sleep(self) -> bool:
        """Whether this entity may be put to sleep now. Called only when it has no mail, stash or pipe."""
        return not self.busy

    def on_turn_end(self) -> bool | None:
        """Called after each turn. A turn handles one message, or several if they were already in the mailbox, so the
        results of all of them can be sent together. Return True for one more turn, after all cells that are ready now.
        An exception here is a crash, and counts as a crash on the turn's last message.
        """
        return None

    def unhandled(self, message: Any, sender: Address) -> None:
        """Called for a message that this class has no handler for: count it, and log its class name."""
        self._myRef.counters.unhandled += 1
        names = type(self).__name__, type(message).__name__
        times = self.runtime.sampler.take(names)
        if times:
            log.warning("%s has no handler for %s (%d times since the last line)", *names, times)

    @property
    def runtime(self) -> LoopBase:
        """The base that runs this entity."""
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
        """From the next message on, stash all but results (Piped, Answer, Failed) and messages of the classes `also`.

        Timer messages are stashed too; exit requests are not. A second `hold` replaces the first.
        """
        self._myRef.accepted_while_stashing = RESULTS.union(also)

    def release(self) -> None:
        """End a `hold`, and put the stashed messages back into the mailbox, in their order, before newer mail."""
        self._myRef.accepted_while_stashing = None
        self._myRef.unstash()

    def refuse_stashed(self, kind: type, error: GreenroomError) -> None:
        """Answer the stashed messages of this class with an error. The others stay stashed."""
        self._myRef.refuse_stashed(kind, error)

    def end(self) -> NoReturn:
        """End this incarnation from within a handler. The next message wakes a new one. This is not a crash: it does
        not count towards a quarantine.
        """
        raise IncarnationEnded

    def pipe(self, awaitable: Awaitable[Any], tag: Any = None, *, eager: bool = True) -> None:
        """Await `awaitable` while this actor continues. It gets the result as one `Piped(tag, value, error)`.

        If this incarnation has ended by then, the result is dropped; the awaitable itself still runs to its end. A
        coroutine runs at once, up to its first suspension and with no current task. A coroutine that needs a task
        before it first suspends (`asyncio.timeout`, httpx) must be given with `eager=False`.
        """
        self._myRef.pipe(awaitable, tag, eager=eager)

    def receiveMsg_Ping(self, message: Ping, sender: Address) -> None:
        """Answer the ping. The answer means that this entity has loaded."""
        self.send(sender, Answer(message.ref))

    def receiveMessage(self, msg: Any, sender: Address) -> None:
        """Thespian's entry point. The cell does not use it; it looks up the handler itself."""
        self._handlers[type(msg)](self, msg, sender)
