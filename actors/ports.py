"""What the engine needs from outside: Protocols that transports and tests implement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from greenroom.actors.runtime.address import Address

__all__ = ["Clock", "FrameEncoder", "Outgoing", "Session"]


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since the epoch."""


class Outgoing(msgspec.Struct, frozen=True):
    """A message from the engine that is not an answer to a request of the connection."""

    request_id: int
    """PUSH or PRESENCE of `vocabulary.RequestId`."""
    data: bytes
    """The protobuf message of that id, serialized."""
    operation_id: str = ""
    """Operation id of the request that caused it."""


class FrameEncoder(Protocol):
    """Encodes frames for one kind of connection. Connections with the same encoder get the same bytes."""

    def encode_frame(self, outgoing: Outgoing) -> bytes:
        """Return a whole frame, ready to be written. Called once for each encoder that a message goes to."""


class Session(Protocol):
    """One live connection of one device. It may be a socket, a link to another node, or code of an embedding host.

    It is hashable by identity. No method blocks or raises.
    """

    address: Address
    user_id: str
    platform_id: int
    is_background: bool
    token: str
    digest: bytes
    """Digest of the token."""
    watched: set[str] | None
    """The users whose presence it watches. Only the session table changes this attribute."""

    @property
    def codec(self) -> FrameEncoder: ...

    def push(self, frame: bytes) -> None:
        """Write a frame, in the order of the calls. A connection that does not drain drops the frame and closes."""

    def push_all(self, frames: list[bytes], data: bytes) -> None:
        """Write several frames in a row. `data` is all of them, joined."""

    def charge(self) -> None:
        """Note that a request of this connection crashed an entity."""
