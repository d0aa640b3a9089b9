"""What a store says about all records of a user, gathered from its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from greenroom.persistence.store import RecordPlace, SeqState, Store

__all__ = ["all_seq_states", "newest_seqs"]

PAGE = 100

T = TypeVar("T")


async def newest_seqs(store: Store, user_id: str) -> dict[str, int]:
    return await _all(store.newest_seqs, user_id)


async def all_seq_states(store: Store, user_id: str) -> dict[str, SeqState]:
    return await _all(store.all_seq_states, user_id)


async def _all(
    read: Callable[[str, RecordPlace | None, int], Awaitable[tuple[dict[str, T], RecordPlace | None]]], user_id: str
) -> dict[str, T]:
    found, place = await read(user_id, None, PAGE)
    while place is not None:
        more, place = await read(user_id, place, PAGE)
        found |= more
    return found
