"""Feed: reads the committed events for one subscriber. Offline push, webhooks, an event log and a search index can be
subscribers. No chat message waits for a subscriber."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final, Protocol

from greenroom.actors.runtime.frames import frames_of
from greenroom.persistence.errors import StoreUnavailable
from greenroom.persistence.store import AddSubscriber, MoveCursor, Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.actors.runtime.sampling import Sampler
    from greenroom.persistence.store import AnyWrite, Cursor, Event, Store

__all__ = ["CommitSignal", "Feed", "Subscriber", "check_subscriber"]

log = logging.getLogger("greenroom.feed")

EVENTS_PER_READ: Final = 500
IDLE_S: Final = 10.0
"""Seconds that a feed waits for a commit. After that it reads anyway."""
CURSOR_S: Final = 1.0
"""Minimum number of seconds between two writes of a cursor. After a crash, later events are delivered again."""
BACKOFF_S: Final = 0.1
BACKOFF_MAX_S: Final = 30.0
"""Seconds to wait after a failure of the subscriber or the store, which double with each failure in a row."""


class Subscriber(Protocol):
    """Something that receives the committed events."""

    @property
    def name(self) -> str:
        """The name under which its cursor is stored. With another name, the subscriber begins as a new one."""

    @property
    def from_first_message(self) -> bool:
        """Whether a new subscriber begins with the first stored message, instead of with the next commit."""

    async def take(self, events: Sequence[Event], *, missed: bool) -> None:
        """Handle these events. If this raises, the same events are delivered again after a back-off.

        Order: commit order within each key. Duplication: after a crash the last events are delivered again. Loss: none,
        unless `missed` is True. In that case earlier events were dropped, because this subscriber was too far behind.
        """


def check_subscriber(subscriber: object) -> None:
    """Raises TypeError or ValueError if this is no `Subscriber`, so that its host learns it before the node starts."""
    kind = subscriber.__name__ if isinstance(subscriber, type) else type(subscriber).__name__
    if isinstance(subscriber, type):
        raise TypeError(f"{kind} is a class: give an instance of it as the subscriber")
    for name, wanted in (("name", str), ("from_first_message", bool)):
        if not isinstance(getattr(subscriber, name, None), wanted):
            raise TypeError(f"{kind} is no subscriber: its `{name}` must be a {wanted.__name__}")
    if not callable(getattr(subscriber, "take", None)):
        raise TypeError(f"{kind} is no subscriber: it must have a method `take`")
    if not getattr(subscriber, "name", ""):
        raise ValueError(f"the `name` of the subscriber {kind} is empty")


class CommitSignal:
    """Lets feeds wait for the next commit. While no feed waits, it costs a commit two attribute accesses."""

    def __init__(self) -> None:
        self.count = 0
        """The number of commits so far."""
        self._waiting: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        """Wake the waiting feeds, because something was committed."""
        self.count += 1
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self, seen: int, *, timeout_s: float) -> None:
        """Return once there have been more commits than `seen`, or after `timeout_s`."""
        if self.count != seen:
            return
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(committed)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await committed


class Feed:
    """Reads the events for one subscriber, from `start` to `stop`."""

    def __init__(self, subscriber: Subscriber, *, store: Store, commits: CommitSignal, sampler: Sampler) -> None:
        self.subscriber = subscriber
        self._store = store
        self._commits = commits
        self._sampler = sampler
        self._cursor: Cursor | None = None
        self._is_stored = True
        """Whether the current cursor is stored."""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to read."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop reading, and store the cursor. Does nothing to a feed that is not running."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if not self._is_stored:
                with contextlib.suppress(StoreUnavailable):
                    await self._store_cursor()

    async def _run(self) -> None:
        backoff = BACKOFF_S
        # A subscriber may suppress the cancellation of `stop`.
        while self._task is asyncio.current_task():
            try:
                await self._follow()
                backoff = BACKOFF_S
            except Exception as error:
                # The text of the error may quote a message, so it is not logged.
                name, kind, place = self.subscriber.name, type(error).__name__, frames_of(error)[-1]
                times = self._sampler.take(("feed", name, kind, place))
                if times:
                    log.error("subscriber %s: %s at %s (%d such since the last line)", name, kind, place, times)
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, BACKOFF_MAX_S)

    async def _follow(self) -> None:
        """Deliver the next events to the subscriber, or wait for events."""
        if self._cursor is None:
            self._cursor = await self._subscribe()
            self._stored_at = self._now()
        seen = self._commits.count
        tail = await self._store.tail(self._cursor, EVENTS_PER_READ)
        if tail.events or tail.missed:
            await self.subscriber.take(tail.events, missed=tail.missed)
        if tail.cursor != self._cursor:
            self._cursor, self._is_stored = tail.cursor, False
        due_s = self._stored_at + CURSOR_S - self._now()
        if not self._is_stored and due_s <= 0:
            await self._store_cursor()
        if not tail.events:
            await self._commits.wait(seen, timeout_s=IDLE_S if self._is_stored else max(due_s, 0.0))
        else:
            await asyncio.sleep(0)  # Let other tasks run between two parts of a long history.

    async def _subscribe(self) -> Cursor:
        name = self.subscriber.name
        known = await self._store.subscribers()
        if name not in known:
            await self._commit(AddSubscriber(name, self.subscriber.from_first_message))
            known = await self._store.subscribers()
        return known[name]

    async def _store_cursor(self) -> None:
        assert self._cursor is not None
        cursor = self._cursor
        await self._commit(MoveCursor(self.subscriber.name, cursor))
        self._is_stored = cursor == self._cursor
        self._stored_at = self._now()

    async def _commit(self, write: AnyWrite) -> None:
        (refusal,) = await self._store.commit([Slice(f"feed/{self.subscriber.name}", self._store.epoch, [write])])
        if refusal is not None:
            raise StoreUnavailable(refusal.detail or refusal.reason)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
