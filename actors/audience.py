"""Audience: the members of a group who are online, to whom its pushes go."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Audience"]


class Audience:
    """Users in the order in which they were added, so that pushes do not go out in the order of hashes."""

    __slots__ = ("__weakref__", "users", "version")

    def __init__(self) -> None:
        self.users: dict[str, None] = {}
        self.version = 0
        """Grows with each change."""

    def add(self, user_id: str) -> None:
        self.users[user_id] = None
        self.version += 1

    def discard(self, user_ids: Iterable[str]) -> None:
        for user_id in user_ids:
            self.users.pop(user_id, None)
        self.version += 1
