"""The session table: the live connections by user, and who watches whose presence. All pushes go through it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import msgspec

from greenroom.actors.broadcasts import Broadcasts, Reach
from greenroom.actors.errors import WatchedUsersFull
from greenroom.actors.ports import FrameEncoder, Outgoing
from greenroom.actors.runtime.address import Address
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.splice import push_messages
from greenroom.actors.wire.vocabulary import Platform, RequestId

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from greenroom.actors.audience import Audience
    from greenroom.actors.health import Health
    from greenroom.actors.messages import Push
    from greenroom.actors.ports import Session

__all__ = ["SessionTable", "SessionView"]

_NEWS_S = 1.0
"""How long a change of presence waits, so that others are told together with it."""
_STRAINED_NEWS_S = 10.0
"""The same while the node has more to do than it can, at most."""
_NEWS_AT_ONCE = 256


class SessionView(msgspec.Struct, frozen=True):
    """One connection as its User and the HTTP side see it. Never logged: it holds a token."""

    address: Address
    platform_id: int
    is_background: bool
    token: str
    digest: bytes

    @property
    def connection_id(self) -> str:
        return self.address.id

    def __repr__(self) -> str:
        return f"SessionView(platform_id={self.platform_id}, connection_id={self.connection_id!r})"


class SessionTable:
    """A connection is added by its transport, opened by its User, and removed by its transport once it is gone,
    whatever its User does. Synchronous; never blocks.

    Order: pushes reach a connection in the order of the calls. Loss: a connection that does not drain is closed, and
    its client pulls what it missed. An iOS connection in the background gets no pushes: APNs wakes it.

    Presence goes to watchers once a second, one push for all of their users whose platforms have changed, as
    they are then; a change and its undoing in between are not told. While the node is overloaded it waits, for
    ten seconds at most.
    """

    def __init__(
        self,
        *,
        watched_users_limit: int,
        health: Health,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """By `clock` (seconds) the writing of broadcasts is timed."""
        self._watched_users_limit = watched_users_limit
        self.pushes = 0
        """Frames of messages handed to connections, since the node began."""
        self._health = health
        self._loop = loop
        # Watched users whose platforms may have changed: what their watchers know, None when they differ in that.
        self._news: dict[str, list[int] | None] = {}
        self._news_timer: asyncio.Handle | None = None
        self._news_due = 0.0
        self._broadcasts = Broadcasts(loop, clock)
        # What is known of audiences since a connection last came or went.
        self._reaches: WeakKeyDictionary[Audience, Reach] = WeakKeyDictionary()
        self._sessions: dict[Address, Session] = {}
        # Tuples, so that a push may go on over one while a connection comes or goes.
        self._open: dict[str, tuple[Session, ...]] = {}
        self._watchers: dict[str, dict[Session, None]] = {}

    def __len__(self) -> int:
        """How many connections there are, opened or not."""
        return len(self._sessions)

    # The transport's side.

    def add(self, session: Session) -> None:
        """Make a connection known, so that it can be opened."""
        self._sessions[session.address] = session

    def remove(self, session: Session) -> None:
        """The connection is gone. One that is not here is ignored."""
        if self._sessions.pop(session.address, None) is not None:
            self.close(session.user_id, session.address, _session=session)
            for user_id in session.watched or ():
                self._unwatch(session, user_id)
            session.watched = None

    def charge(self, connection: Address) -> None:
        """A request of this connection crashed an entity; one that has gone is ignored."""
        session = self._sessions.get(connection)
        if session is not None:
            session.charge()

    def reconsider(self) -> None:
        """A connection came, went, or is to hear more or less than before."""
        self._reaches.clear()

    def hand_over(self) -> None:
        """Put what was broadcast into the outboxes: a connection is about to close after what waits in its own."""
        self._broadcasts.hand_over()

    # The actors' side.

    def open(self, user_id: str, connection: Address) -> None:
        """From now on pushes to the user are written to this connection. One that has gone meanwhile is ignored."""
        session = self._sessions.get(connection)
        if session is None or session.user_id != user_id:
            return
        sessions = self._open.get(user_id, ())
        if session not in sessions:
            self._change(user_id, sessions, (*sessions, session))

    def close(self, user_id: str, connection: Address, *, _session: Session | None = None) -> None:
        """Undo `open`; a connection that is not open is ignored."""
        session = _session or self._sessions.get(connection)
        sessions = self._open.get(user_id, ())
        if session in sessions:
            self._change(user_id, sessions, tuple(each for each in sessions if each is not session))

    def is_online(self, user_id: str) -> bool:
        """Whether any connection of the user is open."""
        return user_id in self._open

    def push(self, push: Push, user_ids: Iterable[str]) -> list[str]:
        """Write one push to every open connection of these users. Returns the users who have none."""
        self._broadcasts.hand_over()
        absent: list[str] = []
        outgoing: Outgoing | None = None
        frames: dict[FrameEncoder, bytes] = {}
        opened = self._open
        pushes = 0
        for user_id in user_ids:
            sessions = opened.get(user_id)
            if sessions is None:
                absent.append(user_id)
                continue
            for session in sessions:
                if _is_deaf(session):
                    continue
                frame = frames.get(session.codec)
                if frame is None:
                    outgoing = outgoing or _pushed(push)
                    frame = frames[session.codec] = session.codec.encode_frame(outgoing)
                session.push(frame)
                pushes += 1
        self.pushes += pushes
        return absent

    def broadcast(self, push: Push, audience: Audience) -> list[str]:
        """Write one push to every open connection of an audience. Drops the users who have none from the audience,
        and returns them."""
        absent: list[str] = []
        reach = self._reaches.get(audience)
        if reach is None or reach.version != audience.version:
            opened = self._open
            absent = [user_id for user_id in audience.users if user_id not in opened]
            audience.discard(absent)
            sessions = (each for user_id in audience.users for each in opened[user_id] if not _is_deaf(each))
            reach = self._reaches[audience] = Reach(sessions, audience.version)
        if reach.sessions:
            self._broadcasts.add(reach, _pushed(push))
            self.pushes += len(reach)
        return absent

    # Who is here.

    def sessions_of(self, user_id: str) -> list[SessionView]:
        """The user's open connections, oldest first."""
        return [
            SessionView(each.address, each.platform_id, each.is_background, each.token, each.digest)
            for each in self._open.get(user_id, ())
        ]

    def online_platforms(self, user_id: str) -> list[int]:
        """The platforms the user is connected from, each once, ascending."""
        return _platforms(self._open.get(user_id, ()))

    def watch(self, session: Session, subscribe: Iterable[str], unsubscribe: Iterable[str]) -> bytes:
        """Change whom a connection watches; an id in both lists stays watched. Answers the presence of those
        subscribed as SubUserOnlineStatusTips. Raises WatchedUsersFull, and then nothing has changed."""
        wanted = list(dict.fromkeys(subscribe))
        watched = session.watched or set()
        changed = watched.difference(unsubscribe).union(wanted)
        if len(changed) > self._watched_users_limit:
            raise WatchedUsersFull
        for user_id in watched - changed:
            self._unwatch(session, user_id)
        if session.address in self._sessions:
            for user_id in changed - watched:
                self._watchers.setdefault(user_id, {})[session] = None
                if user_id in self._news:
                    self._news[user_id] = None
            session.watched = changed or None
        return self._presence(wanted)

    def _unwatch(self, session: Session, user_id: str) -> None:
        watchers = self._watchers.get(user_id)
        if watchers is not None:
            watchers.pop(session, None)
            if not watchers:
                del self._watchers[user_id]

    def _change(self, user_id: str, before: tuple[Session, ...], after: tuple[Session, ...]) -> None:
        self.reconsider()
        if after:
            self._open[user_id] = after
        else:
            self._open.pop(user_id, None)
        if user_id in self._watchers and user_id not in self._news:
            known = _platforms(before)
            if known != _platforms(after):
                self._news[user_id] = known
                if self._news_timer is None:
                    self._news_due = self._loop.time() + _STRAINED_NEWS_S
                    self._news_timer = self._loop.call_later(_NEWS_S, self._tell_news)

    def _tell_news(self) -> None:
        """Some of the news; the rest when the loop has seen to others."""
        if self._health.is_overloaded and self._loop.time() < self._news_due:
            self._news_timer = self._loop.call_later(_NEWS_S, self._tell_news)
            return
        self._broadcasts.hand_over()
        told: dict[Session, list[str]] = {}
        for user_id in list(self._news)[:_NEWS_AT_ONCE]:
            if self._news.pop(user_id) != self.online_platforms(user_id):
                for watcher in self._watchers.get(user_id, ()):
                    told.setdefault(watcher, []).append(user_id)
        frames: dict[tuple[FrameEncoder, tuple[str, ...]], bytes] = {}
        for watcher, user_ids in told.items():
            key = (watcher.codec, tuple(user_ids))
            frame = frames.get(key)
            if frame is None:
                outgoing = Outgoing(RequestId.PRESENCE, self._presence(user_ids))
                frame = frames[key] = watcher.codec.encode_frame(outgoing)
            watcher.push(frame)
        self._news_timer = self._loop.call_soon(self._tell_news) if self._news else None

    def _presence(self, user_ids: Iterable[str]) -> bytes:
        tips = sdkws_pb2.SubUserOnlineStatusTips()
        for user_id in user_ids:
            tips.subscribers.add(userID=user_id, onlinePlatformIDs=self.online_platforms(user_id))
        return tips.SerializeToString()


def _is_deaf(session: Session) -> bool:
    return session.platform_id == Platform.IOS and session.is_background


def _pushed(push: Push) -> Outgoing:
    return Outgoing(RequestId.PUSH, push_messages(push.conversation_id, push.message), push.operation_id)


def _platforms(sessions: tuple[Session, ...]) -> list[int]:
    return sorted({each.platform_id for each in sessions})
