"""A node in a thread of this process, whose loop notes how long its turns are by the CPU clock of that thread."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import TYPE_CHECKING, Any

from greenroom.persistence import settings as settings_module
from greenroom.supervisor import Node
from greenroom.tests.kit.node_kit import SECRET
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

__all__ = ["TURN_LIMIT_S", "TimedNode"]

TURN_LIMIT_S = 0.020
TRIES = 5


class _TimedLoop(asyncio.SelectorEventLoop):
    longest_turn_s = 0.0

    def _run_once(self) -> None:
        began = time.thread_time()
        super()._run_once()  # type: ignore[misc]
        self.longest_turn_s = max(self.longest_turn_s, time.thread_time() - began)


class TimedNode:
    """Has the addresses and tokens that a `NodeProcess` has, as far as devices need them."""

    def __init__(self, folder: Path, **overrides: dict[str, Any]) -> None:
        given: dict[str, dict[str, Any]] = {
            "node": {"ws_port": 0, "api_port": 0, "data_dir": str(folder / "data")}, "auth": {"secret": SECRET},
            **overrides,
        }  # fmt: skip
        self._settings = settings_module.load(environ={}, overrides=given)
        self._loop = _TimedLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="timed node")
        self.node = Node(self._settings)

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.node.ws_port}"

    @property
    def ws_port(self) -> int:
        return self.node.ws_port

    async def longest_turn_of(self, attack: Callable[[], Awaitable[object]]) -> float:
        """The longest turn during an attack, in seconds. One that is longer than TURN_LIMIT_S counts only if it is so
        each of TRIES times, because on a busy machine the same work takes more of the CPU's time."""
        for _ in range(TRIES):
            gc.collect()
            self._loop.longest_turn_s = 0.0
            await attack()
            if self._loop.longest_turn_s <= TURN_LIMIT_S:
                break
        return self._loop.longest_turn_s

    async def __aenter__(self) -> TimedNode:
        self._thread.start()
        await self._run(self.node.start())
        gc.collect()
        gc.disable()  # A collection would count as a turn, and a test's process has more objects than a node.
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        gc.enable()
        await self._run(self.node.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    async def tokens(self, *user_ids: str) -> dict[str, str]:
        async with Api(f"http://127.0.0.1:{self.node.api_port}") as api:
            admin = await api.admin_token(SECRET)
            await api.register(*user_ids, admin_token=admin)
            return {user: await api.user_token(user, platform_id=5, admin_token=admin) for user in user_ids}

    async def _run(self, work: Any) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
