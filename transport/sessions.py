"""The session table: the live connections by user, and who watches whose presence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from greenroom.actors.errors import WatchedUsersFull
from greenroom.actors.runtime.address import Address
from greenroom.transport.envelope import Response
from greenroom.transport.handshake import IOS
from greenroom.transport.ready_frame import binary_frame
from greenroom.transport.requests import PRESENCE, PUSH
from greenroom.transport.wire import sdkws_pb2
from greenroom.transport.wire.splice import push_messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom.actors.messages import Push
    from greenroom.transport.envelope import Codec

__all__ = ["Session", "SessionTable", "SessionView"]


class Session(Protocol):
    """What the table needs of a connection."""

    address: Address
    user_id: str
    platform_id: int
    is_background: bool
    token: str
    digest: bytes
    codec: Codec
    watched: set[str] | None
    """Whose presence it watches; the table's own."""

    def push(self, frame: bytes) -> None:
        """Write a ready frame, or lose it and close."""

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

    Presence goes to watchers at each change of the set of a user's platforms, in the order of the changes.
    """

    def __init__(self, *, watched_users_limit: int) -> None:
        self._watched_users_limit = watched_users_limit
        self.pushes = 0
        """Frames of messages handed to connections, since the node began."""
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
                rendering = _Rendering(
                    Response(
                        req_identifier=PUSH,
                        operation_id=push.operation_id,
                        data=push_messages(push.conversation_id, push.message),
                    )
                )
                frames = rendering.frames
            for session in sessions:
                if session.platform_id == IOS and session.is_background:
                    continue
                session.push(frames[session.codec.variant] or rendering.encode(session.codec))
                pushes += 1
        self.pushes += pushes
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
            session.watched = changed or None
        return self._presence(wanted)

    def _unwatch(self, session: Session, user_id: str) -> None:
        watchers = self._watchers.get(user_id)
        if watchers is not None:
            watchers.pop(session, None)
            if not watchers:
                del self._watchers[user_id]

    def _change(self, user_id: str, before: tuple[Session, ...], after: tuple[Session, ...]) -> None:
        if after:
            self._open[user_id] = after
        else:
            self._open.pop(user_id, None)
        watchers = self._watchers.get(user_id)
        if watchers and _platforms(before) != _platforms(after):
            rendering = _Rendering(Response(req_identifier=PRESENCE, data=self._presence((user_id,))))
            for watcher in tuple(watchers):
                watcher.push(rendering.frames[watcher.codec.variant] or rendering.encode(watcher.codec))

    def _presence(self, user_ids: Iterable[str]) -> bytes:
        tips = sdkws_pb2.SubUserOnlineStatusTips()
        for user_id in user_ids:
            tips.subscribers.add(userID=user_id, onlinePlatformIDs=self.online_platforms(user_id))
        return tips.SerializeToString()


def _platforms(sessions: tuple[Session, ...]) -> list[int]:
    return sorted({each.platform_id for each in sessions})
