"""Bounds the memory of answers that clients do not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

__all__ = ["UnsentAnswers"]


class UnsentAnswers:
    """Counts what is written to connections and not yet received by their clients. When a further long answer would
    exceed the limit, the connection with the most unsent bytes is aborted. So clients that read nothing take room only
    from each other, until `http.write_timeout_s` ends them."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._transports: set[asyncio.Transport] = set()
        """The connections that were written a long answer, and may not have received it yet."""

    def make_room(self, transport: asyncio.Transport, size: int) -> None:
        """To be called before so many bytes are written."""
        unsent = {one: one.get_write_buffer_size() for one in self._transports if not one.is_closing()}
        self._transports = {one for one, unsent_bytes in unsent.items() if unsent_bytes}
        total = sum(unsent.values()) + size
        while total > self._limit_bytes and self._transports:
            largest = max(self._transports, key=lambda one: unsent[one])
            self._transports.discard(largest)
            total -= unsent[largest]
            largest.abort()
        if not transport.is_closing():
            self._transports.add(transport)
