"""Audience: the members of a group who are online and get its pushes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Audience"]


class Audience:
    """Users in the order in which they were added, so that the order of pushes does not depend on hashes."""

    def __init__(self) -> None:
        self.users: dict[str, None] = {}
        self.version = 0
        """Number of changes so far."""

    def add(self, user_id: str) -> None:
        self.users[user_id] = None
        self.version += 1

    def discard(self, user_ids: Iterable[str]) -> None:
        for user_id in user_ids:
            self.users.pop(user_id, None)
        self.version += 1
