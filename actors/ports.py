"""What actors need of the world outside: Protocols that the other rooms, and tests, implement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from greenroom.actors.messages import Push
from greenroom.actors.runtime.address import Address

__all__ = ["Clock", "Sessions"]


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since the epoch."""


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

    def push(self, push: Push, user_ids: Iterable[str]) -> list[str]:
        """Write one push to every connection of these users; returns those without any connection."""
