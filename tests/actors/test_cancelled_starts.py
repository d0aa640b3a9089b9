"""An engine whose start is cancelled, at any moment: when `start` has returned, nothing is open. And a program that
ends without `stop`: it ends quietly. On both loops (conftest)."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.engine import Engine
from greenroom.persistence import settings as settings_module
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.sqlite.writer import Writer
from greenroom.persistence.sqlite.writer_client import ProcessWriter

if TYPE_CHECKING:
    from collections.abc import Callable

MOMENTS = range(0, 40, 3)
"""Rounds of the loop before the cancellation."""


def opened(folder: Path) -> list[str]:
    """The open files of the folder, and the child processes."""
    gc.collect()
    files = []
    for fd in os.listdir("/proc/self/fd"):
        path = f"/proc/self/fd/{fd}"
        if os.path.lexists(path) and os.readlink(path).startswith(str(folder)):
            files.append(os.readlink(path))
    tasks = Path("/proc/self/task").iterdir()
    return sorted(files) + [child for task in tasks for child in (task / "children").read_text().split()]


def engine_of(folder: Path, writer: str) -> Engine:
    return Engine(settings_module.load(environ={"GREENROOM_STORE_WRITER": writer}), data_dir=folder)


@pytest.mark.parametrize("writer", ["thread", "process"])
async def test_start_that_is_cancelled_early_leaves_nothing_open(tmp_path: Path, writer: str) -> None:
    before = opened(tmp_path)
    for rounds in MOMENTS:
        starting = asyncio.create_task(engine_of(tmp_path, writer).start())
        for _ in range(rounds):
            await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert opened(tmp_path) == before, f"after {rounds} rounds"
    async with engine_of(tmp_path, writer) as engine:
        assert await engine.not_ready() == ""


THREADS: dict[str, tuple[type, str, str]] = {
    "the database": (SqliteStore, "_prepare", "thread"),
    "the writer's connection": (Writer, "open", "thread"),
    "the writer's process": (ProcessWriter, "_popen", "process"),
}


@pytest.mark.parametrize("what", THREADS)
async def test_start_that_is_cancelled_waits_for_the_thread_that_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    owner, name, writer = THREADS[what]
    entered, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    real: Callable[..., Any] = getattr(owner, name)

    def slow(*arguments: Any) -> Any:
        loop.call_soon_threadsafe(entered.set)
        assert may_end.wait(30)
        return real(*arguments)

    monkeypatch.setattr(owner, name, slow)
    before = opened(tmp_path)
    starting = asyncio.create_task(engine_of(tmp_path, writer).start())
    await asyncio.wait_for(entered.wait(), 30)
    for _ in range(3):  # Further cancellations, such as that of a time-out, do not end it sooner.
        starting.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not starting.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert opened(tmp_path) == before


FORGETFUL = """
import asyncio, sys
from greenroom import Engine

async def main():
    await Engine(data_dir=sys.argv[1]).start()
    return 7

sys.exit(asyncio.run(main()))
"""


def test_program_that_ends_without_stop_ends_quietly(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORGETFUL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
