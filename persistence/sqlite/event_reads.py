"""Reads of the committed events: messages and noted events in one sequence."""

from __future__ import annotations

import heapq
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from greenroom.persistence.sqlite.place import FIRST_EVENT, LAST_EVENT, LAST_MESSAGE, Place, cursor_of, place_of
from greenroom.persistence.sqlite.read import Reads, read
from greenroom.persistence.sqlite.schema import server_id_text
from greenroom.persistence.store import BEGINNING, Event, MessageEvent, NotedEvent, Tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.store import Cursor

__all__ = ["EventReads"]

_TAIL_BYTES: Final = 4 << 20
"""Limit for the bodies of one tail. The event that exceeds it is the last one."""


class EventReads(Reads):
    @read("subscribers")
    def subscribers(self) -> dict[str, Cursor]:
        rows = self._db.execute("SELECT name, message, event FROM subscriber ORDER BY name")
        return {name: cursor_of(Place(message, event)) for name, message, event in rows.fetchall()}

    @read("events after")
    def tail(self, after: Cursor, limit: int) -> Tail:
        db = self._db
        # All statements read the same snapshot.
        db.execute("BEGIN")
        try:
            return self._tail(after, limit)
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _tail(self, after: Cursor, limit: int) -> Tail:
        removed, first_kept, *last = self._db.execute(
            "SELECT (SELECT value FROM meta WHERE name = 'removed'),"
            f" {FIRST_EVENT}, {LAST_MESSAGE}, {LAST_EVENT}"
        ).fetchone()
        place = Place(0, first_kept - 1) if after == BEGINNING else place_of(after)
        missed = place.message < removed or place.event < first_kept - 1
        place = place._replace(event=max(place.event, first_kept - 1))
        messages = self._db.execute(
            "SELECT m.id, c.conversation_id, m.seq, u.user_id, m.server, m.send_time, m.content_type, m.body"
            " FROM message m CROSS JOIN conversation c ON c.id = m.conversation CROSS JOIN user u ON u.id = m.sender"
            " WHERE m.id > ? ORDER BY m.id LIMIT ?",
            (place.message, limit),
        )
        noted = self._db.execute(
            "SELECT id, message, kind, subject, data FROM event WHERE id > ? ORDER BY id LIMIT ?", (place.event, limit)
        )
        events: list[Event] = []
        remaining_bytes = _TAIL_BYTES
        for (message, number), event, size in heapq.merge(map(_message, messages), map(_noted, noted), key=_order):
            if len(events) == limit or remaining_bytes < 0:
                break
            events.append(event)
            remaining_bytes -= size
            place = place._replace(event=number) if number else place._replace(message=message)
        else:
            if len(events) < limit:
                place = Place(*last)
        return Tail(events, cursor_of(place), missed)


_order: Final = itemgetter(0)
"""Sort key of an event: a message comes before the events that were noted after it."""


def _message(row: Sequence[Any]) -> tuple[tuple[int, int], Event, int]:
    number, conversation_id, seq, send_id, server, send_time, content_type, body = row
    event = MessageEvent(conversation_id, seq, send_id, server_id_text(server), send_time, content_type, body)
    return (number, 0), event, len(body)


def _noted(row: Sequence[Any]) -> tuple[tuple[int, int], Event, int]:
    number, message, kind, subject, data = row
    return (message, number), NotedEvent(kind, subject, data), len(data)
