"""Faults of a disk as a process meets them: its system calls fail or take long, its files may not grow, or another
process holds the lock. Made from outside, so the product knows nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from typing import TYPE_CHECKING

from greenroom.persistence.sqlite.statements import connect
from greenroom.tests.kit.strace_kit import find_strace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

__all__ = ["Injection", "injected", "locked", "no_room"]


class Injection:
    """What strace does to a process, and how often it has done so."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    @property
    def hits(self) -> int:
        text = self._trace.read_text(errors="replace")
        # Who is still delayed when strace ends is let go amid the call.
        return sum(text.count(mark) for mark in ("(INJECTED)", "(DELAYED)", "<detached ...>"))


@contextlib.asynccontextmanager
async def injected(
    pid: int, calls: str, action: str, trace: Path, *, only: Path | None = None
) -> AsyncIterator[Injection]:
    """While it lasts, these calls of the process (all its threads) end so; with `only`, those on one file.
    `action` is as strace's `inject` has it; the trace goes to a file."""
    path = ["-P", str(only)] if only is not None else []
    process = await asyncio.create_subprocess_exec(
        find_strace(), "-f", "-p", str(pid), *path, "-o", str(trace),
        "-e", f"trace={calls}", "-e", f"inject={calls}:{action}", "-e", "signal=none",
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    said = b""
    while b"attached" not in said:
        line = await process.stderr.readline()
        assert line, f"strace could not attach: {said.decode()}"
        said += line
    try:
        yield Injection(trace)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


@contextlib.contextmanager
def no_room(pid: int) -> Iterator[None]:
    """The process may write no further than into a file's first page: past it writes are cut short, or EFBIG."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextlib.asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Another connection holds the database's exclusive lock."""
    other = connect(path)
    other.execute("PRAGMA busy_timeout = 20000")
    try:
        await asyncio.to_thread(other.execute, "BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()
