"""Calls of `ActorSystem` and of other threads to the base. No message between actors passes through this code."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import queue
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from thespian.actors import (
    ActorSystemFailure,
    ChildActorExited,
    Thespian_ActorStatus,
    Thespian_StatusReq,
    ThespianGeneration,
    ValidatedSource,
)
from thespian.system import isInternalActorSystemMessage
from thespian.system.sourceLoader import loadModuleFromHashSource
from thespian.system.timing import timePeriodSeconds
from thespian.system.utilis import actualActorClass, withPossibleInitArgs

from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.plain import SinkCell
from greenroom.actors.runtime.thespian.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.runtime.cell import Cell

__all__ = ["Listener", "Outside"]

log = logging.getLogger("greenroom.actors.runtime")

T = TypeVar("T")


class Listener:
    """An address for a thread other than the loop's. Messages to it are put into a queue."""

    def __init__(self, outside: Outside, address: Address) -> None:
        self._outside = outside
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.address = address
        base = outside.base
        base.cells[address] = SinkCell(base, address, base.counters_of(Listener), self._accept)

    def _accept(self, sender: Address, message: Any) -> None:
        if not isInternalActorSystemMessage(message):
            self._queue.put(message)

    def tell(self, target: Address, message: Any) -> None:
        """Send from this address, from any thread."""
        self._outside.post(self.address, target, message)

    def ask(self, target: Address, message: Any, timeout: Any = None) -> Any:
        """Send, and wait for the next message to this address."""
        self._outside.refuse_on_loop()
        self.tell(target, message)
        return self.listen(timeout)

    def listen(self, timeout: Any = None) -> Any:
        """Wait for the next message to this address. None if there was no message in time."""
        self._outside.refuse_on_loop()
        try:
            return self._queue.get(timeout=None if timeout is None else max(0.0, timePeriodSeconds(timeout)))
        except queue.Empty:
            return None

    def newPrimaryActor(self, *args: Any) -> Address:
        """Create a top-level actor."""
        return self._outside.create_primary(*args)

    def exit_context(self) -> None:
        """Remove the address."""
        self._outside.call(lambda: self._outside.base.cells.pop(self.address, None))


class Outside:
    """Creates actors by class, keeps global names and capabilities, and sends messages for other threads."""

    def __init__(self, base: LoopBase, logDefs: Any) -> None:
        self.base = base
        self.sources = Sources(self)
        self.capabilities: dict[str, Any] = {}
        self._names: dict[str, Address] = {}
        self._bad_actor = Address("system", "bad")
        base.cells[self._bad_actor] = SinkCell(
            base, self._bad_actor, base.counters_of(Listener), lambda sender, message: None
        )
        self._listener = Listener(self, Address("system", "external"))
        if logDefs:
            from logging.config import dictConfig

            dictConfig(logDefs)

    def bind(self, system: Any) -> None:
        """Connect to the `ActorSystem` that uses this base: share its capabilities, and set its address."""
        self.capabilities = system.capabilities
        system.systemAddress = self.base.system_address
        self.capabilities.update(
            {
                "Python Version": tuple(sys.version_info),
                "Thespian Generation": ThespianGeneration,
                "Thespian Version": "0",
                "Thespian ActorSystem Name": "greenroom",
                "Thespian ActorSystem Version": 2,
                "Thespian Watch Supported": False,
                "AllowRemoteActorSources": "No",
            }
        )

    # Calls from other threads.

    def on_loop(self) -> bool:
        """Whether this is the loop's own thread, with the loop running."""
        try:
            return asyncio.get_running_loop() is self.base.loop
        except RuntimeError:
            return False

    def refuse_on_loop(self) -> None:
        """Raise RuntimeError on the loop's own thread, where a blocking wait would never return."""
        if self.on_loop():
            raise RuntimeError("a blocking ask or listen on the loop's own thread would never return")

    def call(self, function: Callable[[], T]) -> T:
        """Run `function` on the loop and return its result, from any thread."""
        if self.on_loop() or not self.base.loop.is_running():
            return function()
        result: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                result.set_result(function())
            except BaseException as error:
                result.set_exception(error)

        self.base.loop.call_soon_threadsafe(run)
        return self._wait(result)

    def _wait(self, result: concurrent.futures.Future[T]) -> T:
        """Wait for the result from the loop. Raises ActorSystemFailure if the loop ends without a result."""
        while not result.done():
            concurrent.futures.wait([result], timeout=0.2)
            if self.base.loop.is_closed() and not result.done():
                raise ActorSystemFailure("the actor system has shut down")
        return result.result()

    def post(self, sender: Address, target: Address, message: Any) -> None:
        """Send from any thread. Once the loop has closed, the message is dropped."""
        if self.base.loop.is_closed():
            return
        self.base.loop.call_soon_threadsafe(self.base.send, sender, target, message)

    def tell(self, target: Address, message: Any) -> None:
        """Send from any thread, with the outside listener as the sender."""
        self._listener.tell(target, message)

    def ask(self, target: Address, message: Any, timeout: Any) -> Any:
        """Thespian's blocking ask."""
        return self._listener.ask(target, message, timeout)

    def listen(self, timeout: Any) -> Any:
        """Thespian's blocking listen."""
        return self._listener.listen(timeout)

    def clone(self) -> Listener:
        """A new listener, for one thread."""
        return self.call(lambda: Listener(self, Address("system", f"external-{self.base.next_number()}")))

    def shutdown(self, grace_s: float) -> Any:
        """Shut the base down from another thread, or after its loop has stopped."""
        base = self.base
        if base.loop.is_running():
            with contextlib.suppress(ActorSystemFailure):  # An actor has already requested the shutdown.
                self._wait(asyncio.run_coroutine_threadsafe(self._shut_down(grace_s), base.loop))
            return None
        if not base.loop.is_closed() and not base.shutting_down:
            base.loop.run_until_complete(base._shut_down(grace_s))
        return None

    async def _shut_down(self, grace_s: float) -> None:
        await self.base.begin_shutdown(grace_s)

    def receive(self, sender: Address, message: Any) -> None:
        """Handle a message to the system itself."""
        if isinstance(message, ValidatedSource):
            self.sources.validated(message.sourceHash, message.sourceZip)
        elif isinstance(message, Thespian_StatusReq):
            address = self.base.system_address
            self.base.send(address, sender, Thespian_ActorStatus(address, "ActorSystem", address))

    # Creation.

    def create_primary(
        self, actor_class: Any, requirements: Any, global_name: str | None, source_hash: str | None
    ) -> Address:
        """Create a top-level actor. Raises the errors of its constructor."""

        def create() -> Address:
            if global_name and global_name in self._names:
                return self._names[global_name]
            actor = self._make(actor_class, requirements, source_hash)
            if actor is None:
                return self._bad_actor
            return self._place(actor, self.base.system_address, global_name, source_hash)

        return self.call(create)

    def create_child(
        self,
        parent: Cell,
        actor_class: Any,
        requirements: Any,
        global_name: str | None,
        source_hash: str | None,
    ) -> Address:
        """Create a child. If its constructor fails, the parent gets `ChildActorExited`."""
        if global_name and global_name in self._names:
            return self._names[global_name]
        source_hash = source_hash or self.sources.source_of(parent.address)
        try:
            actor = self._make(actor_class, requirements, source_hash)
        except ImportError:
            raise
        except Exception as error:
            log.warning("no %s was created: %s", actor_class, type(error).__name__)
            actor = None
        if actor is not None:
            return self._place(actor, parent.address, global_name, source_hash)
        address = self._new_address()
        self.base.send(self.base.system_address, parent.address, ChildActorExited(address))
        return address

    def _make(self, actor_class: Any, requirements: Any, source_hash: str | None) -> Any:
        loader = (
            functools.partial(loadModuleFromHashSource, source_hash, self.sources.sources)
            if source_hash
            else None
        )
        actor_class = actualActorClass(actor_class, loader)
        check = getattr(actor_class, "actorSystemCapabilityCheck", None)
        if check is not None and not check(self.capabilities, requirements or {}):
            return None
        return withPossibleInitArgs(capabilities=self.capabilities, requirements=requirements).create(
            actor_class
        )

    def _place(
        self, actor: Any, parent: Address, global_name: str | None, source_hash: str | None
    ) -> Address:
        address = self.base.spawn(self._new_address(), lambda: actor, parent=parent)
        if global_name:
            self._names[global_name] = address
        if source_hash:
            self.sources.note(address, source_hash)
        return address

    def _new_address(self) -> Address:
        return Address("actor", str(self.base.next_number()))

    def name_of(self, address: Address) -> str | None:
        """The global name of an address."""
        return next((name for name, each in self._names.items() if each == address), None)

    def forget(self, address: Address) -> None:
        """Forget an address whose actor has ended."""
        if self._names and (name := self.name_of(address)) is not None:
            del self._names[name]
        self.sources.forget(address)

    def update_capability(self, name: str, value: Any) -> None:
        """Change a capability. None removes it."""
        if value is None:
            self.capabilities.pop(name, None)
        else:
            self.capabilities[name] = value
