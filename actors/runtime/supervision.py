"""Fixed children: the actors that run for as long as the engine runs, their order, and what happens when one dies."""

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
    """What to do when it ends, with or without a crash."""
    intensity: tuple[int, float] = field(default=(3, 60.0), kw_only=True)
    """At most so many restarts within so many seconds. After one more the supervisor falls."""
    shutdown_s: float = field(default=5.0, kw_only=True)
    """Seconds that its `on_stop` may take before it is killed."""
    start_s: float = field(default=30.0, kw_only=True)
    """Seconds that it may take to load. Then it is killed, which counts as a crash."""

    @property
    def address(self) -> Address:
        """Its address, which is the same in each of its lives."""
        return Address("fixed", self.name)


class Supervisor(Entity):
    """Starts its children in order, each once the one before has loaded (has answered a `Ping`). Restarts a child that
    ended; the new life gets the mail of the former one. Stops the children in reverse order.

    Past a child's intensity the supervisor falls: it stops the others and ends, its parent gets `ChildActorExited`,
    and `on_fall(reason)` is called. `on_ready()` is called once, when all children have loaded.
    """

    def __init__(
        self,
        children: Iterable[ChildSpec],
        *,
        on_ready: Callable[[], None] | None = None,
        on_fall: Callable[[str], None] | None = None,
    ) -> None:
        self._specs = {spec.address: spec for spec in children}
        self._to_start = deque(self._specs.values())
        self._starting: ChildSpec | None = None
        self._started: list[ChildSpec] = []
        self._restarts: dict[Address, deque[float]] = {}
        self.restarts = {spec.name: 0 for spec in self._specs.values()}
        """Number of restarts by child, since this supervisor began."""
        self._on_ready = on_ready
        self._on_fall = on_fall
        self._fall_reason = ""
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
        """A child has loaded, or did not load in time."""
        spec: ChildSpec = message.tag
        if self._stopping:
            return
        if message.error is None:
            self._loaded(spec)
        elif self._starting is spec:
            log.error("%s did not start in time", spec.name)
            self.runtime.kill(spec.address)

    def receiveMsg_ChildActorExited(self, message: ChildActorExited, sender: Address) -> None:
        """A child has ended."""
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
            self._fall(f"{spec.name} {how}, {len(times)} times within {within_s:g} s")
            return
        self.restarts[spec.name] += 1
        log.error("%s %s; restarted", spec.name, how)
        self._launch(spec)

    def _fall(self, reason: str) -> None:
        self._stopping = True
        self._fall_reason = reason
        log.critical("supervisor %s falls: %s", self.myAddress, reason)
        self.runtime.stop(self.myAddress)

    def on_stop(self) -> Awaitable[None]:
        self._stopping = True
        return self._stop_children()

    async def _stop_children(self) -> None:
        runtime = self.runtime
        for spec in reversed(self._started):
            runtime.stop(spec.address)
            gone = runtime.gone(spec.address)
            if not gone.done():
                await asyncio.wait([gone], timeout=spec.shutdown_s)
                if not gone.done():
                    log.error("%s did not stop within %g s and is killed", spec.name, spec.shutdown_s)
                    runtime.kill(spec.address)
            runtime.vacate(spec.address)
        if self._fall_reason and self._on_fall is not None:
            self._on_fall(self._fall_reason)

    def on_crash(self, error: BaseException) -> None:
        """A bug of the supervisor itself is a fall as well. Its end stops its children."""
        self._stopping = True
        if self._on_fall is not None:
            self._on_fall(f"supervisor crashed with {type(error).__name__}")

    # The supervisor is the Keeper of its children's addresses.

    def forget(self, cell: EntityCell) -> None:
        """Nothing to do: the spec stays."""

    def note_crash(self, cell: EntityCell) -> Quarantined | None:
        """Nothing to do: restarts are counted when `ChildActorExited` arrives."""
        return None

    def keep(self, address: Address, mail: Mail) -> None:
        """Nothing to do: the next life begins at once, and `resume` gets all mail."""

    def resume(self, address: Address, mail: deque[Mail]) -> None:
        """Keep the mail for the next life, unless there will be none."""
        runtime = self.runtime
        if self._stopping or self._specs[address].restart == "never":
            runtime.send_dead(address, mail)
        else:
            counters = runtime.counters_of(Supervisor)
            runtime.cells[address] = VacantCell(runtime, address, counters, mail)
