"""Items: the decisions that a slice is made of. Each has writes before the commit and effects after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.actors.effects import Asker, Effect, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from greenroom.actors.errors import GreenroomError
    from greenroom.actors.runtime.address import Address
    from greenroom.persistence.store import Block

__all__ = ["Change", "Item"]


class Item:
    """One decision. `askers` are answered after the commit."""

    def __init__(self, askers: Iterable[Asker] = ()) -> None:
        self.askers = list(askers)

    writes: Sequence[Block] = ()
    """Those that do not depend on the slice; its entity may add others when it seals the slice."""

    def effects(self) -> Iterable[Effect]:
        """What leaves after the commit. Asked for once."""
        return ()

    def lost(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        """It is not stored, or its effects are not run: tell those who wait for it."""
        Reply(self.askers, None).lost(send, error)


class Change(Item):
    """Writes and effects that are known at once."""

    def __init__(
        self, *writes: Block, effects: Iterable[Effect] = (), askers: Iterable[Asker] = (), value: Any = None
    ) -> None:
        super().__init__(askers)
        self.writes = writes
        self.after = tuple(effects)
        self.value = value

    def effects(self) -> Iterable[Effect]:
        return Reply(self.askers, self.value), *self.after

    def lost(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        super().lost(send, error)
        for effect in self.after:
            effect.lost(send, error)
