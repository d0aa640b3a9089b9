"""A database that is locked when it is opened, as by the writer of a node that was killed and has not ended yet; or
that is closed while it is opened."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.persistence.errors import StoreUnavailable
from greenroom.persistence.sqlite import sqlite_store, statements
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.sqlite.writer import Writer
from greenroom.persistence.sqlite.writer_client import ProcessWriter
from greenroom.tests.kit.disk_faults import locked

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.persistence.sqlite.sqlite_store import WriterKind


@pytest.fixture
async def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(statements, "BUSY_TIMEOUT_S", 0.01)
    store = SqliteStore(tmp_path / "greenroom.db", writer="inline")
    await store.open()
    await store.close()
    return tmp_path / "greenroom.db"


async def test_lock_that_ends_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, loop = SqliteStore._open_files, asyncio.get_running_loop()
    openings, failed, is_free = 0, asyncio.Event(), threading.Event()

    def counted(self: SqliteStore) -> Any:
        nonlocal openings
        openings += 1
        if openings == 2:
            loop.call_soon_threadsafe(failed.set)
            assert is_free.wait(30)
        return real(self)

    monkeypatch.setattr(SqliteStore, "_open_files", counted)
    store = SqliteStore(path, writer="inline")
    async with locked(path):
        opening = asyncio.create_task(store.open())
        await asyncio.wait_for(failed.wait(), 30)
    is_free.set()
    await opening
    assert openings == 2
    await store.close()


async def test_lock_that_stays_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "OPENINGS", 2)
    store = SqliteStore(path, writer="inline")
    async with locked(path):
        with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
            await store.open()
    await store.open()
    await store.close()


OPENERS: dict[str, tuple[type, str, WriterKind]] = {
    "the database": (SqliteStore, "_prepare", "thread"),
    "the writer's connection": (Writer, "open", "thread"),
    "the writer's process": (ProcessWriter, "_popen", "process"),
}


def _open_files(path: Path) -> list[str]:
    found = [os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()]
    return [one for one in found if one.startswith(str(path))]


@pytest.mark.parametrize("what", OPENERS)
async def test_closed_while_it_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    owner, name, writer = OPENERS[what]
    real: Callable[..., Any] = getattr(owner, name)
    entered, may_end, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def slow(*arguments: Any) -> Any:
        loop.call_soon_threadsafe(entered.set)
        assert may_end.wait(30)
        return real(*arguments)

    monkeypatch.setattr(owner, name, slow)
    store = SqliteStore(path, writer=writer)
    opening = asyncio.create_task(store.open())
    await asyncio.wait_for(entered.wait(), 30)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(StoreUnavailable, match="closed while it was opened"):
        await opening
    await closing
    await store.close()
    assert _open_files(path) == []
    await store.open()
    await store.close()
