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
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from greenroom.persistence.errors import StoreUnavailable
from greenroom.persistence.sqlite.placement import Placement
from greenroom.persistence.sqlite.thread_call import ThreadCall
from greenroom.persistence.sqlite.writer_frames import FrameReader, decode_hello, decode_outcomes, encode_slices
from greenroom.persistence.store import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from greenroom.persistence.store import Slice

__all__ = ["ProcessWriter"]

START_LIMIT_S: Final = 30.0
"""Limit for the start of a process. The recovery of a long log takes seconds."""
STOP_LIMIT_S: Final = 6.0
"""Limit for the end of a process, including a last checkpoint. After that it is killed. Slices that it has not
committed have not been acked."""
KILL_LIMIT_S: Final = 1.0
"""Limit for the wait of a stopping node for a killed process: if this waits for its disk, it only ends afterwards."""
BACKOFF_S: Final = 0.05
BACKOFF_MAX_S: Final = 1.0
"""Pause before a new process is started. It is doubled with each crash of the last minute."""
DEATHS_MAX: Final = 10
DEATHS_WITHIN_S: Final = 60.0
"""After more crashes within this time the writer is lost, because another start would not help. A failed start counts
as a crash."""
OUTSTANDING_BYTES_MAX: Final = 64 << 20
"""Limit of the unanswered frames. Beyond it, commits are refused, because the disk is too slow."""

WRITER: Final = "greenroom.persistence.sqlite.writer_process"
"""The module that the child process runs."""

log = logging.getLogger("greenroom.persistence")


class ProcessWriter:
    """Commits through one child process. When the process crashes, all unanswered commits are FAILED (they may be
    stored or not), and so is every commit until the next process is ready. After too many crashes, `lost` gets the
    reason, and every later commit is FAILED."""

    def __init__(self, path: Path, *, epoch: int, events_limit: int) -> None:
        self._path = path
        self._placement = Placement(path)
        self._epoch = epoch
        self._events_limit = events_limit
        self._link: _Link | None = None
        self._starting: ThreadCall[subprocess.Popen[bytes]] = ThreadCall()
        self._unready: subprocess.Popen[bytes] | None = None
        """The process that was started last, until it is ready or has been waited for."""
        self._restarting: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._deaths: deque[float] = deque()
        """Times of the crashes of the last minute, on the loop's clock."""
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """The reason why no process can be kept running."""
        self.restarts = 0
        """Number of processes that have crashed and were replaced."""

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
        """Let the process commit all that it has received, and wait for its end. One whose start was cancelled is
        killed."""
        self._stopping.set()
        if self._restarting is not None:
            await self._restarting
        self._unready = await self._starting.take() or self._unready
        if self._unready is not None:
            self._unready.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._unready.wait, KILL_LIMIT_S)
            self._unready = None
        link, self._link = self._link, None
        if link is not None:
            await link.end()

    async def _spawn(self) -> _Link:
        self._placement.check()
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise StoreUnavailable(f"no writer process: {error}") from error
        ours.setblocking(False)
        try:
            # The start of a process blocks for some milliseconds, so it is not done on the loop.
            self._unready = process = await self._starting.run(partial(self._popen, theirs))
        except (OSError, RuntimeError) as error:  # No descriptor, no process, or no thread that starts it.
            ours.close()
            theirs.close()
            raise StoreUnavailable(f"no writer process: {error}") from error
        except BaseException:
            ours.close()
            raise
        loop = asyncio.get_running_loop()
        try:
            _, link = await loop.create_unix_connection(lambda: _Link(process, self._lost), sock=ours)
        except BaseException as error:
            ours.close()
            process.kill()
            if isinstance(error, OSError):
                raise StoreUnavailable(f"no writer process: {error}") from error
            raise
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
        self._unready = None
        return link

    def _popen(self, stream: socket.socket) -> subprocess.Popen[bytes]:
        # With -P and PYTHONPATH the child imports the same packages as this process, never from the working directory.
        with stream:
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
            # `stop` ends the restart here, never during a start. So no started process is forgotten.
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
        """Count one more crash. Returns the seconds until the next start, or None if there have been too many."""
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
        """Empty if the process is ready, otherwise the reason why not."""
        self._lost = lost
        self._closed: asyncio.Future[None] = loop.create_future()
        self._frames = FrameReader()
        self._pending: deque[tuple[asyncio.Future[list[Refusal | None]], int, int]] = deque()
        """(answer, number of slices, number of bytes) of each commit in flight. The slices are not kept."""
        self._bytes = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio's transports, but not their classes.
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
        if self._pending and self._bytes + size > OUTSTANDING_BYTES_MAX:
            answer.set_result(_failed(len(slices), "the writer process is behind"))
            return answer
        self._bytes += size
        self._pending.append((answer, len(slices), size))
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
        answer, _, size = self._pending.popleft()
        self._bytes -= size
        if not answer.done():
            answer.set_result(outcomes)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.hello.done():
            self.hello.set_result("it ended before it was ready")
        while self._pending:
            answer, count, _ = self._pending.popleft()
            if not answer.done():
                answer.set_result(_failed(count, "the writer process is gone"))
        self._closed.set_result(None)
        self._lost(self)

    async def end(self) -> None:
        """Let the process finish, and wait for its end. If that takes too long, it is killed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STOP_LIMIT_S
        if not self._transport.is_closing():
            self._transport.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(self._closed)
        # The process makes a checkpoint after it has closed the connection.
        if not await self._has_ended(deadline - loop.time()):
            log.error("the writer process did not end within %g s and is killed", STOP_LIMIT_S)
            await self.kill(KILL_LIMIT_S)

    async def kill(self, limit_s: float | None = None) -> None:
        """Kill the process, and wait for its end."""
        self.process.kill()
        self._transport.abort()
        await self._closed
        await self._has_ended(limit_s)

    async def _has_ended(self, limit_s: float | None) -> bool:
        """Wait for the process. Returns whether it has ended within the limit."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self.process.wait, None if limit_s is None else max(limit_s, 0.0))
        return self.process.poll() is not None


def _failed(count: int, detail: str) -> list[Refusal | None]:
    return [Refusal(Reason.FAILED, detail)] * count
