"""What actors need of the world outside: Protocols that the other rooms, and tests, implement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from greenroom.actors.audience import Audience
    from greenroom.actors.messages import Push
    from greenroom.actors.runtime.address import Address

__all__ = ["Clock", "Session", "Sessions"]


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since the epoch."""


class Session(Protocol):
    """One live connection of a user."""

    @property
    def address(self) -> Address: ...

    @property
    def platform_id(self) -> int: ...

    @property
    def digest(self) -> bytes:
        """Of its token."""


class Sessions(Protocol):
    """The live connections by user: the one table that pushes go through. Synchronous, never blocks.

    Order: pushes reach a connection in the order of the calls. Loss: a connection that does not drain is
    closed, its client pulls. A connection must be known to the table (its transport adds it) before `open`.
    """

    def open(self, user_id: str, connection: Address) -> None:
        """From now on pushes to the user are written to this connection."""

    def close(self, user_id: str, connection: Address) -> None:
        """Undo `open`; a connection that is not open is passed over."""

    def is_online(self, user_id: str) -> bool: ...

    def sessions_of(self, user_id: str) -> Sequence[Session]:
        """The user's open connections, oldest first."""

    def push(self, push: Push, user_ids: Iterable[str]) -> list[str]:
        """Write one push to every connection of these users; returns those without any connection."""

    def broadcast(self, push: Push, audience: Audience) -> None:
        """Write one push to every connection of an audience; drops those without any connection from it."""
