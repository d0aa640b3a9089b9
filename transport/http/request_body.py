"""Request bodies as they arrive, and the limit of the memory of all bodies. The connection limits their time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from greenroom.actors.errors import ArgsError
from greenroom.transport.http.http_request import ClientDisconnected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from greenroom.transport.http.http_request import HttpRequest

__all__ = ["Bodies", "BodiesFull", "BodyRoom", "chunks", "discard", "read_whole"]


class BodiesFull(Exception):
    """All bodies together exceed the limit, and this one was refused or evicted."""


class Bodies:
    """Counts the bytes of all requests' bodies, or of one user's. When a body would exceed the limit, the largest body
    that is still arriving is evicted. So clients that send much and then stall take room only from each other."""

    def __init__(self, limit_bytes: int, *, user_limit_bytes: int | None = None) -> None:
        """`user_limit_bytes` is the limit of the bodies of one user."""
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self.arriving: set[BodyRoom] = set()
        self._user_limit_bytes = limit_bytes if user_limit_bytes is None else user_limit_bytes
        self._users: dict[str, Bodies] = {}
        """The bodies of each user who has any."""

    def of_user(self, user_id: str) -> Bodies:
        bodies = self._users.get(user_id)
        if bodies is None:
            bodies = self._users[user_id] = Bodies(self._user_limit_bytes)
        return bodies

    def forget_empty(self, user_id: str) -> None:
        """Forget this user, if they have no bodies."""
        bodies = self._users.get(user_id)
        if bodies is not None and not bodies.size_bytes and not bodies.arriving:
            del self._users[user_id]


class BodyRoom:
    """The room of one request's body, until `release`."""

    def __init__(self, bodies: Bodies, reader: asyncio.Task[None] | None, user_id: str) -> None:
        """`reader` is cancelled if the body is evicted. With an empty `user_id` no user's limit holds."""
        self._all = bodies
        self._user_id = user_id
        self._counted_in = (bodies.of_user(user_id), bodies) if user_id else (bodies,)
        self._reader = reader
        self.size = 0
        self.is_evicted = False
        for each in self._counted_in:
            each.arriving.add(self)

    def reserve(self, size: int) -> None:
        """Reserve `size` more bytes. Raises BodiesFull."""
        for bodies in self._counted_in:
            while bodies.size_bytes + size > bodies.limit_bytes:
                largest = max(bodies.arriving, key=lambda each: each.size)
                if largest.size <= self.size:
                    raise BodiesFull
                largest.evict()
        for bodies in self._counted_in:
            bodies.size_bytes += size
        self.size += size

    def evict(self) -> None:
        self.is_evicted = True
        self.release()
        if self._reader is not None:
            self._reader.cancel()

    def mark_complete(self) -> None:
        """The body is complete, and can no longer be evicted."""
        for bodies in self._counted_in:
            bodies.arriving.discard(self)

    def release(self) -> None:
        for bodies in self._counted_in:
            bodies.arriving.discard(self)
            bodies.size_bytes -= self.size
        self.size = 0
        self._all.forget_empty(self._user_id)


async def read_whole(
    request: HttpRequest, bodies: Bodies, *limits_bytes: int, user_id: str = ""
) -> tuple[bytes, BodyRoom]:
    """The body, and its room, which the caller must release. A body beyond the lowest of the limits is refused, and no
    more of it is received than shows this. `user_id` is the user whose bodies have a limit together, if there is one.

    Raises ArgsError, ClientDisconnected, BodiesFull.
    """
    limit_bytes = min(limits_bytes)
    if request.content_length > limit_bytes:
        raise _too_long(limit_bytes)
    task = asyncio.current_task()
    room = BodyRoom(bodies, task, user_id)
    try:
        body = bytearray()
        while request.more_body:
            chunk = await request.receive()
            if len(body) + len(chunk) > limit_bytes:
                raise _too_long(limit_bytes)
            room.reserve(len(chunk))
            body += chunk
    except BaseException as error:
        room.release()
        if room.is_evicted and isinstance(error, asyncio.CancelledError) and task is not None and not task.uncancel():
            raise BodiesFull from None
        raise
    room.mark_complete()
    return bytes(body), room


def _too_long(limit_bytes: int) -> ArgsError:
    return ArgsError(f"the body is longer than {limit_bytes} bytes")


async def chunks(request: HttpRequest) -> AsyncIterator[bytes]:
    """The body in pieces. Its size has no limit: the socket is read only as pieces are consumed.

    Raises ClientDisconnected.
    """
    while request.more_body:
        chunk = await request.receive()
        if chunk:
            yield chunk


async def discard(request: HttpRequest) -> None:
    """Receive and discard the rest of the body: a client that is still sending does not read its answer yet."""
    with contextlib.suppress(ClientDisconnected):
        while request.more_body:
            await request.receive()
