"""The session table: the live connections and the presence watchers of each user. All pushes go through it."""

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
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from greenroom.actors.audience import Audience
    from greenroom.actors.health import Health
    from greenroom.actors.messages import Push
    from greenroom.actors.ports import Session

__all__ = ["SessionTable", "SessionView"]

_PRESENCE_DELAY_S = 1.0
"""Seconds by which a change of presence is delayed, so that several changes are pushed together."""
_PRESENCE_DELAY_MAX_S = 10.0
"""The longest delay while the node is overloaded."""
_PRESENCE_CHANGES_AT_ONCE = 256
"""Maximum number of changes pushed in one iteration of the loop. Further changes wait for the next one."""
_PUSHES_AT_ONCE = 100
"""The same for pushes that are different for each user."""


class SessionView(msgspec.Struct, frozen=True):
    """One connection, as its User and the HTTP API see it. It holds a token, so it is never logged."""

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
    """The transport adds a connection, the connection's User opens it, and the transport removes it once it has closed,
    whatever the User does. Synchronous; never blocks.

    Order: pushes reach a connection in the order of the calls. Loss: a connection that does not drain is closed, and
    its client pulls what it missed. An iOS connection in the background gets no pushes, because APNs wakes it.

    Watchers get presence once a second: one push with the current platforms of all watched users whose platforms have
    changed. A change that is undone within that second is not pushed. While the node is overloaded, changes wait for at
    most ten seconds.
    """

    def __init__(
        self,
        *,
        watched_users_limit: int,
        health: Health,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`clock` gives seconds; it measures how long broadcasts take to write."""
        self._watched_users_limit = watched_users_limit
        self.pushes = 0
        """Number of message frames that were passed to connections since the node started."""
        self._health = health
        self._loop = loop
        # Watched users whose platforms may have changed, with the platforms that their watchers know (None if not all
        # watchers know the same).
        self._presence_changes: dict[str, list[int] | None] = {}
        self._presence_timer: asyncio.Handle | None = None
        self._presence_due = 0.0
        self._broadcasts = Broadcasts(loop, clock)
        # The reach of each audience. Cleared whenever a connection is opened or closed.
        self._reaches: WeakKeyDictionary[Audience, Reach] = WeakKeyDictionary()
        self._sessions: dict[Address, Session] = {}
        # Tuples, so that a push can iterate over one while a connection is opened or closed.
        self._open: dict[str, tuple[Session, ...]] = {}
        self._watchers: dict[str, dict[Session, None]] = {}

    def __len__(self) -> int:
        """The number of connections, opened or not."""
        return len(self._sessions)

    # The transport's side.

    def add(self, session: Session) -> None:
        """Add a connection, so that it can be opened."""
        self._sessions[session.address] = session

    def remove(self, session: Session) -> None:
        """Remove a connection that has closed. A connection that is not in the table is ignored."""
        if self._sessions.pop(session.address, None) is not None:
            self.close(session.user_id, session.address, _session=session)
            for user_id in session.watched or ():
                self._unwatch(session, user_id)
            session.watched = None

    def charge(self, connection: Address) -> None:
        """Note that a request of this connection crashed an entity. A connection that has closed is ignored."""
        session = self._sessions.get(connection)
        if session is not None:
            session.charge()

    def forget_reaches(self) -> None:
        """Clear the computed reaches, because the connections that get pushes have changed."""
        self._reaches.clear()

    def hand_over(self) -> None:
        """Put gathered broadcasts into the outboxes. Needed before a connection closes after writing its outbox."""
        self._broadcasts.hand_over()

    # The actors' side.

    def open(self, user_id: str, connection: Address) -> None:
        """From now on write the user's pushes to this connection. A connection that has closed meanwhile is ignored."""
        session = self._sessions.get(connection)
        if session is None or session.user_id != user_id:
            return
        sessions = self._open.get(user_id, ())
        if session not in sessions:
            self._change(user_id, sessions, (*sessions, session))

    def close(self, user_id: str, connection: Address, *, _session: Session | None = None) -> None:
        """Undo `open`. A connection that is not open is ignored."""
        session = _session or self._sessions.get(connection)
        sessions = self._open.get(user_id, ())
        if session in sessions:
            self._change(user_id, sessions, tuple(each for each in sessions if each is not session))

    def is_online(self, user_id: str) -> bool:
        """Whether any connection of the user is open."""
        return user_id in self._open

    def push(self, push: Push, user_ids: Iterable[str]) -> list[str]:
        """Write one push to every open connection of these users. Returns the users without an open connection."""
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
                if _gets_no_pushes(session):
                    continue
                frame = frames.get(session.codec)
                if frame is None:
                    outgoing = outgoing or _pushed(push)
                    frame = frames[session.codec] = session.codec.encode_frame(outgoing)
                session.push(frame)
                pushes += 1
        self.pushes += pushes
        return absent

    def push_each(self, pushes: Iterator[tuple[Push, str]]) -> None:
        """Write each push to every open connection of its user: some at once, the others in the loop's next iterations.
        Other pushes may overtake those."""
        remaining = _PUSHES_AT_ONCE
        for push, user_id in pushes:
            self.push(push, (user_id,))
            remaining -= 1
            if not remaining:
                self._loop.call_soon(self.push_each, pushes)
                return

    def broadcast(self, push: Push, audience: Audience) -> list[str]:
        """Write one push to every open connection of an audience. Removes users without an open connection from
        the audience, and returns them."""
        absent: list[str] = []
        reach = self._reaches.get(audience)
        if reach is None or reach.version != audience.version:
            opened = self._open
            absent = [user_id for user_id in audience.users if user_id not in opened]
            audience.discard(absent)
            users = audience.users
            sessions = (each for user_id in users for each in opened[user_id] if not _gets_no_pushes(each))
            reach = self._reaches[audience] = Reach(sessions, audience.version)
        if reach.sessions:
            self._broadcasts.add(reach, _pushed(push))
            self.pushes += len(reach)
        return absent

    # Presence.

    def sessions_of(self, user_id: str) -> list[SessionView]:
        """The user's open connections, oldest first."""
        return [
            SessionView(each.address, each.platform_id, each.is_background, each.token, each.digest)
            for each in self._open.get(user_id, ())
        ]

    def online_platforms(self, user_id: str) -> list[int]:
        """The platforms that the user is connected from, each once, ascending."""
        return _platforms(self._open.get(user_id, ()))

    def watch(self, session: Session, subscribe: Sequence[str], unsubscribe: Sequence[str]) -> bytes:
        """Change the users that a connection watches. An id in both lists stays watched. Returns the presence of the
        subscribed users, as SubUserOnlineStatusTips. Raises WatchedUsersFull; then nothing has changed."""
        for name, ids in (("subscribeUserID", subscribe), ("unsubscribeUserID", unsubscribe)):
            if len(ids) > self._watched_users_limit:
                raise WatchedUsersFull(f"{name}: more than {self._watched_users_limit}")
        wanted = list(dict.fromkeys(subscribe))
        watched = session.watched or set()
        changed = watched.difference(unsubscribe).union(wanted)
        if len(changed) > self._watched_users_limit:
            raise WatchedUsersFull(f"subscribeUserID: more than {self._watched_users_limit}")
        for user_id in watched - changed:
            self._unwatch(session, user_id)
        if session.address in self._sessions:
            for user_id in changed - watched:
                self._watchers.setdefault(user_id, {})[session] = None
                if user_id in self._presence_changes:
                    self._presence_changes[user_id] = None
            session.watched = changed or None
        return self._presence(wanted)

    def _unwatch(self, session: Session, user_id: str) -> None:
        watchers = self._watchers.get(user_id)
        if watchers is not None:
            watchers.pop(session, None)
            if not watchers:
                del self._watchers[user_id]

    def _change(self, user_id: str, before: tuple[Session, ...], after: tuple[Session, ...]) -> None:
        self.forget_reaches()
        if after:
            self._open[user_id] = after
        else:
            self._open.pop(user_id, None)
        if user_id in self._watchers and user_id not in self._presence_changes:
            known = _platforms(before)
            if known != _platforms(after):
                self._presence_changes[user_id] = known
                if self._presence_timer is None:
                    self._presence_due = self._loop.time() + _PRESENCE_DELAY_MAX_S
                    self._presence_timer = self._loop.call_later(_PRESENCE_DELAY_S, self._push_presence)

    def _push_presence(self) -> None:
        """Push some of the changes. The others follow in the loop's next iteration."""
        if self._health.is_overloaded and self._loop.time() < self._presence_due:
            self._presence_timer = self._loop.call_later(_PRESENCE_DELAY_S, self._push_presence)
            return
        self._broadcasts.hand_over()
        changed: dict[Session, list[str]] = {}
        for user_id in list(self._presence_changes)[:_PRESENCE_CHANGES_AT_ONCE]:
            if self._presence_changes.pop(user_id) != self.online_platforms(user_id):
                for watcher in self._watchers.get(user_id, ()):
                    changed.setdefault(watcher, []).append(user_id)
        frames: dict[tuple[FrameEncoder, tuple[str, ...]], bytes] = {}
        for watcher, user_ids in changed.items():
            key = (watcher.codec, tuple(user_ids))
            frame = frames.get(key)
            if frame is None:
                outgoing = Outgoing(RequestId.PRESENCE, self._presence(user_ids))
                frame = frames[key] = watcher.codec.encode_frame(outgoing)
            watcher.push(frame)
        more = bool(self._presence_changes)
        self._presence_timer = self._loop.call_soon(self._push_presence) if more else None

    def _presence(self, user_ids: Iterable[str]) -> bytes:
        tips = sdkws_pb2.SubUserOnlineStatusTips()
        for user_id in user_ids:
            status = tips.subscribers.add()  # Fields given to `add` would take five times as long.
            status.userID = user_id
            status.onlinePlatformIDs.extend(self.online_platforms(user_id))
        return tips.SerializeToString()


def _gets_no_pushes(session: Session) -> bool:
    return session.platform_id == Platform.IOS and session.is_background


def _pushed(push: Push) -> Outgoing:
    return Outgoing(RequestId.PUSH, push_messages(push.conversation_id, push.message), push.operation_id)


def _platforms(sessions: tuple[Session, ...]) -> list[int]:
    return sorted({each.platform_id for each in sessions})
