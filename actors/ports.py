"""What the engine needs of the world outside: Protocols that transports, and tests, implement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from greenroom.actors.runtime.address import Address

__all__ = ["Clock", "FrameEncoder", "Outgoing", "Session"]


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since the epoch."""


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """What the engine tells connections without having been asked."""

    request_id: int
    """See `vocabulary.RequestId`: PUSH or PRESENCE."""
    data: bytes
    """The protobuf message of that id, serialized."""
    operation_id: str = ""
    """Id of the request that caused it."""


class FrameEncoder(Protocol):
    """How one kind of connection wants its frames. Connections that share an encoder get the same bytes."""

    def encode_frame(self, outgoing: Outgoing) -> bytes:
        """A whole frame, ready to be written. Called once for each encoder that a message goes to."""


class Session(Protocol):
    """One live connection of one device, whatever carries it: a socket, a link to another node, a host's own code.

    It is hashable by identity. Nothing here blocks or raises.
    """

    address: Address
    user_id: str
    platform_id: int
    is_background: bool
    token: str
    digest: bytes
    """Digest of the token."""
    watched: set[str] | None
    """Users whose presence it watches. Only the session table changes it."""

    @property
    def codec(self) -> FrameEncoder: ...

    def push(self, frame: bytes) -> None:
        """Write a frame, in the order of the calls; a connection that does not drain loses it and closes."""

    def push_all(self, frames: list[bytes], data: bytes) -> None:
        """Write several frames in a row; `data` is all of them, joined."""

    def charge(self) -> None:
        """A request of this connection crashed an entity."""
