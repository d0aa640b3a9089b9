"""The search for users by a part of their id or nickname, for `get_users` (PROTOCOL 2.4).

All users are read, because the Store has no search yet: in slices of a few milliseconds, between which other tasks run.
Searches take turns, so many of them cost the loop no more at once than a single one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from greenroom.actors.errors import ArgsError
from greenroom.actors.queries.slice_turns import next_slice
from greenroom.persistence.patterns import Pattern

if TYPE_CHECKING:
    import asyncio

    from greenroom.actors.wire import user_pb2
    from greenroom.persistence.store import Store
    from greenroom.persistence.tables import UserRow

__all__ = ["UserSearch"]

_SCAN_ROWS: Final = 1000
"""Number of rows of one read. It is small enough not to delay the loop."""
_SLICE_S: Final = 0.004
"""CPU time for which patterns are matched before other tasks run."""
_COST_LIMIT_S: Final = 1.0
"""CPU time for which the patterns of one search are matched altogether: a usual one with some 200,000 users."""
_SEARCHABLE_LEVELS: Final = range(2)


class UserSearch:
    """Raises ArgsError for a text that is no pattern."""

    def __init__(self, request: user_pb2.getPaginationUsersReq) -> None:
        self._by_id = _pattern("userID", request.userID)
        self._by_name = _pattern("nickName", request.nickName)
        given = [pattern for pattern in (self._by_id, self._by_name) if pattern is not None]
        self._is_plain = all(pattern.is_plain for pattern in given)
        self._finds_all = not given

    async def page(self, store: Store, turn: asyncio.Lock, *, offset: int, limit: int) -> tuple[int, list[UserRow]]:
        """(total, users of the page), in the order of registration. Raises ArgsError if matching takes too long."""
        found: list[UserRow] = []
        count = row = 0
        total = 1
        spent_s = 0.0
        while row < total:
            async with turn:
                await next_slice()  # Let other tasks run: a read of the embedded store does not suspend.
                total, users = await store.users_page(row, _SCAN_ROWS)
            row += _SCAN_ROWS
            rest = [user for user in users if user.app_manger_level in _SEARCHABLE_LEVELS]
            while rest:
                if self._is_plain:
                    matching, rest = [user for user in rest if self._finds(user)], []
                else:
                    async with turn:
                        await next_slice()
                        matching, rest, cost_s = self._slice(rest)
                    spent_s += cost_s
                    if spent_s > _COST_LIMIT_S:
                        raise ArgsError("userID or nickName: the pattern takes too long, a plain text does not")
                for user in matching:
                    if offset <= count < offset + limit:
                        found.append(user)
                    count += 1
        return count, found

    def _slice(self, users: list[UserRow]) -> tuple[list[UserRow], list[UserRow], float]:
        """Match as many users as a slice allows, one at least: the matching ones, the remaining users, the CPU time."""
        started_at = time.thread_time()
        matching = []
        for number, user in enumerate(users, 1):
            if self._finds(user):
                matching.append(user)
            cost_s = time.thread_time() - started_at
            if cost_s > _SLICE_S:
                return matching, users[number:], cost_s
        return matching, [], cost_s

    def _finds(self, user: UserRow) -> bool:
        if self._finds_all:
            return True
        by_id = self._by_id is not None and self._by_id.is_in(user.user_id)
        return by_id or (self._by_name is not None and self._by_name.is_in(user.nickname))


def _pattern(field: str, text: str) -> Pattern | None:
    if not text:
        return None
    try:
        return Pattern(text)
    except ValueError as error:
        raise ArgsError(f"{field} is no regular expression that is searched for here: {error}") from None
