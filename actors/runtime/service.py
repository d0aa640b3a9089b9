"""Service: a fixed child that starts and stops a part of the node, such as the store or a listening socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from greenroom.actors.errors import GreenroomError
from greenroom.actors.runtime.entity import Entity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.replies import Piped

__all__ = ["Service", "ServiceFailed"]


class ServiceFailed(Exception):
    """A service failed with an error that is meant for clients. Raised as it is, it would only be an answer."""


class Service(Entity):
    """A fixed child that starts and stops a part of the node. An error of `start` is a crash of this child. So is an
    error of `watch`, which runs as long as the service works. The next incarnation starts the service again.

    `stop` is also called before each `start`, because the service may still run in part after a crash. So `stop` must
    accept a service that has already been stopped.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[None]],
        stop: Callable[[], Awaitable[None]],
        watch: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__()
        self._start = start
        self._stop = stop
        self._watch = watch

    def on_start(self) -> None:
        self.hold()
        self.pipe(self._start_again(), eager=False)

    async def _start_again(self) -> None:
        await self._stop()
        await self._start()

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        if isinstance(message.error, asyncio.CancelledError):
            return  # The host ends its loop without `stop`, and cancels all tasks. Nothing is started again there.
        if isinstance(message.error, GreenroomError):
            raise ServiceFailed(str(message.error)) from message.error
        if message.error is not None:
            raise message.error
        self.release()
        if self._watch is not None:
            watch, self._watch = self._watch, None
            self.pipe(watch(), eager=False)

    def on_stop(self) -> Awaitable[None]:
        return asyncio.ensure_future(self._stop())  # It needs a task, because some services use time-outs.
