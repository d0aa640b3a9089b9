"""The numbers of users and conversations in the store's tables, with a cache for its one writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from greenroom.persistence.sqlite.schema import NEWEST_SEQ
from greenroom.persistence.sqlite.statements import many

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom.persistence.sqlite.statements import SqliteConnection

__all__ = ["RowNumbers"]

NUMBERS_LIMIT: Final = 200_000
"""Limit for each cache (about 40 MB). Beyond it the whole cache is dropped, and the numbers are read again."""


class RowNumbers:
    """Looks up numbers, and assigns a new one where there is none. While the writer's epoch is valid, no other process
    writes, so a cached number stays right. `mark` and `undo` follow the transaction's savepoints."""

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self.users: dict[str, int] = {}
        self.conversations: dict[str, tuple[int, int]] = {}
        """(number, max seq) of each conversation, by its id."""
        self._done: list[tuple[dict[str, Any], str, Any]] = []

    def user(self, user_id: str) -> int:
        number = self.users.get(user_id)
        if number is None:
            self.meet_users((user_id,))
            number = self.users[user_id]
        return number

    def meet_users(self, user_ids: Iterable[str]) -> None:
        """Look up these users. After this, all of them are in `users`."""
        self._meet(
            self.users,
            user_ids,
            "SELECT user_id, id FROM user WHERE user_id IN ({})",
            "INSERT INTO user (user_id) VALUES {} RETURNING user_id, id",
        )

    def conversation(self, conversation_id: str) -> tuple[int, int]:
        """(number, max seq) of a conversation."""
        head = self.conversations.get(conversation_id)
        if head is None:
            self.meet_conversations((conversation_id,))
            head = self.conversations[conversation_id]
        return head

    def meet_conversations(self, conversation_ids: Iterable[str]) -> None:
        """Look up these conversations. After this, all of them are in `conversations`."""
        self._meet(
            self.conversations,
            conversation_ids,
            f"SELECT conversation_id, id, {NEWEST_SEQ} FROM conversation c WHERE conversation_id IN ({{}})",
            "INSERT INTO conversation (conversation_id) VALUES {} RETURNING conversation_id, id, 0",
        )

    def raise_seq(self, conversation_id: str, head: tuple[int, int], seq: int) -> None:
        self._done.append((self.conversations, conversation_id, head))
        self.conversations[conversation_id] = (head[0], seq)

    def group(self, group_id: str) -> int | None:
        row = self._connection.execute("SELECT id FROM chat_group WHERE group_id = ?", (group_id,)).fetchone()
        return None if row is None else int(row[0])

    def mark(self) -> int:
        return len(self._done)

    def undo(self, mark: int) -> None:
        """Forget all numbers since the mark, because their rows were rolled back."""
        while len(self._done) > mark:
            names, name, before = self._done.pop()
            if before is None:
                names.pop(name, None)
            else:
                names[name] = before

    def settle(self) -> None:
        """Called after the commit: `undo` is no longer needed."""
        self._done.clear()
        if len(self.users) > NUMBERS_LIMIT:
            self.users.clear()
        if len(self.conversations) > NUMBERS_LIMIT:
            self.conversations.clear()

    def _meet(self, known: dict[str, Any], names: Iterable[str], find: str, make: str) -> None:
        missing = list(dict.fromkeys(name for name in names if name not in known))
        if not missing:
            return
        rows = many(self._connection, find, "?", missing)
        if len(rows) < len(missing):
            found = {row[0] for row in rows}
            rows += many(self._connection, make, "(?)", [name for name in missing if name not in found])
        for name, *values in rows:
            self._done.append((known, name, None))
            known[name] = values[0] if len(values) == 1 else tuple(values)
