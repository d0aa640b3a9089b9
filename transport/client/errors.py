"""What a client can meet. Each carries OpenIM's numeric code, 0 where the server said nothing.

ClientError
├── Refused              the server answered a request with an error code
│   └── HandshakeRefused the server answered the dial with an error code
│       └── TokenRejected  1501..1507: this token will not be taken again
├── KickedOffline        another device took the place (request 2002); not reconnected
├── ConnectionLost       the connection failed, or could not be made
├── Garbled              the server's answer cannot be read
├── SendTimedOut         no ack before the deadline; the message may be stored
└── ClientClosed         `close()` was called
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ClientClosed",
    "ClientError",
    "ConnectionLost",
    "Garbled",
    "HandshakeRefused",
    "KickedOffline",
    "Refused",
    "SendTimedOut",
    "TokenRejected",
    "refusal_of_handshake",
]

TOKEN_CODES = range(1501, 1508)
BUSY_CODES = frozenset({500, 90002, 90004})
"""Faults of the server's own that may pass: worth another try with the same clientMsgID."""


class ClientError(Exception):
    """The root of the tree."""

    code: int = 0


class Refused(ClientError):
    """The server's answer was an error. `name` is OpenIM's errMsg, `detail` its errDlt (HTTP only)."""

    def __init__(self, code: int, name: str, detail: str = "") -> None:
        super().__init__(f"{code} {name}: {detail}" if detail else f"{code} {name}")
        self.code = code
        self.name = name
        self.detail = detail

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed when it is sent again, unchanged."""
        return self.code in BUSY_CODES


class HandshakeRefused(Refused):
    """The gateway did not take the connection."""


class TokenRejected(HandshakeRefused):
    """The gateway did not take the token: expired, kicked, unknown, ... A new one is needed."""


class KickedOffline(ClientError):
    """The server sent 2002: another login took this device's place, or an admin ended the session."""

    code = 1506


class ConnectionLost(ClientError):
    """No connection, or it ended before the answer came."""


class Garbled(ClientError):
    """The server answered with what is not the protocol's."""


class SendTimedOut(ClientError):
    """No ack before the deadline. Sending again with the same `client_msg_id` stores the message once."""

    def __init__(self, client_msg_id: str) -> None:
        super().__init__("no ack before the deadline")
        self.client_msg_id = client_msg_id


class ClientClosed(ClientError):
    """The client was closed."""


def refusal_of_handshake(envelope: Mapping[str, object]) -> HandshakeRefused:
    """The error of a refused dial's envelope {errCode, errMsg, errDlt}."""
    code = envelope.get("errCode")
    number = code if isinstance(code, int) else 0
    kind = TokenRejected if number in TOKEN_CODES else HandshakeRefused
    return kind(number, str(envelope.get("errMsg", "")), str(envelope.get("errDlt", "")))
