"""The writer in a thread, for hosts without child processes, or on the loop itself."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Final

import apsw

from greenroom.persistence.sqlite.thread_call import ThreadCall
from greenroom.persistence.store import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.sqlite.writer import Writer
    from greenroom.persistence.store import Slice

__all__ = ["InlineWriter", "ThreadWriter"]

IDLE_S: Final = 0.05
"""After this time without a batch, the writer may make a checkpoint."""
OUTSTANDING_MAX: Final = 10_000
"""Limit of unanswered slices. Beyond it, commits are refused, because the disk is too slow."""

_Answer = asyncio.Future[list[Refusal | None]]
_Batch = tuple[_Answer, "Sequence[Slice]"]


class ThreadWriter:
    """Commits in a thread. Batches that wait at the same time become one transaction. If the thread fails, `lost` gets
    the reason, and every unanswered and every later commit is FAILED."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._queue: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread | None = None
        self._opening: ThreadCall[bool] = ThreadCall()
        self._outstanding = 0
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """The reason why the thread has failed."""

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._opening.run(self._open)
        self._thread = threading.Thread(target=self._run, name="greenroom-writer", daemon=True)
        self._thread.start()

    def commit(self, slices: Sequence[Slice]) -> _Answer:
        answer: _Answer = self._loop.create_future()
        if self._thread is None or self._outstanding + len(slices) > max(OUTSTANDING_MAX, len(slices)):
            answer.set_result([Refusal(Reason.FAILED, "the writer is behind or stopped")] * len(slices))
            return answer
        self._outstanding += len(slices)
        self._queue.put((answer, slices))
        return answer

    async def stop(self) -> None:
        if await self._opening.take():
            self._writer.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)
            # The thread's last answers are already scheduled on the loop: let them run.
            await asyncio.sleep(0)

    def _open(self) -> bool:
        self._writer.open()
        return True

    def _run(self) -> None:
        batches: list[_Batch] = []
        try:
            self._work(batches)
        except Exception as error:
            with contextlib.suppress(apsw.Error):
                self._writer.close()
            self._loop.call_soon_threadsafe(self._failed_by, batches, type(error).__name__)

    def _work(self, batches: list[_Batch]) -> None:
        """Commit until `stop`. `batches` are the batches that are not answered yet."""
        pause_s: float | None = IDLE_S
        ended = False
        while not ended:
            try:
                first = self._queue.get(timeout=pause_s)
            except queue.Empty:
                pause_s = self._writer.idle()
                continue
            pause_s = IDLE_S
            while first is not None:
                batches.append(first)
                try:
                    first = self._queue.get_nowait()
                except queue.Empty:
                    break
            else:
                ended = True
            outcomes = self._writer.commit([slice_ for _, slices in batches for slice_ in slices])
            self._loop.call_soon_threadsafe(self._answer, tuple(batches), outcomes)
            batches.clear()
        self._writer.close()

    def _failed_by(self, batches: list[_Batch], error: str) -> None:
        self._thread = None
        while not self._queue.empty():
            if (batch := self._queue.get()) is not None:
                batches.append(batch)
        refusal = Refusal(Reason.FAILED, f"the writer failed: {error}")
        self._answer(batches, [refusal] * sum(len(slices) for _, slices in batches))
        self.lost.set_result(f"the writer's thread failed: {error}")

    def _answer(self, batches: Sequence[_Batch], outcomes: list[Refusal | None]) -> None:
        start = 0
        for answer, slices in batches:
            end = start + len(slices)
            if not answer.done():
                answer.set_result(outcomes[start:end])
            start = end
        self._outstanding -= start


class InlineWriter:
    """Commits at once, on the loop, for stores in memory and for tools."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """It is never done."""

    async def start(self) -> None:
        self.writer.open()

    def commit(self, slices: Sequence[Slice]) -> _Answer:
        answer: _Answer = asyncio.get_running_loop().create_future()
        answer.set_result(self.writer.commit(slices))
        return answer

    async def stop(self) -> None:
        self.writer.close()
