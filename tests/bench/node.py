"""`greenroom serve` with what only a benchmark wants, told by the environment:

BENCH_STORE=memory     nothing is durable: commits run on the loop, in a database in memory
BENCH_PROFILE=<stem>   cProfile of the node to <stem>.node, of its writer process to <stem>.writer
"""

from __future__ import annotations

import cProfile
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from greenroom import __main__, supervisor
from greenroom.persistence.sqlite import writer_client, writer_process
from greenroom.persistence.sqlite.sqlite_store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from greenroom.persistence.settings import Settings

_STEM = os.environ.get("BENCH_PROFILE", "")


class _MemoryNode(supervisor.Node):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, make_store=_in_memory)


def _in_memory(_: Path) -> SqliteStore:
    return SqliteStore(":memory:", writer="inline")


def _profiled(run: Callable[[], Any], path: str) -> Any:
    profile = cProfile.Profile()
    try:
        return profile.runcall(run)
    finally:
        profile.dump_stats(path)


def _start_profiled_writer(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    arguments = command[command.index(writer_client.WRITER) + 1 :]
    return subprocess.Popen([sys.executable, "-P", "-m", __spec__.name, "writer", *arguments], **options)


class _Starter:
    """A `subprocess` for the writer's client."""

    DEVNULL = subprocess.DEVNULL
    TimeoutExpired = subprocess.TimeoutExpired
    Popen = staticmethod(_start_profiled_writer)


def main() -> None:
    if sys.argv[1] == "writer":
        path, *numbers = sys.argv[2:]
        sys.exit(_profiled(lambda: writer_process.main(path, *map(int, numbers)), f"{_STEM}.writer"))
    if os.environ.get("BENCH_STORE") == "memory":
        supervisor.Node = _MemoryNode  # type: ignore[misc, assignment]
    if _STEM:
        writer_client.subprocess = _Starter  # type: ignore[assignment, attr-defined]
        _profiled(__main__.main, f"{_STEM}.node")
    else:
        __main__.main()


if __name__ == "__main__":
    main()
