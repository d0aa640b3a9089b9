"""A call in a thread whose result is not lost when the task that waits for it is cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from greenroom.persistence.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ThreadCall"]

_Result = TypeVar("_Result")


class ThreadCall(Generic[_Result]):
    """Runs one call at a time in a thread of the loop's default executor. A thread cannot be cancelled: after its task
    was, the call goes on, and `take` waits for it and returns what must be closed. Each result has one owner."""

    def __init__(self) -> None:
        self._future: asyncio.Future[_Result] | None = None
        """The call whose result nobody has yet."""

    async def run(self, call: Callable[[], _Result]) -> _Result:
        """Run the call and return its result. Raises the call's errors, StoreUnavailable if `take` got the result, and
        RuntimeError if there is an earlier result that nobody has taken."""
        if self._future is not None:
            raise RuntimeError("the result of an earlier call was not taken")
        self._future = future = asyncio.get_running_loop().run_in_executor(None, call)
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError:
            raise
        except BaseException:
            if self._future is future:
                self._future = None
            raise
        if self._future is not future:
            raise StoreUnavailable("the store was closed while it was opened")
        self._future = None
        return future.result()

    async def take(self) -> _Result | None:
        """Wait for the call that runs, and return its result. None if there is no call, or if it failed. If this is
        cancelled, the result has no owner again."""
        future, self._future = self._future, None
        if future is None:
            return None
        try:
            await asyncio.wait([future])
        except BaseException:
            self._future = future
            raise
        return None if future.cancelled() or future.exception() is not None else future.result()
