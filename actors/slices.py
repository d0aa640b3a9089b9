"""The messages between an entity and its lane. A slice is frozen, and both sides identify it by its number."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from greenroom.actors.items import Item
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.replies import Outcome
from greenroom.persistence.store import (
    AddMessage,
    AddRecords,
    AddUsers,
    BumpVersion,
    DropRows,
    PutRows,
    Refusal,
    SetReadFlags,
    Slice,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from greenroom.actors.errors import GreenroomError
    from greenroom.persistence.store import AnyWrite

__all__ = [
    "AwaitWrites", "CommitSlice", "PendingEffects", "SliceLate", "SliceOutcome", "SliceRefused", "SliceStored",
    "WritesDone", "weight_of",
]  # fmt: skip


class CommitSlice(msgspec.Struct, frozen=True):
    """The decisions of an entity, to be committed together. Answered once, with SliceStored or SliceRefused, to the
    incarnation that is at `owner` by then; SliceLate may be sent before that. An owner has at most one slice in flight.

    The lane carries the items without looking at them: an item may get more askers meanwhile, or its askers may be
    answered early.
    """

    owner: Address
    number: int
    """Unique: the base gives out each number once."""
    decided_at: float
    """When the first item was decided, on the loop's clock."""
    slice: Slice
    """The part that is passed to the store."""
    items: tuple[Item, ...]
    """All items, in order, including those that write nothing."""
    starts: tuple[int, ...]
    """The index of each item's first write."""
    weight: int
    """How much the slice costs the store: the number of its writes, of the rows that they name, and of the KiB of its
    messages."""

    def item_of(self, write: int) -> Item:
        """The item that the write with this index belongs to."""
        return self.items[bisect_right(self.starts, write) - 1]


_LISTS: Final[dict[type[Write], str]] = {
    AddRecords: "owners", AddUsers: "users", BumpVersion: "entries", DropRows: "keys", PutRows: "rows",
    SetReadFlags: "seqs",
}  # fmt: skip
"""The list of each write that has one."""


def weight_of(writes: Sequence[AnyWrite]) -> int:
    """The weight of a slice with these writes."""
    weight = len(writes)
    for write in writes:
        if type(write) is AddMessage:
            weight += len(write.body) >> 10
        elif (name := _LISTS.get(type(write))) is not None:
            weight += len(getattr(write, name))
    return weight


class SliceOutcome(Outcome, frozen=True):
    """The outcome of one slice. If its entity cannot receive it, the askers of the items get an error."""

    number: int
    items: tuple[Item, ...]

    def notify_waiters(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        for item in self.items:
            item.fail(send, error)


class SliceStored(SliceOutcome, frozen=True):
    """The slice is durable: its effects may run."""

    # The pushes must follow, even late: receivers do not know that they have missed one.
    is_redelivered: ClassVar[bool] = True


class PendingEffects(SliceOutcome, frozen=True):
    """From an incarnation that ends to the next one: stored items whose effects have not run yet."""

    is_redelivered: ClassVar[bool] = True


class SliceRefused(SliceOutcome, frozen=True):
    """The slice was refused. As far as the store knows, it is not stored."""

    refusal: Refusal


class SliceLate(SliceOutcome, frozen=True):
    """The slice is overdue. Sent again at each check of the lane; the outcome still follows."""


class AwaitWrites(msgspec.Struct, frozen=True):
    """From a waking entity to its lane, which answers with WritesDone once it has no slice of this entity."""

    owner: Address
    incarnation: int
    """Number of the owner's incarnation. The answer repeats it, and only this incarnation may act on the answer."""


class WritesDone(msgspec.Struct, frozen=True):
    """No slice of the entity is in flight: what it reads from the store is up to date."""

    incarnation: int
