"""Request bodies: read whole, within a size and a time, which is longer for what keeps coming."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bodies", "BodiesFull", "BodyLate", "ClientGone", "Incoming", "Share", "read_body"]

_TIMEOUT_S = 10.0
"""The SDK gives up after 10 s; who sends nothing holds one of the bounded places."""
_BYTES_PER_S = 8192
"""What comes at this rate may take longer: a long list by a slow line."""
_EXCESS = 4
"""How many times the limit is read (and thrown away) so that the client hears the answer."""


class ClientGone(Exception):
    """The connection ended before the body did."""


class BodyLate(Exception):
    """The body did not come in time."""


class BodiesFull(Exception):
    """All bodies together are too large."""


class Incoming(Protocol):
    """A request's body on its way."""

    body: bytearray
    """What has come and was not received yet."""
    more_body: bool
    """Whether that is not all."""

    async def receive(self) -> bytes:
        """What has come since the last call; waits for some. Raises ClientGone."""


class Bodies:
    """Counts what the bodies of all requests hold; a context gives back what its request took."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0

    @contextlib.contextmanager
    def share(self) -> Iterator[Share]:
        share = Share(self)
        try:
            yield share
        finally:
            self.held_bytes -= share.size


class Share:
    """One request's part."""

    __slots__ = ("_bodies", "size")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.size = 0

    def take(self, size: int) -> None:
        """Raises BodiesFull."""
        if self._bodies.held_bytes + size > self._bodies.limit_bytes:
            raise BodiesFull
        self._bodies.held_bytes += size
        self.size += size


async def read_body(incoming: Incoming, limit_bytes: int, share: Share) -> tuple[bytes, bool]:
    """The body cut at the limit, and whether all of it was read from the socket.

    Raises ClientGone, BodyLate, BodiesFull.
    """
    if not incoming.more_body:
        share.take(min(len(incoming.body), limit_bytes))
        return bytes(incoming.body[:limit_bytes]), True
    try:
        async with asyncio.timeout(_TIMEOUT_S) as limit:
            return await _receive(incoming, limit_bytes, share, limit)
    except TimeoutError:
        raise BodyLate from None


async def _receive(
    incoming: Incoming, limit_bytes: int, share: Share, limit: asyncio.Timeout
) -> tuple[bytes, bool]:
    body, seen = bytearray(), 0
    end = limit.when() or 0.0
    while True:
        chunk = await incoming.receive()
        seen += len(chunk)
        limit.reschedule(end + seen / _BYTES_PER_S)
        kept = chunk[: limit_bytes - len(body)]
        share.take(len(kept))
        body += kept
        if not incoming.more_body:
            return bytes(body), True
        if seen > _EXCESS * limit_bytes:
            return bytes(body), False
