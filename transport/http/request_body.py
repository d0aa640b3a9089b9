"""Request bodies as they arrive, and the memory that all of them may hold. The connection limits their time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from greenroom.transport.http.http_request import ClientGone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from greenroom.transport.http.http_request import HttpRequest

__all__ = ["Bodies", "BodiesFull", "BodyRoom", "chunks", "discard", "read_whole"]


class BodiesFull(Exception):
    """All bodies together are too large, and this one had to give way."""


class Bodies:
    """Counts the bytes that the bodies of all requests hold. When a body would exceed the limit, the largest of those
    that are still arriving gives way. So clients that send much and stall take room from each other only."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.coming: set[BodyRoom] = set()


class BodyRoom:
    """The bytes that one request's body holds; `leave` gives them back."""

    __slots__ = ("_bodies", "_reader", "gave_way", "size")

    def __init__(self, bodies: Bodies, reader: asyncio.Task[None] | None) -> None:
        """`reader` is cancelled if the body has to give way."""
        self._bodies = bodies
        self._reader = reader
        self.size = 0
        self.gave_way = False
        bodies.coming.add(self)

    def take(self, size: int) -> None:
        """Raises BodiesFull."""
        bodies = self._bodies
        while bodies.held_bytes + size > bodies.limit_bytes:
            largest = max(bodies.coming, key=lambda each: each.size)
            if largest.size <= self.size:
                raise BodiesFull
            largest.give_way()
        bodies.held_bytes += size
        self.size += size

    def give_way(self) -> None:
        self.gave_way = True
        self.leave()
        if self._reader is not None:
            self._reader.cancel()

    def arrived(self) -> None:
        """The body is whole, and will not have to give way."""
        self._bodies.coming.discard(self)

    def leave(self) -> None:
        self._bodies.coming.discard(self)
        self._bodies.held_bytes -= self.size
        self.size = 0


async def read_whole(request: HttpRequest, bodies: Bodies, limit_bytes: int) -> tuple[bytes, BodyRoom]:
    """The body, cut at the limit, and the room that it holds until the caller leaves that. What is beyond the limit is
    not received. Raises ClientGone, BodiesFull."""
    task = asyncio.current_task()
    room = BodyRoom(bodies, task)
    try:
        body = bytearray()
        while request.more_body and len(body) < limit_bytes:
            chunk = (await request.receive())[: limit_bytes - len(body)]
            room.take(len(chunk))
            body += chunk
    except BaseException as error:
        room.leave()
        if room.gave_way and isinstance(error, asyncio.CancelledError) and task is not None and not task.uncancel():
            raise BodiesFull from None
        raise
    room.arrived()
    return bytes(body), room


async def chunks(request: HttpRequest) -> AsyncIterator[bytes]:
    """The body in pieces. Its size has no limit: the socket is read only as pieces are asked for.

    Raises ClientGone.
    """
    while request.more_body:
        chunk = await request.receive()
        if chunk:
            yield chunk


async def discard(request: HttpRequest) -> None:
    """Receive the rest of the body. A client that still sends does not read its answer yet."""
    with contextlib.suppress(ClientGone):
        while request.more_body:
            await request.receive()
