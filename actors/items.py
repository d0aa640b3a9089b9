"""Items: the decisions that a slice consists of. Each has writes to commit, and effects that run after the commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.actors.effects import Asker, Effect, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from greenroom.actors.errors import GreenroomError
    from greenroom.actors.runtime.address import Address
    from greenroom.persistence.store import AnyWrite

__all__ = ["Change", "Item"]


class Item:
    """One decision. `askers` are answered after the commit."""

    def __init__(self, askers: Iterable[Asker] = ()) -> None:
        self.askers = list(askers)

    writes: Sequence[AnyWrite] = ()
    """The writes that do not depend on the slice. The entity may add others when it seals the slice."""

    def effects(self) -> Iterable[Effect]:
        """The effects to run after the commit. Called once."""
        return ()

    def fail(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        """Answer the askers with an error, because the item is not stored or its effects are not run."""
        Reply(self.askers, None).fail(send, error)


class Change(Item):
    """An item whose writes and effects are known when it is decided."""

    def __init__(
        self, *writes: AnyWrite, effects: Iterable[Effect] = (), askers: Iterable[Asker] = (), value: Any = None
    ) -> None:
        super().__init__(askers)
        self.writes = writes
        self._effects = tuple(effects)
        self.value = value

    def effects(self) -> Iterable[Effect]:
        return Reply(self.askers, self.value), *self._effects

    def fail(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        super().fail(send, error)
        for effect in self._effects:
            effect.fail(send, error)
