"""The node's side of the writer process: it sends slices, receives outcomes in order, and replaces a dead process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from greenroom.persistence.errors import StoreUnavailable
from greenroom.persistence.sqlite.writer_frames import FrameReader, decode_hello, decode_outcomes, encode_slices
from greenroom.persistence.store import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from greenroom.persistence.store import Slice

__all__ = ["ProcessWriter"]

START_LIMIT_S: Final = 30.0
"""How long a process may take to become ready; recovering a long log takes seconds."""
STOP_LIMIT_S: Final = 6.0
"""How long a process may take to finish and end; its last act is a checkpoint. Then it is killed. What it has not
committed was not acked."""
KILL_LIMIT_S: Final = 1.0
"""How long a stopping node waits for a killed process; one that waits for its disk dies when the disk answers."""
BACKOFF_S: Final = 0.05
BACKOFF_MAX_S: Final = 1.0
"""Wait before a new process is started, doubled with each death of the last minute."""
DEATHS_MAX: Final = 10
DEATHS_WITHIN_S: Final = 60.0
"""After more deaths within this time the writer is lost: another start is no cure. A failed start counts as a death."""
OUTSTANDING_BYTES_MAX: Final = 64 << 20
"""Frames that are not answered yet; past it commits are refused, because the disk is too slow."""

WRITER: Final = "greenroom.persistence.sqlite.writer_process"
"""The child's program."""

log = logging.getLogger("greenroom.persistence")


class ProcessWriter:
    """Commits through one child process. When the process dies, commits without an answer are FAILED (they may be
    stored or not), and so is every commit until the next process is ready. When it dies again and again, `lost` says
    why, and every later commit is FAILED."""

    def __init__(self, path: Path, *, epoch: int, events_limit: int) -> None:
        self._path = path
        self._epoch = epoch
        self._events_limit = events_limit
        self._link: _Link | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._deaths: deque[float] = deque()
        """Times of the last minute's deaths, on the loop's clock."""
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why no process can be kept up."""
        self.restarts = 0
        """Processes that died and were replaced."""

    @property
    def pid(self) -> int | None:
        """The running process's id, if there is one."""
        return None if self._link is None else self._link.process.pid

    async def start(self) -> None:
        self._link = await self._spawn()

    def commit(self, slices: Sequence[Slice]) -> asyncio.Future[list[Refusal | None]]:
        link = self._link
        if link is not None:
            return link.commit(slices)
        answer: asyncio.Future[list[Refusal | None]] = asyncio.get_running_loop().create_future()
        answer.set_result(_failed(len(slices), "no writer process"))
        return answer

    async def stop(self) -> None:
        """Let the process commit what it has, and wait for its end."""
        self._stopping.set()
        if self._restarting is not None:
            await self._restarting
        link, self._link = self._link, None
        if link is not None:
            await link.end()

    async def _spawn(self) -> _Link:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            # Starting a process blocks for some milliseconds, so it does not happen on the loop.
            process = await asyncio.to_thread(self._popen, theirs)
        except OSError as error:
            ours.close()
            raise StoreUnavailable(f"no writer process: {error}") from error
        finally:
            theirs.close()
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: _Link(process, self._lost), sock=ours)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                trouble = await asyncio.shield(link.hello)
        except TimeoutError:
            trouble = "it does not start"
        except asyncio.CancelledError:
            await link.kill()
            raise
        if trouble:
            await link.kill()
            raise StoreUnavailable(f"writer process: {trouble}")
        return link

    def _popen(self, stream: socket.socket) -> subprocess.Popen[bytes]:
        # With -P and PYTHONPATH the child finds the same packages as this process, and none in the working directory.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", WRITER, str(self._path), str(self._epoch), str(self._events_limit)],
            stdin=stream.fileno(),
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        )

    def _lost(self, link: _Link) -> None:
        if self._link is link and not self._stopping.is_set():
            self._link = None
            self._restarting = asyncio.get_running_loop().create_task(self._restart(link))

    async def _restart(self, dead: _Link) -> None:
        await dead.kill()
        how = f"ended with {dead.process.returncode}"
        while (backoff := self._backoff()) is not None:
            log.error("the writer process %s; another is started in %g s", how, backoff)
            # `stop` ends the restart here, never during a start, so no process is left without an owner.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff):
                    await self._stopping.wait()
                    return
            try:
                self._link = await self._spawn()
            except StoreUnavailable as error:
                how = f"did not start ({error})"
            else:
                self.restarts += 1
                return
        reason = f"the writer process {how}, and {DEATHS_MAX} before it in {DEATHS_WITHIN_S:g} s"
        log.critical(reason)
        self.lost.set_result(reason)

    def _backoff(self) -> float | None:
        """Count one more death. Seconds until the next start; None: no start any more."""
        now = asyncio.get_running_loop().time()
        while self._deaths and self._deaths[0] <= now - DEATHS_WITHIN_S:
            self._deaths.popleft()
        self._deaths.append(now)
        number = len(self._deaths)
        return None if number > DEATHS_MAX else min(BACKOFF_S * 2 ** (number - 1), BACKOFF_MAX_S)


class _Link(asyncio.Protocol):
    """The connection to one process."""

    def __init__(self, process: subprocess.Popen[bytes], lost: Callable[[_Link], None]) -> None:
        loop = asyncio.get_running_loop()
        self.process = process
        self.hello: asyncio.Future[str] = loop.create_future()
        """Empty when the process is ready, else why it is not."""
        self._lost = lost
        self._closed: asyncio.Future[None] = loop.create_future()
        self._frames = FrameReader()
        self._waiting: deque[tuple[asyncio.Future[list[Refusal | None]], int, int]] = deque()
        """Of each commit in flight: its answer, how many slices, how many bytes. The slices are not kept."""
        self._bytes = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio's, but not their classes.
        self._transport = cast("asyncio.Transport", transport)

    def commit(self, slices: Sequence[Slice]) -> asyncio.Future[list[Refusal | None]]:
        answer: asyncio.Future[list[Refusal | None]] = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            answer.set_result(_failed(len(slices), "the writer process is gone"))
            return answer
        try:
            frame = encode_slices(slices)
        except ValueError as error:
            answer.set_result(_failed(len(slices), f"not encodable: {error}"))
            return answer
        size = len(frame)
        if self._waiting and self._bytes + size > OUTSTANDING_BYTES_MAX:
            answer.set_result(_failed(len(slices), "the writer process is behind"))
            return answer
        self._bytes += size
        self._waiting.append((answer, len(slices), size))
        self._transport.write(frame)
        return answer

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                self._take(frame)
        except ValueError:
            self._transport.abort()

    def _take(self, frame: bytes) -> None:
        if not self.hello.done():
            self.hello.set_result(decode_hello(frame))
            return
        outcomes = decode_outcomes(frame)
        answer, _, size = self._waiting.popleft()
        self._bytes -= size
        if not answer.done():
            answer.set_result(outcomes)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.hello.done():
            self.hello.set_result("it ended before it was ready")
        while self._waiting:
            answer, count, _ = self._waiting.popleft()
            if not answer.done():
                answer.set_result(_failed(count, "the writer process is gone"))
        self._closed.set_result(None)
        self._lost(self)

    async def end(self) -> None:
        """Let the process finish, and wait for its end. It is killed when that takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STOP_LIMIT_S
        if not self._transport.is_closing():
            self._transport.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(self._closed)
        # The process makes a checkpoint after it has closed the connection.
        if not await self._is_gone(deadline - loop.time()):
            log.error("the writer process did not end within %g s and is killed", STOP_LIMIT_S)
            await self.kill(KILL_LIMIT_S)

    async def kill(self, limit_s: float | None = None) -> None:
        """Kill the process, and wait for its end."""
        self.process.kill()
        self._transport.abort()
        await self._closed
        await self._is_gone(limit_s)

    async def _is_gone(self, limit_s: float | None) -> bool:
        """Whether the process has ended within the limit."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self.process.wait, None if limit_s is None else max(limit_s, 0.0))
        return self.process.poll() is not None


def _failed(count: int, detail: str) -> list[Refusal | None]:
    return [Refusal(Reason.FAILED, detail)] * count
