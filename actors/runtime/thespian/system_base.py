"""The system bases, by the names that Thespian and its users import.

`LoopBase` uses a loop that is already running. `ActorSystemBase` has its own loop in a thread, so that Thespian's
blocking `ask`, `tell` and `listen` work as on any other base.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

from greenroom.actors.runtime.base import ChildCrashed, LoopBase

__all__ = ["ActorSystemBase", "ChildCrashed", "LoopBase"]


class ActorSystemBase(LoopBase):
    """A `LoopBase` with its own loop in a daemon thread, and with the constructor that Thespian expects.

    Actors run in that thread. `shutdown` ends it.
    """

    def __init__(self, system: Any, logDefs: Any = None) -> None:
        super().__init__(asyncio.new_event_loop(), logDefs)
        self.outside.bind(system)
        self._thread = threading.Thread(target=self._serve, name="greenroom-actors", daemon=True)
        started = threading.Event()
        self.loop.call_soon(started.set)
        self._thread.start()
        started.wait()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    def shutdown(self, *, grace_s: float = 5.0) -> Any:
        """Stop every actor, the loop and its thread. This blocks, unless an actor calls it."""
        if self.outside.on_loop():
            closing = super().shutdown(grace_s=grace_s)
            closing.add_done_callback(lambda _: self.loop.stop())
            return closing
        if self._thread.is_alive():
            super().shutdown(grace_s=grace_s)
            with contextlib.suppress(RuntimeError):  # The loop may have ended already.
                self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
        return None
