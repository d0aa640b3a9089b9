"""What an entity and its lane say to each other. A slice is frozen, and both know it by its number."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from greenroom.actors.items import Item
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.replies import Outcome
from greenroom.persistence.store import Refusal, Slice

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.actors.errors import GreenroomError

__all__ = [
    "AwaitWrites", "CommitSlice", "EffectsLeft", "SliceLate", "SliceOutcome", "SliceRefused", "SliceStored",
    "WritesDone",
]  # fmt: skip


class CommitSlice(msgspec.Struct, frozen=True):
    """What an entity has decided, to be committed as one. Answered once, by SliceStored or SliceRefused, to the life
    that is at `owner` then; SliceLate may come before. An owner has one slice in flight at most.

    The lane carries the items and never looks at them: those who wait for an item may become more, or be told early.
    """

    owner: Address
    number: int
    """Given out once in the life of the base."""
    since: float
    """When its first item was decided, on the loop's clock."""
    slice: Slice
    """What the store is given."""
    items: tuple[Item, ...]
    """In order; also those that write nothing."""
    starts: tuple[int, ...]
    """Where the writes of each item begin."""

    def item_of(self, write: int) -> Item:
        """The item that one of the writes came from."""
        return self.items[bisect_right(self.starts, write) - 1]


class SliceOutcome(Outcome, frozen=True):
    """Of one slice. When its entity cannot take it, those who wait for the items are told."""

    number: int
    items: tuple[Item, ...]

    def notify_waiters(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        for item in self.items:
            item.lost(send, error)


class SliceStored(SliceOutcome, frozen=True):
    """The slice is durable: its effects may leave."""

    # If late: receivers would not know that they miss a push.
    is_redelivered: ClassVar[bool] = True


class EffectsLeft(SliceOutcome, frozen=True):
    """From a life that ends to the next one: items that are stored and whose effects have not left yet."""

    is_redelivered: ClassVar[bool] = True


class SliceRefused(SliceOutcome, frozen=True):
    """The slice is not stored, as far as the store knows."""

    refusal: Refusal


class SliceLate(SliceOutcome, frozen=True):
    """The store has not answered within write_timeout_s. Told again each second; the outcome still follows."""


class AwaitWrites(msgspec.Struct, frozen=True):
    """From a waking entity to its lane: answered with WritesDone once no slice of it is in flight."""

    owner: Address
    life: int
    """Number of the owner's life: it comes back in the answer, and only this life may go by it."""


class WritesDone(msgspec.Struct, frozen=True):
    """No slice of the entity is in flight: what the store says of it is the newest."""

    life: int
