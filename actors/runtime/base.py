"""LoopBase: a Thespian system base that runs actors on a running asyncio or uvloop loop.

It knows actors, addresses and turns. It knows no sockets, no disk and no chat.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from thespian.actors import (
    ActorAddress,
    ActorExitRequest,
    ChildActorExited,
    DeadEnvelope,
)

from greenroom.actors.errors import ActorAbsent, AskTimeout
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.cell import VacantCell
from greenroom.actors.runtime.counters import ClassStats, Counters
from greenroom.actors.runtime.directory import Directory
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.entity_cell import EntityCell
from greenroom.actors.runtime.plain import PlainCell, ReplyCell, SinkCell
from greenroom.actors.runtime.replies import Failed, Outcome
from greenroom.actors.runtime.sampling import Sampler
from greenroom.actors.runtime.thespian.interface import ThespianInterface
from greenroom.actors.runtime.thespian.outside import Outside

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from thespian.actors import Actor

    from greenroom.actors.runtime.cell import Cell, Mail
    from greenroom.actors.runtime.directory import Quarantine
    from greenroom.actors.runtime.entity_cell import Keeper

__all__ = ["ChildCrashed", "LoopBase"]

log = logging.getLogger("greenroom.actors.runtime")

_TIMED_MESSAGES = 16
"""Number of messages between two looks at the clock."""


class ChildCrashed(ChildActorExited):
    """Tells a parent that a child has crashed with this exception."""

    def __init__(self, child: Address, error: BaseException) -> None:
        super().__init__(child)
        self.error = error


class LoopBase(ThespianInterface):
    """Runs actors. `ActorSystem(LoopBase(loop), transientUnique=True)` puts Thespian's API on top of it.

    Every method must be called on the loop's own thread. Only the methods that Thespian's `ActorSystem` calls (`tell`,
    a blocking `ask`, `listen`, `createActor`) may be called from any thread.

    Order is kept for each pair of sender and target. No message is delivered twice. A message is lost only when there
    is no actor at its address and none can be woken there (dead letters), or at shutdown. A mailbox never refuses a
    message; it logs an alarm when it grows past `mailbox_alarm`.

    An actor handles at most `turn_limit` messages before the next actor gets its turn, and the loop gets its turn
    after `tick_limit` messages, or after `tick_s`: a message that wakes an entity, or that runs the effects of a slice,
    takes much longer than others. So neither an actor nor I/O starves.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        logDefs: Any = None,
        *,
        turn_limit: int = 64,
        tick_limit: int = 512,
        tick_s: float = 0.004,
        mailbox_alarm: int = 10_000,
        on_crash: Callable[[Address, Address | None, BaseException], None] | None = None,
    ) -> None:
        self.loop = loop
        self.turn_limit = turn_limit
        self.tick_limit = tick_limit
        self.tick_s = tick_s
        self.mailbox_alarm = mailbox_alarm
        self.on_crash = on_crash
        """Called after each crash of an entity, with its address, the message's sender (if any) and the error."""
        self.cells: dict[Address, Cell] = {}
        self.ready: deque[Cell] = deque()
        self.scheduled = False
        self.shutting_down = False
        self.now = loop.time()
        self.sampler = Sampler(loop.time)
        """Limits the log lines about events that may happen thousands of times."""
        self._number = 0
        self._counters: dict[type, Counters] = {}
        self._directories: dict[str, Directory] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._dead_letters: Address | None = None
        self._shutdown_task: asyncio.Future[None] | None = None
        self._end_waiters: dict[Address, list[asyncio.Future[None]]] = {}
        """Futures that are done when the actor at an address has ended, by address."""
        self.system_address = Address("system", "")
        self.cells[self.system_address] = SinkCell(
            self, self.system_address, self.counters_of(LoopBase), self._receive
        )
        self.outside = Outside(self, logDefs)

    # Sending.

    def send(self, sender: Address, target: Address, message: Any) -> None:
        """Put `message` into the mailbox of `target`, and wake the entity if necessary. Never fails."""
        try:
            cell = self.cells[target]
        except (KeyError, TypeError):
            self.send_to_missing(sender, target, message)
            return
        mailbox = cell.mailbox
        if mailbox is None:
            mailbox = cell.mailbox = deque()
        mailbox.append((sender, message))
        if not cell.not_schedulable:
            cell.not_schedulable = True
            self.ready.append(cell)
            if not self.scheduled:
                self.schedule()

    def tell(self, target: Address, message: Any) -> None:
        """Send with the system's address as the sender. From another thread, the sender is the outside listener."""
        if self.outside.on_loop():
            self.send(self.system_address, target, message)
        else:
            self.outside.tell(target, message)

    def tell_awake(self, target: Address, message: Any) -> None:
        """Send with the system's address as the sender, but only to an awake actor. Otherwise drop the message."""
        if target in self.cells:
            self.send(self.system_address, target, message)

    def pipe(self, address: Address, awaitable: Awaitable[Any], tag: Any = None) -> None:
        """Call `Entity.pipe` of the entity at `address`, from outside that entity."""
        cell = self.cells[address]
        assert isinstance(cell, EntityCell)
        cell.pipe(awaitable, tag, eager=True)

    def any_awake(self, kind: str) -> bool:
        """Whether any entity of a kind is awake."""
        return self._directories[kind].awake_count > 0

    def tell_all_awake(self, kind: str, message: Any) -> None:
        """Send to all awake entities of a kind. It costs O(number awake)."""
        for cell in self._directories[kind].awake():
            cell.put(self.system_address, message)

    def send_to_missing(self, sender: Address, target: Address, message: Any) -> None:
        """The slow path of `send`: no actor is at the address. Wake the entity, or make the message a dead letter."""
        if not isinstance(target, Address):
            plain: Any = target
            details = str(plain.addressDetails) if isinstance(plain, ActorAddress) else str(plain)
            kind, _, id_ = details.partition(":")
            target = Address(kind, id_)
            if target in self.cells:
                self.send(sender, target, message)
                return
        kind = target.kind
        directory = self._directories.get(kind) if not self.shutting_down else None
        if directory is not None:
            directory.receive(sender, target, message)
        elif kind != "ask":
            self.send_to_dead_letters(target, ((sender, message),))

    def send_to_dead_letters(self, target: Address, mail: Iterable[Mail] | None) -> None:
        """Give messages to an address without an actor to the dead-letter handler. Their `ask`s fail at once."""
        for sender, message in mail or ():
            if isinstance(message, Outcome):
                message.notify_waiters(partial(self.send, target), ActorAbsent(str(target)))
            if isinstance(sender, Address) and sender.kind == "ask":
                self.send(target, sender, Failed(getattr(message, "ref", None), ActorAbsent(str(target))))
            if self._dead_letters is not None and not isinstance(message, DeadEnvelope):
                self.send(sender, self._dead_letters, DeadEnvelope(target, message))

    @overload
    def ask(
        self, target: Address, message: Any, *, timeout_s: float | None = None
    ) -> asyncio.Future[Any]: ...
    @overload
    def ask(self, target: Address, message: Any, timeout: Any, /) -> Any: ...
    def ask(self, target: Address, message: Any, *blocking: Any, timeout_s: float | None = None) -> Any:
        """Send from a temporary address. The first message to that address is the future's result.

        The future raises the error of a `Failed`, `AskTimeout` when there is no answer within `timeout_s`, and
        `ActorAbsent` when there is no actor at the address. Late answers are dropped. With a third positional argument
        this is Thespian's blocking ask, for other threads; on the loop's own thread it raises `RuntimeError` at once.
        """
        if blocking:
            return self.outside.ask(target, message, blocking[0])
        future: asyncio.Future[Any] = self.loop.create_future()
        address = Address("ask", str(self.next_number()))
        self.cells[address] = ReplyCell(self, address, self.counters_of(asyncio.Future), future)
        timer = None
        if timeout_s is not None:
            timer = self.loop.call_later(timeout_s, self._ask_timed_out, future)

        def end(_: asyncio.Future[Any]) -> None:
            self.cells.pop(address, None)
            if timer is not None:
                timer.cancel()

        future.add_done_callback(end)
        self.send(address, target, message)
        return future

    @staticmethod
    def _ask_timed_out(future: asyncio.Future[Any]) -> None:
        if not future.done():
            future.set_exception(AskTimeout())

    # The life cycle of actors.

    def spawn(
        self,
        address: Address,
        factory: Callable[[], Actor],
        *,
        parent: Address | None = None,
        keeper: Keeper | None = None,
    ) -> Address:
        """Create an actor at `address` now. Raises the factory's errors, and ValueError if the address is taken.

        A plain actor starts at once, an `Entity` in its first turn. A crash ends an entity: its parent gets
        `ChildCrashed`, and its `keeper`, if there is one, gets the unread mail.
        """
        existing = self.cells.get(address)
        if existing is not None and not isinstance(existing, VacantCell):
            raise ValueError(f"{address} is taken")
        actor = factory()
        counters = self.counters_of(type(actor))
        if isinstance(actor, Entity):
            cell: Cell = EntityCell(self, address, lambda _: actor, counters, keeper, parent)
            self.cells[address] = cell
            cell.mailbox = existing.mailbox if existing is not None else None
            cell.make_ready()
        else:
            cell = actor._myRef = PlainCell(self, address, actor, counters, parent)
            counters.wakes += 1
            self.cells[address] = cell
            for mail in (existing.mailbox if existing is not None else None) or ():
                cell.put(*mail)
        if parent is not None and (parent_cell := self.cells.get(parent)) is not None:
            if parent_cell.children is None:
                parent_cell.children = {}
            parent_cell.children[address] = None
        return address

    def stop(self, address: Address) -> None:
        """End the actor at `address` once it has handled the mail in its mailbox. Does nothing if none is awake."""
        cell = self.cells.get(address)
        if cell is not None:
            cell.put(self.system_address, ActorExitRequest())

    def kill(self, address: Address) -> None:
        """End the actor at `address` at once, without calling its `on_stop`. Its mail becomes dead letters."""
        cell = self.cells.get(address)
        if cell is not None:
            mail = list(cell.mailbox or ())
            if isinstance(cell, EntityCell):
                pending = cell.pending_mail()
                mail = [*pending, *(cell.stashed or ()), *mail]
                cell.factory = cell.stashed = None
                if cell.keeper is not None:
                    cell.keeper.forget(cell)
            if cell.mailbox is not None:
                cell.mailbox.clear()
            self.remove_cell(cell)
            self.send_to_dead_letters(address, mail)

    def when_ended(self, address: Address) -> asyncio.Future[None]:
        """A future that is done when the actor at the address has ended, or at once if there is none."""
        future: asyncio.Future[None] = self.loop.create_future()
        cell = self.cells.get(address)
        if cell is None or isinstance(cell, VacantCell):
            future.set_result(None)
        else:
            self._end_waiters.setdefault(address, []).append(future)
        return future

    async def stop_all(self, kind: str, *, timeout_s: float | None = None) -> None:
        """Stop all awake entities of a kind, and wait until they have ended. Messages still wake new ones."""
        addresses = [cell.address for cell in self._directories[kind].awake()]
        for address in addresses:
            self.stop(address)
        if addresses:
            await asyncio.wait([self.when_ended(address) for address in addresses], timeout=timeout_s)

    def vacate(self, address: Address) -> None:
        """Free an address whose actor will not be restarted. Its mail becomes dead letters."""
        cell = self.cells.get(address)
        if isinstance(cell, VacantCell):
            del self.cells[address]
            self.send_to_dead_letters(address, cell.mailbox)

    def remove_cell(self, cell: Cell, *, error: BaseException | None = None, recursive: bool = True) -> None:
        """Remove a cell from the base, ask its children to exit, and notify its parent. It costs O(children)."""
        address = cell.address
        self.cells.pop(address, None)
        if cell.actor is not None:
            cell.counters.ends += 1
        cell.actor = None
        cell.not_schedulable = True  # It gets no more turns.
        cell.cancel_timers()
        self.outside.forget(address)
        if self._end_waiters:
            for future in self._end_waiters.pop(address, ()):
                if not future.done():
                    future.set_result(None)
        if self._dead_letters == address:
            self._dead_letters = None
        if cell.children and recursive:
            for child in cell.children:
                self.stop(child)
        if cell.parent is not None and (parent := self.cells.get(cell.parent)) is not None:
            if parent.children is not None:
                parent.children.pop(address, None)
            exited = ChildActorExited(address) if error is None else ChildCrashed(address, error)
            self.send(self.system_address, cell.parent, exited)

    # Directory.

    def register_kind(
        self,
        kind: str,
        factory: Callable[[str], Entity],
        *,
        idle_timeout_s: float | None,
        crash_limit: int = 3,
        crash_window_s: float = 10.0,
        quarantine_s: float = 1.0,
        quarantine_max_s: float = 60.0,
    ) -> None:
        """From now on, a message to an `Address(kind, id)` that is not awake wakes an entity, made by `factory(id)`.

        With `idle_timeout_s`, an idle entity without mail, stash or pipe is put to sleep if `may_sleep` allows it. An
        entity that crashes `crash_limit` times within `crash_window_s` is put into quarantine: its senders get
        `Failed(Quarantined)`. The first quarantine lasts `quarantine_s`; each further one is twice as long, at most
        `quarantine_max_s`.
        """
        if ":" in kind or kind in self._directories:
            raise ValueError(f"kind {kind!r} is not valid, or already registered")
        self._directories[kind] = Directory(
            self,
            kind,
            factory,
            counters=self.counters_of(Entity),
            idle_timeout_s=idle_timeout_s,
            crash_limit=crash_limit,
            crash_window_s=crash_window_s,
            quarantine_s=quarantine_s,
            quarantine_max_s=quarantine_max_s,
        )

    def awake(self, address: Address) -> bool:
        """Whether there is an actor at the address now."""
        return address in self.cells

    def awake_count(self, kind: str) -> int:
        """Number of entities of a kind that are awake now."""
        return self._directories[kind].awake_count

    def quarantined(self) -> list[Address]:
        """The addresses of all entities that are in quarantine now."""
        return [quarantine.address for quarantine in self.quarantines()]

    def quarantines(self) -> list[Quarantine]:
        """The current quarantines, with their causes. It costs O(entities that have crashed recently)."""
        return [quarantine for each in self._directories.values() for quarantine in each.quarantines()]

    # Counters and small services of the cells.

    def stats(self) -> dict[str, ClassStats]:
        """A snapshot of the counters of each actor class, by class name."""
        return {counters.name: counters.snapshot() for counters in self._counters.values()}

    def counters_of(self, actor_class: type) -> Counters:
        """The current counters of one actor class."""
        counters = self._counters.get(actor_class)
        if counters is None:
            counters = self._counters[actor_class] = Counters(actor_class.__name__, self.mailbox_alarm)
        return counters

    def next_number(self) -> int:
        """A number that this base has never returned before."""
        self._number += 1
        return self._number

    def start_task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task. The base keeps it until it is done, and cancels it at shutdown."""
        task = self.loop.create_task(coroutine)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    # Turns.

    def schedule(self) -> None:
        """Run the ready queue in the loop's next iteration."""
        self.scheduled = True
        self.loop.call_soon(self._run)

    def _run(self) -> None:
        self.now = self.loop.time()
        ready = self.ready
        limit = self.turn_limit
        remaining = self.tick_limit
        timed_at = remaining - _TIMED_MESSAGES
        try:
            while ready and remaining > 0:
                cell = ready.popleft()
                remaining -= cell.turn(limit)
                if remaining <= timed_at:
                    timed_at = remaining - _TIMED_MESSAGES
                    if self.loop.time() - self.now > self.tick_s:
                        break
        except BaseException:
            # Not a crash of an actor, because crashes are caught. The process was asked to exit while a handler ran.
            cell.end_turn()
            raise
        finally:
            if ready:
                self.loop.call_soon(self._run)
            else:
                self.scheduled = False

    def _receive(self, sender: Address, message: Any) -> None:
        """Handle a message to the system's own address."""
        self.outside.receive(sender, message)

    # Shutdown.

    def shutdown(self, *, grace_s: float = 5.0) -> asyncio.Future[None]:
        """Stop every actor, then cancel the tasks that still run. From now on, no actor is woken.

        On the loop, this returns a future to await. From another thread, it blocks until the shutdown is done.
        Actors that do not end within `grace_s` are killed.
        """
        if not self.outside.on_loop():
            done: Any = self.outside.shutdown(grace_s)
            return done  # type: ignore[no-any-return]
        return self.begin_shutdown(grace_s)

    def begin_shutdown(self, grace_s: float) -> asyncio.Future[None]:
        """Start the shutdown of this base unless it has already started, and return its task."""
        if self._shutdown_task is None:
            self._shutdown_task = self.loop.create_task(self._shut_down(grace_s))
        return self._shutdown_task

    async def _shut_down(self, grace_s: float) -> None:
        self.stop_everything()
        deadline = self.loop.time() + grace_s
        while (running := self.running()) and (remaining_s := deadline - self.loop.time()) > 0:
            await asyncio.wait([self.when_ended(address) for address in running], timeout=remaining_s)
        self.kill_remaining()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop_everything(self) -> None:
        """The first half of a shutdown: no actor is woken any more, and every actor is asked to stop."""
        self.shutting_down = True
        for directory in self._directories.values():
            directory.close()
        for address, cell in list(self.cells.items()):
            # Each parent stops its own children, in the order that it needs.
            if isinstance(cell, (PlainCell, EntityCell)) and cell.parent in (None, self.system_address):
                self.stop(address)

    def running(self) -> list[Address]:
        """The addresses of all actors that have not ended."""
        return [a for a, cell in self.cells.items() if isinstance(cell, (PlainCell, EntityCell))]

    def kill_remaining(self) -> None:
        """The second half of a shutdown: kill the actors that have not ended, and fail all pending asks."""
        for address, cell in list(self.cells.items()):
            if isinstance(cell, ReplyCell):
                if not cell.future.done():
                    cell.future.set_exception(ActorAbsent("shut down"))
            elif isinstance(cell, (PlainCell, EntityCell)):
                log.warning("%s did not stop in time", address)
                self.kill(address)
        for task in self._tasks:
            task.cancel()
        self.outside.sources.close()
