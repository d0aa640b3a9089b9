"""The session table: the live connections by user, and who watches whose presence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

import msgspec

from greenroom.actors.errors import WatchedUsersFull
from greenroom.actors.runtime.address import Address
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.splice import push_messages
from greenroom.actors.wire.vocabulary import Platform, RequestId
from greenroom.transport.broadcasts import Broadcasts, Listener, Reach
from greenroom.transport.envelope.codec import Response
from greenroom.transport.gateway.ready_frame import binary_frame

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from greenroom.actors.audience import Audience
    from greenroom.actors.messages import Push
    from greenroom.actors.strain import Strain
    from greenroom.transport.envelope.codec import Codec

__all__ = ["Session", "SessionTable", "SessionView"]

_NEWS_S = 1.0
"""What a change of presence waits for others to be told with it."""
_STRAINED_NEWS_S = 10.0
"""The same while the node's strain is high, at most."""
_NEWS_AT_ONCE = 256


class Session(Listener, Protocol):
    """What the table needs of a connection."""

    address: Address
    user_id: str
    platform_id: int
    is_background: bool
    token: str
    digest: bytes
    watched: set[str] | None
    """Whose presence it watches; the table's own."""

    def charge(self) -> None:
        """A request of this connection crashed an entity."""


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


class _Rendering:
    """One response on its way to many connections: encoded once for each kind of envelope, on demand."""

    __slots__ = ("_response", "frames")

    def __init__(self, response: Response) -> None:
        self._response = response
        self.frames: list[bytes | None] = [None, None, None, None]

    def encode(self, codec: Codec) -> bytes:
        frame = self.frames[codec.variant] = binary_frame(codec.encode_response(self._response))
        return frame


class SessionTable:
    """Implements `greenroom.actors.ports.Sessions`. A connection is added by its transport, opened by its
    User, and removed by its transport once the socket is gone, whatever its User does.

    Presence goes to watchers once a second, one push for all of their users whose platforms have changed, as
    they are then; a change and its undoing in between are not told. While the node's strain is high it waits, for
    ten seconds at most.
    """

    def __init__(
        self,
        *,
        watched_users_limit: int,
        strain: Strain,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """By `clock` (seconds) the writing of broadcasts is timed."""
        self._watched_users_limit = watched_users_limit
        self.pushes = 0
        """Frames of messages handed to connections, since the node began."""
        self._strain = strain
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
        """The connection is gone. One that is not here is passed over."""
        if self._sessions.pop(session.address, None) is not None:
            self.close(session.user_id, session.address, _session=session)
            for user_id in session.watched or ():
                self._unwatch(session, user_id)
            session.watched = None

    def charge(self, connection: Address) -> None:
        """A request of this connection crashed an entity; one that has gone is passed over."""
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
        """See `Sessions.open`. A connection that has gone meanwhile is passed over."""
        session = self._sessions.get(connection)
        if session is None or session.user_id != user_id:
            return
        sessions = self._open.get(user_id, ())
        if session not in sessions:
            self._change(user_id, sessions, (*sessions, session))

    def close(self, user_id: str, connection: Address, *, _session: Session | None = None) -> None:
        """See `Sessions.close`."""
        session = _session or self._sessions.get(connection)
        sessions = self._open.get(user_id, ())
        if session in sessions:
            self._change(user_id, sessions, tuple(each for each in sessions if each is not session))

    def is_online(self, user_id: str) -> bool:
        """Whether any connection of the user is open."""
        return user_id in self._open

    def push(self, push: Push, user_ids: Iterable[str]) -> list[str]:
        """See `Sessions.push`. An iOS connection in the background is passed over."""
        self._broadcasts.hand_over()
        absent: list[str] = []
        rendering: _Rendering | None = None
        frames: list[bytes | None] = []
        opened = self._open
        pushes = 0
        for user_id in user_ids:
            sessions = opened.get(user_id)
            if sessions is None:
                absent.append(user_id)
                continue
            if rendering is None:
                rendering = _Rendering(_pushed(push))
                frames = rendering.frames
            for session in sessions:
                if _is_deaf(session):
                    continue
                session.push(frames[session.codec.variant] or rendering.encode(session.codec))
                pushes += 1
        self.pushes += pushes
        return absent

    def broadcast(self, push: Push, audience: Audience) -> None:
        """See `Sessions.broadcast`. An iOS connection in the background is passed over."""
        reach = self._reaches.get(audience)
        if reach is None or reach.version != audience.version:
            opened = self._open
            audience.discard([user_id for user_id in audience.users if user_id not in opened])
            sessions = (each for user_id in audience.users for each in opened[user_id] if not _is_deaf(each))
            reach = self._reaches[audience] = Reach(sessions, audience.version)
        if reach.listeners:
            self._broadcasts.add(reach, _pushed(push))
            self.pushes += len(reach)

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
        if self._strain.is_high and self._loop.time() < self._news_due:
            self._news_timer = self._loop.call_later(_NEWS_S, self._tell_news)
            return
        self._broadcasts.hand_over()
        told: dict[Session, list[str]] = {}
        for user_id in list(self._news)[:_NEWS_AT_ONCE]:
            if self._news.pop(user_id) != self.online_platforms(user_id):
                for watcher in self._watchers.get(user_id, ()):
                    told.setdefault(watcher, []).append(user_id)
        renderings: dict[tuple[str, ...], _Rendering] = {}
        for watcher, user_ids in told.items():
            key = tuple(user_ids)
            rendering = renderings.get(key)
            if rendering is None:
                rendering = _Rendering(Response(req_identifier=RequestId.PRESENCE, data=self._presence(key)))
                renderings[key] = rendering
            watcher.push(rendering.frames[watcher.codec.variant] or rendering.encode(watcher.codec))
        self._news_timer = self._loop.call_soon(self._tell_news) if self._news else None

    def _presence(self, user_ids: Iterable[str]) -> bytes:
        tips = sdkws_pb2.SubUserOnlineStatusTips()
        for user_id in user_ids:
            tips.subscribers.add(userID=user_id, onlinePlatformIDs=self.online_platforms(user_id))
        return tips.SerializeToString()


def _is_deaf(session: Session) -> bool:
    return session.platform_id == Platform.IOS and session.is_background


def _pushed(push: Push) -> Response:
    data = push_messages(push.conversation_id, push.message)
    return Response(req_identifier=RequestId.PUSH, operation_id=push.operation_id, data=data)


def _platforms(sessions: tuple[Session, ...]) -> list[int]:
    return sorted({each.platform_id for each in sessions})
