"""What virtual users need of the world: a device with a connection, and a journal. Transport implements it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.transport.load.judge.events import Event
    from greenroom.transport.load.population import DeviceName
    from greenroom.transport.load.scenario import Client

__all__ = ["Device", "Devices", "Journal"]


class Journal(Protocol):
    def record(self, event: Event) -> None:
        """Keep one event; in order, buffered, never blocks for long."""


class Device(Protocol):
    """A client of one user's device. Nothing here blocks or raises: what comes of it is told to the user
    (Opened, OpenFailed, Lost, Delivered, Answered, Unanswered).

    Order: deliveries of a conversation come in seq order. Duplication: each stored message comes once. Loss:
    gaps and absences are pulled; nothing else is.
    """

    @property
    def online(self) -> bool: ...

    def open(self) -> None:
        """Log in and learn what was missed."""

    def send(
        self, client_msg_id: str, *, recv_id: str, group_id: str, payload_bytes: int, stored: bool, again: bool
    ) -> None:
        """Hand one message to the server. `again`: the same as before, under the same id."""

    def drop(self, *, half_open: bool) -> None:
        """End the connection without a word; or leave it to itself, deaf and silent."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None: ...

    def close(self) -> None:
        """End it in good order, for ever."""


class Devices(Protocol):
    def make(self, name: DeviceName, settings: Client, tell: Callable[[object], None]) -> Device:
        """A device that is not connected yet, and tells its user what happens to it."""
