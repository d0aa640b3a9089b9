"""A call in a thread whose result is not lost when the task that waits for it is cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ThreadCall"]

_Result = TypeVar("_Result")


class ThreadCall(Generic[_Result]):
    """Runs one call at a time in a thread of the loop's default executor. A thread cannot be cancelled: after its task
    was, the call goes on, and `abandoned` waits for it and returns what must be closed."""

    def __init__(self) -> None:
        self._future: asyncio.Future[_Result] | None = None

    async def run(self, call: Callable[[], _Result]) -> _Result:
        """Run the call and return its result. Raises the call's errors."""
        self._future = future = asyncio.get_running_loop().run_in_executor(None, call)
        try:
            result = await asyncio.shield(future)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._future = None
            raise
        self._future = None
        return result

    async def abandoned(self) -> _Result | None:
        """Wait for the call whose task was cancelled, and return its result. None if there is no such call, or if it
        failed. If this is cancelled, too, the next caller gets the result."""
        future = self._future
        if future is None:
            return None
        await asyncio.wait([future])
        if self._future is not future:
            return None
        self._future = None
        return None if future.cancelled() or future.exception() is not None else future.result()
