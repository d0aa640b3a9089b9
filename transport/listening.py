"""Listening sockets, and what happens on them when the process runs out of descriptors."""

from __future__ import annotations

import contextlib
import logging
import resource
import socket
from typing import TYPE_CHECKING, Final

from greenroom.actors.runtime.sampling import Sampler

if TYPE_CHECKING:
    import asyncio
    import ssl as tls
    from collections.abc import Callable

__all__ = ["Acceptor", "listening_socket", "raise_descriptor_limit", "warn_of_low_limit"]

log = logging.getLogger("greenroom.transport")

_BACKLOG_MAX: Final = 2048
"""Number of connections that may wait to be accepted, if the limit of descriptors is high enough. All of them may be
accepted in one turn of the loop."""
_RESERVE: Final = 32
"""Descriptors that are never given to connections: the store's files, and a new writer process."""
_RETRY_S: Final = 0.2


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of open files to the hard one, if the system lets it. The soft one is low for the
    sake of programs that use `select`. Returns the limit that holds afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return _descriptor_limit()


def warn_of_low_limit(connections: int) -> None:
    """Log a warning if the soft limit of open files, which only the process's own program may raise, is too low for
    this number of connections and the hard one is higher."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and _first_too_high() < connections:
        log.warning(
            "the node accepts connections while this process has fewer than %d files open: its limit is %d. The system "
            "allows %s; a program with a node in it may call greenroom.transport.listening.raise_descriptor_limit()",
            _first_too_high(), soft, "any number" if hard == resource.RLIM_INFINITY else hard,
        )  # fmt: skip


def _descriptor_limit() -> int:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit if limit != resource.RLIM_INFINITY else 1 << 30


def _first_too_high() -> int:
    """The lowest descriptor that no connection may have."""
    backlog, limit = _backlog(), _descriptor_limit()
    return limit - min(limit // 2, 2 * backlog + backlog // 2 + _RESERVE)


def _backlog() -> int:
    return max(16, min(_BACKLOG_MAX, _descriptor_limit() // 8))


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket for an `Acceptor`; port 0 takes a free port. Raises OSError if it cannot be bound.

    uvloop could bind the socket itself, but it would resolve the host (even a numeric address) in libuv's thread pool,
    whose four threads would then stay.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=_backlog())
    listening.setblocking(False)
    return listening


class Acceptor:
    """Accepts connections on one socket. Each connection passes its transport to `accepted` when it is made.

    When descriptors run out, nothing is accepted until some are free again: clients wait in the system's queue, and
    nobody is reset. A new socket has the lowest free descriptor, so a high one means that all below it are in use. It
    stops early enough for one more turn of the loop of each of two acceptors, and the store's reserve.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        *,
        ssl: tls.SSLContext | None = None,
    ) -> None:
        self._loop = loop
        self._make_protocol = make_protocol
        self._ssl = ssl
        self._server: asyncio.Server | None = None
        """None while nothing is accepted."""
        self._socket: socket.socket | None = None
        self._is_closed = False
        self._retry: asyncio.TimerHandle | None = None
        self._resuming: asyncio.Task[None] | None = None
        self._sampler = Sampler(loop.time)
        self._stop_at = _first_too_high()
        self.port = 0

    async def start(self, listening: socket.socket) -> None:
        """Accept connections on this socket, and close it in the end."""
        self._socket = listening
        server = await self._loop.create_server(
            self._make_protocol, sock=listening, ssl=self._ssl, backlog=_backlog()
        )
        if self._is_closed:
            server.close()
            return
        self._server = server
        self.port = server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Accept no more connections. May be called again."""
        self._is_closed = True
        listening, self._socket = self._socket, None
        server, self._server = self._server, None
        if server is not None:
            server.close()
        elif listening is not None:
            listening.close()
        if self._retry is not None:
            self._retry.cancel()

    def accepted(self, transport: asyncio.BaseTransport) -> None:
        """A connection was made. If descriptors run out, accept no more for now."""
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.fileno() >= self._stop_at:
            self._pause()

    def _pause(self) -> None:
        server, listening = self._server, self._socket
        if server is None or listening is None:
            return
        times = self._sampler.take("paused")
        if times:
            log.warning(
                "out of descriptors: %d files are open, and %d are allowed; new clients of port %d wait (%d times)",
                self._stop_at, _descriptor_limit(), self.port, times,
            )  # fmt: skip
        self._socket, self._server = listening.dup(), None
        server.close()  # It closes its own socket. The system keeps the queue for the other one.
        self._retry_later()

    def _retry_later(self) -> None:
        self._retry = self._loop.call_later(_RETRY_S, self._try_to_resume)

    def _try_to_resume(self) -> None:
        listening = self._socket
        assert listening is not None
        try:
            with listening.dup() as probe:
                is_free = probe.fileno() < self._stop_at
        except OSError:
            is_free = False
        if is_free:
            self._resuming = self._loop.create_task(self.start(listening))
        else:
            self._retry_later()
