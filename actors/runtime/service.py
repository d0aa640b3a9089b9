"""Service: a fixed child that runs something that can be started and stopped, such as a store or a listening socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from greenroom.actors.runtime.entity import Entity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.replies import Piped

__all__ = ["Service"]


class Service(Entity):
    """A fixed child that runs something that can be started and stopped. A failing `start` is a crash of this child. So
    is an error of `watch`, which waits for as long as the service works. The next life starts it again.

    `stop` is also called before each `start`, because parts may still run after a crash. So it must accept a service
    that is stopped already.
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
        if message.error is not None:
            raise message.error
        self.release()
        if self._watch is not None:
            watch, self._watch = self._watch, None
            self.pipe(watch(), eager=False)

    def on_stop(self) -> Awaitable[None]:
        return asyncio.ensure_future(self._stop())  # A task, because some services use time-outs.
