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

__all__ = ["Injection", "injected", "injecting", "locked", "no_room"]


class Injection:
    """A fault that strace injects into a process, and how often it has done so."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    @property
    def hits(self) -> int:
        text = self._trace.read_text(errors="replace")
        # When strace ends, a call that is still delayed continues at once.
        return sum(text.count(mark) for mark in ("(INJECTED)", "(DELAYED)", "<detached ...>"))


def injecting(file: Path, calls: str, action: str) -> tuple[str, ...]:
    """The command to run another one under, in which strace injects `action` into these calls on this file. The process
    is that of the other command, with its exit code and its signals."""
    return (
        find_strace(), "-D", "-f", "-P", str(file), "-o", "/dev/null",
        "-e", f"trace={calls}", "-e", f"inject={calls}:{action}", "-e", "signal=none",
    )  # fmt: skip


@contextlib.asynccontextmanager
async def injected(
    pid: int, calls: str, action: str, trace: Path, *, only: Path | None = None
) -> AsyncIterator[Injection]:
    """While it lasts, strace injects `action` (in the syntax of its `inject`) into these calls of all threads of the
    process; with `only`, into those on one file. `trace` is the file for the trace."""
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
    """While it lasts, the process may write only a file's first page: longer writes are cut short, or get EFBIG."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextlib.asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """While it lasts, another connection holds the database's exclusive lock."""
    other = connect(path)
    other.execute("PRAGMA busy_timeout = 20000")
    try:
        await asyncio.to_thread(other.execute, "BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()
