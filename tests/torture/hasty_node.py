"""A node that breaks the promise: it answers each commit before it is made. The torture must find it out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from greenroom.persistence.store_sqlite import SqliteStore
from greenroom.tests.torture import node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.store import Refusal, Slice

_commit = SqliteStore.commit
_under_way: set[asyncio.Task[list[Refusal | None]]] = set()


async def _promise(store: SqliteStore, slices: Sequence[Slice]) -> list[Refusal | None]:
    task = asyncio.ensure_future(_commit(store, slices))
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return [None] * len(slices)


if __name__ == "__main__":
    node.run(_promise)
