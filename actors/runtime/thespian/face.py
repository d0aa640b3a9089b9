"""Thespian's names for what a system base does, on top of what `Outside` does for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.cell import Cell
    from greenroom.actors.runtime.thespian.outside import Outside

__all__ = ["ThespianFace"]


class ThespianFace:
    """What `ActorSystem` calls on its base beyond `tell`, `ask` and `shutdown`. Safe from any thread, except
    for dead letters, which actors ask for themselves.
    """

    cells: dict[Address, Cell]
    outside: Outside
    _dead_letters: Address | None

    @property
    def actorRegistry(self) -> dict[Address, Cell]:
        """Address (or its string) to cell."""
        return self.cells

    def newPrimaryActor(
        self, actorClass: Any, targetActorRequirements: Any, globalName: str | None, sourceHash: str | None
    ) -> Address:
        """A top-level actor."""
        return self.outside.create_primary(actorClass, targetActorRequirements, globalName, sourceHash)

    def listen(self, timeout: Any = None) -> Any:
        """Wait, on another thread, for a message that an actor sends to whoever is outside."""
        return self.outside.listen(timeout)

    def external_clone(self) -> Any:
        """An outside address of its own, for one thread."""
        return self.outside.clone()

    def _handleDeadLetters(self, address: Address, enable: bool) -> None:
        if enable:
            self._dead_letters = address
        elif self._dead_letters == address:
            self._dead_letters = None

    def updateCapability(self, capabilityName: str, capabilityValue: Any = None) -> None:
        """Change one of the system's capabilities; None removes it."""
        self.outside.update_capability(capabilityName, capabilityValue)

    def loadActorSource(self, fname: Any) -> str:
        """See `sources.Sources`."""
        return self.outside.sources.load(fname)

    def unloadActorSource(self, sourceHash: str) -> None:
        """See `sources.Sources`."""
        self.outside.sources.unload(sourceHash)
