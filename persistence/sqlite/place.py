"""The content of this backend's cursors: the numbers of the last message and of the last noted event before the cursor.
The writer assigns both numbers in the order of commits, and no number twice."""

from __future__ import annotations

from typing import Final, NamedTuple

from greenroom.persistence.store import BEGINNING, Cursor

__all__ = ["FIRST_EVENT", "LAST_EVENT", "LAST_MESSAGE", "Place", "cursor_of", "place_of"]

LAST_MESSAGE: Final = """max(
    (SELECT value FROM meta WHERE name = 'removed'), (SELECT coalesce(max(id), 0) FROM message))"""
"""Number of the newest message ever stored, in SQL."""

LAST_EVENT: Final = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)"
"""Number of the newest event ever noted, in SQL."""

FIRST_EVENT: Final = f"coalesce((SELECT min(id) FROM event), {LAST_EVENT} + 1)"
"""Number of the oldest event that is still stored, in SQL. If there is none: number of the next event."""


class Place(NamedTuple):
    message: int
    event: int


def cursor_of(place: Place) -> Cursor:
    return Cursor(f"{place.message}.{place.event}")


def place_of(cursor: Cursor) -> Place:
    """Decode a cursor. Raises ValueError for a text that is not a cursor of this backend."""
    if cursor == BEGINNING:
        return Place(0, 0)
    message, event = cursor.split(".")
    return Place(int(message), int(event))
