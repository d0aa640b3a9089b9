"""Virtual time and processes: one kernel, a loop for each process, every choice of order from one seed.

A process is an asyncio loop whose callbacks are the kernel's to run. Its own callbacks keep their order, as asyncio
promises; which process goes on next, and which of two timers of one moment comes first, is drawn.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

    from greenroom.tests.simulation.network import Network

__all__ = ["Kernel", "ProcessLoop", "Stuck"]

STEPS_LIMIT = 2_000_000
"""Maximum number of callbacks in one run. A run with more never ends."""


class Stuck(Exception):
    """There is no callback left to run, or the run never ends."""


class Kernel:
    """The clock, and all pending events. `trace` has all past events, in order."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.trace: list[tuple[Any, ...]] = []
        self.troubles: list[str] = []
        """Unexpected exceptions that reached a loop."""
        self._timers: list[tuple[float, float, int, asyncio.TimerHandle]] = []
        self._number = 0
        self._processes: list[ProcessLoop] = []

    def note(self, *what: Any) -> None:
        """A line of the trace."""
        self.trace.append((round(self.now, 9), *what))

    def process(self, name: str, network: Network) -> ProcessLoop:
        loop = ProcessLoop(self, name, network)  # type: ignore[abstract]
        self._processes.append(loop)
        return loop

    def add_timer(self, handle: asyncio.TimerHandle) -> None:
        self._number += 1
        heapq.heappush(self._timers, (handle.when(), self.random.random(), self._number, handle))

    def later(self, loop: ProcessLoop, delay_s: float, callback: Callable[..., object], *args: Any) -> None:
        """Let a process run a callback after a delay, if it is then alive."""
        loop.call_at(self.now + delay_s, callback, *args)

    def forget(self, loop: ProcessLoop) -> None:
        self._processes.remove(loop)

    def run(self, loop: ProcessLoop, main: Coroutine[Any, Any, Any]) -> Any:
        """Run everything until `main`, a task of `loop`, is done."""
        done = loop.create_task(main)
        for _ in range(STEPS_LIMIT):
            if done.done():
                return None if done.cancelled() else done.result()
            self._step()
        raise Stuck("the run does not end")

    def _step(self) -> None:
        """One round: the ready callbacks of one process, or, if no process has any, the next moment of time."""
        able = [loop for loop in self._processes if loop.ready]
        if able:
            able[0 if len(able) == 1 else self.random.randrange(len(able))].run_round()
            return
        timers = self._timers
        while timers:
            when, _, _, handle = heapq.heappop(timers)
            loop: Any = handle._loop  # type: ignore[attr-defined]
            if not handle.cancelled() and not loop.is_dead:
                self.now = max(self.now, when)
                loop.ready.append(handle)
                return
        raise Stuck("nobody waits for anything")


class ProcessLoop(asyncio.AbstractEventLoop):
    """The parts of a loop that asyncio and the node need. `kill` ends it as SIGKILL does: none of its callbacks run."""

    def __init__(self, kernel: Kernel, name: str, network: Network) -> None:
        self.kernel = kernel
        self.name = name
        self.network = network
        self.ready: deque[asyncio.Handle] = deque()
        self.is_dead = False
        self.on_kill: list[Callable[[], None]] = []

    def run_round(self) -> None:
        asyncio._set_running_loop(self)
        try:
            for _ in range(len(self.ready)):
                if not self.ready:  # Killed by the callback before.
                    break
                handle = self.ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(None)

    def kill(self) -> None:
        self.is_dead = True
        self.ready.clear()
        self.kernel.forget(self)
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        for callback in self.on_kill:
            callback()

    # asyncio's side.

    def time(self) -> float:
        return self.kernel.now

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.is_dead:
            self.ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.kernel.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self.is_dead:
            self.kernel.add_timer(handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """The timer is skipped when it is due."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Context | None = None) -> Any:
        return asyncio.Task(coro, loop=self, name=name or "task", context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """The work of a thread takes no time; its result arrives in a later round."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return self.network.listen(self, protocol_factory)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self.is_dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_dead:
            error = context.get("exception")
            self.kernel.troubles.append(f"{self.name}: {context.get('message')}: {error!r}")
