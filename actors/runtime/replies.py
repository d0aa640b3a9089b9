"""Replies and results: the few messages that every actor may receive because of what it did before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from greenroom.actors.errors import GreenroomError

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.actors.runtime.address import Address

__all__ = ["Answer", "Failed", "Outcome", "Ping", "Piped"]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The request was carried out. `ref` is the request's own."""

    ref: Any
    value: Any = None


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The request was refused or failed. `ref` is the request's own, None when it had none."""

    ref: Any
    error: GreenroomError


class Outcome(msgspec.Struct, frozen=True):
    """Mail that others than its sender wait for. When its entity cannot take it (in quarantine, or gone), those who
    wait are told, instead of the sender."""

    is_kept: ClassVar[bool] = False
    """Whether the entity must still get it, once it can take it."""

    def tell(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        """Tell those who wait that the entity cannot take it, or not yet."""
        raise NotImplementedError


class Piped(msgspec.Struct, frozen=True):
    """The result of an awaitable that this life of the actor gave to `pipe`. Comes exactly once."""

    tag: Any
    value: Any = None
    error: BaseException | None = None


class Ping(msgspec.Struct, frozen=True):
    """Every entity answers this with `Answer(ref)` once it has loaded. Until then it is stashed like any request."""

    ref: Any = None
