"""Awaits an awaitable for an actor, and reports its result. An awaitable that does not suspend needs no task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Generator

__all__ = ["drive"]

Settle = Callable[[Any, BaseException | None], None]


def drive(
    awaitable: Awaitable[Any],
    settle: Settle,
    *,
    eager: bool,
    start_task: Callable[[Coroutine[Any, Any, None]], object],
) -> None:
    """Await `awaitable`, and call `settle(value, error)` exactly once, now or later.

    With `eager`, a coroutine runs at once up to its first suspension, with no current task. Code that needs a task
    before it first suspends (`asyncio.timeout`, httpx) must be given with `eager=False`. A future costs one callback; a
    coroutine that suspends continues in a task.
    """
    if isinstance(awaitable, asyncio.Future):
        if awaitable.done():
            _settle_future(awaitable, settle)
        else:
            awaitable.add_done_callback(lambda future: _settle_future(future, settle))
        return
    if not eager or not asyncio.iscoroutine(awaitable):
        start_task(_finish(awaitable, settle))
        return
    try:
        yielded = awaitable.send(None)
    except StopIteration as stop:
        settle(stop.value, None)
    except (Exception, asyncio.CancelledError) as error:
        settle(None, error)
    else:
        start_task(_finish(_Suspended(awaitable, yielded), settle))


async def _finish(awaitable: Awaitable[Any], settle: Settle) -> None:
    try:
        value = await awaitable
    except asyncio.CancelledError as error:
        settle(None, error)
        raise
    except Exception as error:
        settle(None, error)
    else:
        settle(value, None)


def _settle_future(future: asyncio.Future[Any], settle: Settle) -> None:
    if future.cancelled():
        settle(None, asyncio.CancelledError())
    elif (error := future.exception()) is not None:
        settle(None, error)
    else:
        settle(future.result(), None)


class _Suspended:
    """A coroutine that has run up to its first suspension. An await continues it from there."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], yielded: Any) -> None:
        self.coroutine = coroutine
        self.yielded = yielded

    def __await__(self) -> Generator[Any, Any, Any]:
        yielded = self.yielded
        while True:
            try:
                sent = yield yielded
            except GeneratorExit:
                self.coroutine.close()
                raise
            except BaseException as error:
                resume: Callable[[Any], Any] = self.coroutine.throw
                argument: Any = error
            else:
                resume, argument = self.coroutine.send, sent
            try:
                yielded = resume(argument)
            except StopIteration as stop:
                return stop.value
