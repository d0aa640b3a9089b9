"""One list of backends, and the stores that the conformance suite runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.tests.kit.dict_store import DictStore
from greenroom.tests.kit.dict_writes import DictData

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from greenroom.persistence.sqlite.sqlite_store import WriterKind
    from greenroom.persistence.store import Store

EVENTS_LIMIT = 100_000

_DICTS: dict[Path, DictData] = {}


def _sqlite(writer: WriterKind) -> Callable[[Path, int], Store]:
    return lambda folder, events_limit: SqliteStore(folder / "greenroom.db", writer=writer, events_limit=events_limit)


BACKENDS: dict[str, Callable[[Path, int], Store]] = {
    "sqlite-process": _sqlite("process"),
    "sqlite-thread": _sqlite("thread"),
    "sqlite-memory": lambda folder, events_limit: SqliteStore(":memory:", events_limit=events_limit),
    "dicts": lambda folder, events_limit: DictStore(
        _DICTS.setdefault(folder, DictData(events_limit=events_limit))
    ),
}
"""How each backend opens its store of a folder, with a bound on events. A second opening gives the same store, except
in SQLite's memory."""

LASTING = [name for name in BACKENDS if name != "sqlite-memory"]


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store, open."""
    opened = BACKENDS[request.param](tmp_path, EVENTS_LIMIT)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(params=LASTING)
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes openings of one store that outlives them."""
    return lambda: BACKENDS[request.param](tmp_path, EVENTS_LIMIT)
