"""What comes back: the few messages that every actor may receive as a result of its own doing."""

from __future__ import annotations

from typing import Any

import msgspec

from greenroom.actors.errors import GreenroomError

__all__ = ["Answer", "Failed", "Ping", "Piped"]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A request was carried out. `ref` is the request's own."""

    ref: Any
    value: Any = None


class Failed(msgspec.Struct, frozen=True, gc=False):
    """A request was refused or failed. `ref` is the request's own, None when it had none."""

    ref: Any
    error: GreenroomError


class Piped(msgspec.Struct, frozen=True):
    """The result of an awaitable that this life of the actor has piped to itself. Comes exactly once."""

    tag: Any
    value: Any = None
    error: BaseException | None = None


class Ping(msgspec.Struct, frozen=True):
    """Every entity answers `Answer(ref)`, once it has loaded: it waits in the stash like any request."""

    ref: Any = None
