"""What comes back: the few messages that every actor may receive as a result of its own doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from greenroom.actors.errors import GreenroomError

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.actors.runtime.address import Address

__all__ = ["Answer", "Failed", "Outcome", "Ping", "Piped"]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A request was carried out. `ref` is the request's own."""

    ref: Any
    value: Any = None


class Failed(msgspec.Struct, frozen=True, gc=False):
    """A request was refused or failed. `ref` is the request's own, None when it had none."""

    ref: Any
    error: GreenroomError


class Outcome(msgspec.Struct, frozen=True):
    """Mail that others than its sender wait for. When the entity that it is for cannot take it (in quarantine, or
    gone), it is told to those instead of refused to its sender."""

    is_kept: ClassVar[bool] = False
    """The entity should have it all the same, once it can."""

    def tell(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        """Tell those who wait that it could not be taken, or not yet."""
        raise NotImplementedError


class Piped(msgspec.Struct, frozen=True):
    """The result of an awaitable that this life of the actor has piped to itself. Comes exactly once."""

    tag: Any
    value: Any = None
    error: BaseException | None = None


class Ping(msgspec.Struct, frozen=True):
    """Every entity answers `Answer(ref)`, once it has loaded: it waits in the stash like any request."""

    ref: Any = None
