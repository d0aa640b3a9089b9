"""A network in memory: ordered byte streams, cut into pieces, each with its own delay; and links that break."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.tests.simulation.loop import Kernel, ProcessLoop

__all__ = ["End", "Network"]


class Network:
    """One server may listen. Delays in seconds."""

    def __init__(self, kernel: Kernel) -> None:
        random = kernel.random
        self.kernel = kernel
        self.mean_delay_s = random.choice([0.0002, 0.002, 0.02])
        self.high_water_bytes = random.choice([2_000, 16_000, 64_000])
        self.links: dict[int, End] = {}
        """Number -> the client's end, for the live links."""
        self._listener: tuple[ProcessLoop, Callable[[], Any]] | None = None
        self._count = 0

    def listen(self, loop: ProcessLoop, factory: Callable[[], Any]) -> Listener:
        self._listener = (loop, factory)
        return Listener(self, loop)

    def stop_listening(self, loop: ProcessLoop) -> None:
        if self._listener is not None and self._listener[0] is loop:
            self._listener = None

    def delay(self) -> float:
        return self.kernel.random.expovariate(1 / self.mean_delay_s)

    async def connect(self, loop: ProcessLoop, protocol: asyncio.Protocol) -> End:
        """A link from `protocol`, which lives in `loop`, to the server. Raises ConnectionRefusedError."""
        await asyncio.sleep(self.delay())
        if self._listener is None or self._listener[0].is_dead:
            raise ConnectionRefusedError
        server_loop, factory = self._listener
        self._count += 1
        near, far = End(self, loop, self._count, "c"), End(self, server_loop, self._count, "s")
        near.peer, far.peer = far, near
        self.links[self._count] = near
        near.protocol = protocol
        server_loop.on_kill.append(far.process_died)
        self.kernel.later(server_loop, self.delay(), far.accept, factory)
        protocol.connection_made(near)
        return near

    def cut(self, link: End, *, silent: bool) -> None:
        """The link carries no more data. Both sides notice it soon, or, if `silent`, after a long time."""
        random = self.kernel.random
        self.kernel.note("cut", link.number, silent)
        for end in (link, link.peer):
            end.is_cut = True
            delay = random.uniform(0, 40) if silent and end is not link else random.uniform(0, 2 if silent else 0.1)
            self.kernel.later(end.loop, delay, end.lose, ConnectionResetError())


class Listener:
    """The result of `create_server`."""

    def __init__(self, network: Network, loop: ProcessLoop) -> None:
        self._network = network
        self._loop = loop
        self.sockets = [self]

    def getsockname(self) -> tuple[str, int]:
        return ("simulated", 1)

    def close(self) -> None:
        self._network.stop_listening(self._loop)


class End(asyncio.Transport):
    """One end of a link: an asyncio transport."""

    peer: End
    protocol: asyncio.Protocol

    def __init__(self, network: Network, loop: ProcessLoop, number: int, side: str) -> None:
        super().__init__()
        self.network = network
        self.loop = loop
        self.number = number
        self.side = side
        self.is_cut = False
        self._arrives_at = 0.0
        """When the last written piece arrives. No piece arrives before an earlier one."""
        self._unread = 0
        """Number of bytes written here that the peer has not read yet."""
        self._blocked = False
        self._closing = False
        self._lost = False
        self._made = side == "c"
        self._reading = True
        self._waiting: deque[bytes | None] = deque()
        """Data that arrived while reading was paused; None is the end."""

    def accept(self, factory: Callable[[], Any]) -> None:
        if not self._lost:
            self._made = True
            self.protocol = factory()
            self.protocol.connection_made(self)
            self._hand_over()

    # asyncio's side.

    def write(self, data: Any) -> None:
        if self._closing or self._lost or not data:
            return
        data = bytes(data)
        self._unread += len(data)
        random = self.network.kernel.random
        while random.random() < 0.1 and len(data) > 1:
            at = random.randrange(1, len(data))
            self._carry(data[:at])
            data = data[at:]
        self._carry(data)
        if self._unread > self.network.high_water_bytes and not self._blocked:
            self._blocked = True
            self.protocol.pause_writing()

    def write_eof(self) -> None:
        self._carry(None)

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return self._unread

    def is_closing(self) -> bool:
        return self._closing or self._lost

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self.loop.call_soon(self._hand_over)

    def close(self) -> None:
        if not self._closing and not self._lost:
            self._carry(None)
            self._closing = True
            self.loop.call_soon(self.lose, None)

    def abort(self) -> None:
        self._closing = True
        self.loop.call_soon(self.lose, None)
        self._reset_peer()

    # The network's side.

    def lose(self, error: Exception | None) -> None:
        """This side notices that the link is broken."""
        if self._lost:
            return
        self._lost = self._closing = True
        self.network.links.pop(self.number, None)
        if self._made:
            self.protocol.connection_lost(error)

    def process_died(self) -> None:
        """The kernel of this side's machine ends the connection. Data on the way may or may not be lost."""
        if not self._lost:
            self._lost = True
            self._reset_peer()

    def _reset_peer(self) -> None:
        kernel = self.network.kernel
        if kernel.random.random() < 0.5:
            self.is_cut = True
        at = max(self._arrives_at - kernel.now, 0.0) + self.network.delay()
        kernel.later(self.peer.loop, at, self.peer.lose, ConnectionResetError())

    def _carry(self, data: bytes | None) -> None:
        self._arrives_at = max(self._arrives_at, self.network.kernel.now) + self.network.delay()
        self.peer.loop.call_at(self._arrives_at, self.peer._arrive, data)

    def _arrive(self, data: bytes | None) -> None:
        if not self.peer.is_cut and not self._lost:
            self._waiting.append(data)
            self._hand_over()

    def _hand_over(self) -> None:
        while self._waiting and self._made and self._reading and not self._lost:
            data = self._waiting.popleft()
            if data is None:
                if not self.protocol.eof_received():
                    self.close()
                return
            self.network.kernel.note("bytes", self.number, self.side, len(data))
            self.peer._taken(len(data))
            self.protocol.data_received(data)

    def _taken(self, size: int) -> None:
        self._unread -= size
        if self._blocked and self._unread < self.network.high_water_bytes // 2 and not self._lost:
            self._blocked = False
            self.loop.call_soon(self._resume)

    def _resume(self) -> None:
        if not self._lost and not self._blocked:
            self.protocol.resume_writing()
