"""Fixed children: the actors that run as long as the engine runs, their order, and what happens when one ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.cell import VacantCell
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Ping, Piped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from thespian.actors import Actor, ChildActorExited

    from greenroom.actors.errors import Quarantined
    from greenroom.actors.runtime.cell import Mail
    from greenroom.actors.runtime.entity_cell import EntityCell

__all__ = ["ChildSpec", "Supervisor"]

log = logging.getLogger("greenroom.actors.runtime")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One fixed child. It should be an `Entity`, because an exception never ends a plain actor."""

    name: str
    factory: Callable[[], Actor]
    restart: Literal["always", "never"] = field(default="always", kw_only=True)
    """Whether it is restarted when it ends, with or without a crash."""
    intensity: tuple[int, float] = field(default=(3, 60.0), kw_only=True)
    """(restarts, seconds): at most this many restarts within this time. After one more, the supervisor fails."""
    shutdown_s: float = field(default=5.0, kw_only=True)
    """Seconds that its `on_stop` may take. After that it is killed."""
    start_s: float = field(default=30.0, kw_only=True)
    """Seconds that it may take to load. After that it is killed, which counts as a crash."""

    @property
    def address(self) -> Address:
        """Its address, which is the same for each incarnation."""
        return Address("fixed", self.name)


class Supervisor(Entity):
    """Starts its children in order, each once the one before it has loaded (has answered a `Ping`). Restarts a child
    that has ended; the new incarnation gets the unread mail of the former one. Stops the children in reverse order.

    If a child exceeds its intensity, the supervisor fails: it stops the other children and ends, its parent gets
    `ChildActorExited`, and `on_failure(reason)` is called. `on_ready()` is called once, when all children have loaded.
    """

    def __init__(
        self,
        children: Iterable[ChildSpec],
        *,
        on_ready: Callable[[], None] | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        self._specs = {spec.address: spec for spec in children}
        self._to_start = deque(self._specs.values())
        self._starting: ChildSpec | None = None
        self._started: list[ChildSpec] = []
        self._restarts: dict[Address, deque[float]] = {}
        self.restarts = {spec.name: 0 for spec in self._specs.values()}
        """Number of restarts since this supervisor started, by the child's name."""
        self._on_ready = on_ready
        self._on_failure = on_failure
        self._failure_reason = ""
        self._stopping = False

    def on_start(self) -> None:
        self._start_next()

    def may_sleep(self) -> bool:
        return False

    def _start_next(self) -> None:
        self._starting = None
        if self._to_start:
            self._starting = self._to_start.popleft()
            self._started.append(self._starting)
            self._launch(self._starting)
        elif self._on_ready is not None:
            self._on_ready()
            self._on_ready = None

    def _launch(self, spec: ChildSpec) -> None:
        runtime = self.runtime
        try:
            runtime.spawn(spec.address, spec.factory, parent=self.myAddress, keeper=self)
        except Exception as error:
            self._ended(spec, error)
        else:
            if isinstance(runtime.cells[spec.address], type(self._myRef)):
                self.pipe(runtime.ask(spec.address, Ping(), timeout_s=spec.start_s), tag=spec)
            else:
                self._loaded(spec)

    def _loaded(self, spec: ChildSpec) -> None:
        if self._starting is spec:
            self._start_next()

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        """Handle the result of a child's ping: the child has loaded, or did not load in time."""
        spec: ChildSpec = message.tag
        if self._stopping:
            return
        if message.error is None:
            self._loaded(spec)
        elif self._starting is spec:
            log.error("%s did not start in time", spec.name)
            self.runtime.kill(spec.address)

    def receiveMsg_ChildActorExited(self, message: ChildActorExited, sender: Address) -> None:
        """Handle the end of a child."""
        spec = self._specs.get(message.childAddress)
        if spec is not None and not self._stopping:
            self._ended(spec, getattr(message, "error", None))

    def _ended(self, spec: ChildSpec, error: BaseException | None) -> None:
        how = "ended" if error is None else f"crashed with {type(error).__name__}"
        if spec.restart == "never":
            self.runtime.vacate(spec.address)
            self._started.remove(spec)
            log.error("%s %s and is not restarted", spec.name, how)
            self._loaded(spec)
            return
        most, within_s = spec.intensity
        now = self.runtime.loop.time()
        times = self._restarts.setdefault(spec.address, deque())
        while times and times[0] <= now - within_s:
            times.popleft()
        times.append(now)
        if len(times) > most:
            self.fail(f"{spec.name} {how}, {len(times)} times within {within_s:g} s")
            return
        self.restarts[spec.name] += 1
        log.error("%s %s; restarted", spec.name, how)
        self._launch(spec)

    def fail(self, reason: str) -> None:
        """Stop all children and end. A child's owner calls it for a problem that no restart can solve. Until all
        children have loaded it is not logged, because the caller that waits for this is given the reason."""
        self._stopping = True
        self._failure_reason = reason
        if self._on_ready is None:
            log.critical("supervisor %s failed: %s", self.myAddress, reason)
        self.runtime.stop(self.myAddress)

    def on_stop(self) -> Awaitable[None]:
        self._stopping = True
        return self._stop_children()

    async def _stop_children(self) -> None:
        runtime = self.runtime
        for spec in reversed(self._started):
            runtime.stop(spec.address)
            ended = runtime.when_ended(spec.address)
            if not ended.done():
                await asyncio.wait([ended], timeout=spec.shutdown_s)
                if not ended.done():
                    log.error("%s did not stop within %g s and is killed", spec.name, spec.shutdown_s)
                    runtime.kill(spec.address)
            runtime.vacate(spec.address)
        if self._failure_reason and self._on_failure is not None:
            self._on_failure(self._failure_reason)

    def on_crash(self, error: BaseException) -> None:
        """A crash of the supervisor itself is a failure as well. Its end stops its children."""
        self._stopping = True
        if self._on_failure is not None:
            self._on_failure(f"supervisor crashed with {type(error).__name__}")

    # The supervisor is the Keeper of its children's addresses.

    def forget(self, cell: EntityCell) -> None:
        """Nothing to do: the supervisor keeps the spec of each child."""

    def note_crash(self, cell: EntityCell) -> Quarantined | None:
        """Nothing to do: the restart is counted when `ChildActorExited` arrives."""
        return None

    def keep(self, address: Address, mail: Mail) -> None:
        """Nothing to do: the next incarnation starts at once, and `resume` gets all mail."""

    def resume(self, address: Address, mail: deque[Mail]) -> None:
        """Keep the mail for the next incarnation, unless there will be none."""
        runtime = self.runtime
        if self._stopping or self._specs[address].restart == "never":
            runtime.send_to_dead_letters(address, mail)
        else:
            counters = runtime.counters_of(Supervisor)
            runtime.cells[address] = VacantCell(runtime, address, counters, mail)
