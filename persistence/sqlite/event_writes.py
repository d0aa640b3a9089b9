"""Writes of noted events, and of the subscribers' cursors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from greenroom.persistence.refusal import Reason, Refusal, WriteRefused
from greenroom.persistence.sqlite.place import FIRST_EVENT, LAST_EVENT, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.persistence.sqlite.statements import SqliteConnection
    from greenroom.persistence.store import AddEvent, AddSubscriber, DropSubscriber, MoveCursor

__all__ = ["EVENTS_LIMIT", "EventWriter"]

EVENTS_LIMIT: Final = 100_000
"""Number of noted events that are kept. Beyond it the oldest are dropped; a subscriber that missed some is notified."""


class EventWriter:
    """Writes inside the applier's transaction. A stored message is already an event, so it needs no write here."""

    def __init__(self, connection: SqliteConnection, last_message: Callable[[], int], *, limit: int) -> None:
        """`last_message` returns the number of the newest message, including messages that are not flushed yet."""
        self._connection = connection
        self._last_message = last_message
        self._limit = limit

    def add_event(self, write: AddEvent) -> None:
        if not self._connection.execute("SELECT EXISTS (SELECT 1 FROM subscriber)").fetchone()[0]:
            return
        self._connection.execute(
            "INSERT INTO event (message, kind, subject, data) VALUES (?, ?, ?, ?)",
            (self._last_message(), write.kind, write.subject, write.data),
        )
        self._connection.execute("DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?", (self._limit,))

    def add_subscriber(self, write: AddSubscriber) -> None:
        message, event = (0, f"{FIRST_EVENT} - 1") if write.from_first_message else (self._last_message(), LAST_EVENT)
        self._connection.execute(
            f"INSERT OR IGNORE INTO subscriber (name, message, event) VALUES (?, ?, {event})", (write.name, message)
        )

    def move_cursor(self, write: MoveCursor) -> None:
        try:
            place = place_of(write.cursor)
        except ValueError:
            raise _refused("no cursor of this store") from None
        (last_event,) = self._connection.execute(f"SELECT {LAST_EVENT}").fetchone()
        if not (0 <= place.message <= self._last_message() and 0 <= place.event <= last_event):
            raise _refused("a cursor after the newest event")
        self._connection.execute(
            "UPDATE subscriber SET message = max(message, ?), event = max(event, ?) WHERE name = ?",
            (*place, write.name),
        )
        if not self._connection.changes():
            raise _refused("no such subscriber")
        self._drop_passed()

    def drop_subscriber(self, write: DropSubscriber) -> None:
        self._connection.execute("DELETE FROM subscriber WHERE name = ?", (write.name,))
        self._drop_passed()

    def _drop_passed(self) -> None:
        """Drop the events that every subscriber has passed, or all of them if there is no subscriber."""
        self._connection.execute(
            f"DELETE FROM event WHERE id <= coalesce((SELECT min(event) FROM subscriber), {LAST_EVENT})"
        )


def _refused(detail: str) -> WriteRefused:
    return WriteRefused(Refusal(Reason.FAILED, detail))
