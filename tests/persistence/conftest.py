"""One list of backends, and the stores that the conformance suite runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.sqlite.sqlite_store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from greenroom.persistence.store import Store

BACKENDS: dict[str, Callable[[Path], Store]] = {
    "sqlite-process": lambda folder: SqliteStore(folder / "greenroom.db", writer="process"),
    "sqlite-thread": lambda folder: SqliteStore(folder / "greenroom.db", writer="thread"),
    "memory": lambda folder: SqliteStore(":memory:"),
}
"""How each backend opens its store of a folder. A second opening gives the same store, except in memory."""

LASTING = [name for name in BACKENDS if name != "memory"]


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store, open."""
    opened = BACKENDS[request.param](tmp_path)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(params=LASTING)
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes openings of one store that outlives them."""
    return lambda: BACKENDS[request.param](tmp_path)
