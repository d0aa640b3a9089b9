"""The errors of a client. Each has OpenIM's numeric code; 0 where no answer of the server gave one.

ClientError
├── Refused              the server answered a request with an error code
│   └── HandshakeRefused the server answered the dial with an error code
│       └── TokenRejected  1501..1507: the token will never be accepted again
├── KickedOffline        another login took this device's place (push 2002); it does not reconnect
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
"""Faults of the server that may pass: the same clientMsgID is worth another try."""


class ClientError(Exception):
    """The root of the tree."""

    code: int = 0


class Refused(ClientError):
    """The server answered with an error. `name` is OpenIM's errMsg, `detail` its errDlt (HTTP only)."""

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
    """The gateway refused the connection."""


class TokenRejected(HandshakeRefused):
    """The gateway refused the token: it is expired, kicked, unknown, ... A new one is needed."""


class KickedOffline(ClientError):
    """The server sent 2002: another login took this device's place, or an admin ended the session."""

    code = 1506


class ConnectionLost(ClientError):
    """No connection, or it ended before the answer came."""


class Garbled(ClientError):
    """The server's answer does not follow the protocol."""


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
