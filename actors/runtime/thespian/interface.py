"""The methods that Thespian calls on a system base, by Thespian's names. `Outside` does their work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.cell import Cell
    from greenroom.actors.runtime.thespian.outside import Outside

__all__ = ["ThespianInterface"]


class ThespianInterface:
    """The methods that `ActorSystem` calls on its base, except `tell`, `ask` and `shutdown`. Any thread may call them;
    only `_handleDeadLetters` is for actors alone.
    """

    cells: dict[Address, Cell]
    outside: Outside
    _dead_letters: Address | None

    @property
    def actorRegistry(self) -> dict[Address, Cell]:
        """The cells by address. The string of an address finds its cell as well."""
        return self.cells

    def newPrimaryActor(
        self, actorClass: Any, targetActorRequirements: Any, globalName: str | None, sourceHash: str | None
    ) -> Address:
        """Create a top-level actor."""
        return self.outside.create_primary(actorClass, targetActorRequirements, globalName, sourceHash)

    def listen(self, timeout: Any = None) -> Any:
        """Wait on another thread for a message from an actor to the outside listener."""
        return self.outside.listen(timeout)

    def external_clone(self) -> Any:
        """A new outside listener, for one thread."""
        return self.outside.clone()

    def _handleDeadLetters(self, address: Address, enable: bool) -> None:
        if enable:
            self._dead_letters = address
        elif self._dead_letters == address:
            self._dead_letters = None

    def updateCapability(self, capabilityName: str, capabilityValue: Any = None) -> None:
        """Change one of the system's capabilities. None removes it."""
        self.outside.update_capability(capabilityName, capabilityValue)

    def loadActorSource(self, fname: Any) -> str:
        """See `sources.Sources`."""
        return self.outside.sources.load(fname)

    def unloadActorSource(self, sourceHash: str) -> None:
        """See `sources.Sources`."""
        self.outside.sources.unload(sourceHash)
