"""Replies and results: the messages that an actor may receive because of its own earlier requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from greenroom.actors.errors import GreenroomError

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.actors.runtime.address import Address

__all__ = ["Answer", "Failed", "Outcome", "Ping", "Piped"]


class Answer(msgspec.Struct, frozen=True):
    """The request was carried out. `ref` is the request's `ref`."""

    ref: Any
    value: Any = None


class Failed(msgspec.Struct, frozen=True):
    """The request was refused or failed. `ref` is the request's `ref`, or None if it had none."""

    ref: Any
    error: GreenroomError


class Outcome(msgspec.Struct, frozen=True):
    """Mail whose result other clients than its sender wait for. If its entity cannot handle it (it is in quarantine, or
    has ended), these clients are notified instead of the sender."""

    is_redelivered: ClassVar[bool] = False
    """Whether the entity must still get it, once the entity can handle it."""

    def notify_waiters(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        """Send the error to the clients that wait: the entity cannot handle this mail, or not yet."""
        raise NotImplementedError


class Piped(msgspec.Struct, frozen=True):
    """The result of an awaitable that this incarnation gave to `pipe`. Each awaitable has exactly one."""

    tag: Any
    value: Any = None
    error: BaseException | None = None


class Ping(msgspec.Struct, frozen=True):
    """Every entity answers this with `Answer(ref)` once it has loaded. Until then it is stashed like any request."""

    ref: Any = None
