"""A node that breaks the promise: it acks messages before they are stored. The torture must detect this."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.store import AddMessage
from greenroom.tests.torture import node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.store import Refusal, Slice

_commit = SqliteStore.commit
_under_way: set[asyncio.Task[list[Refusal | None]]] = set()


async def _commit_late(store: SqliteStore, slices: Sequence[Slice]) -> list[Refusal | None]:
    await asyncio.sleep(0.05)
    return await _commit(store, slices)


async def _promise(store: SqliteStore, slices: Sequence[Slice]) -> list[Refusal | None]:
    if not any(isinstance(write, AddMessage) for one in slices for write in one.writes):
        return await _commit(store, slices)
    task = asyncio.ensure_future(_commit_late(store, slices))
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return [None] * len(slices)


if __name__ == "__main__":
    node.run(_promise)
