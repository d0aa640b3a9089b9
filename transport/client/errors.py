"""The errors of a client. Each has OpenIM's numeric code, or 0 if the server did not send one.

ClientError
├── Refused              the server answered a request with an error code
│   └── HandshakeRefused the server answered the connection request with an error code
│       └── TokenRejected  1501..1507: this token will not be accepted again
├── KickedOffline        the server ended the session (push 2002); the client does not reconnect
├── ConnectionLost       the connection failed, or could not be established
├── Garbled              the server's answer does not follow the protocol
├── SendTimedOut         no ack before the deadline; the message may be stored
└── ClientClosed         `close()` was called
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.errors import GreenroomError, StoreFailed, TokenExpired, TokenKicked, TokenNotExist

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

TOKEN_CODES = range(TokenExpired.code, TokenNotExist.code + 1)
NETWORK_ERROR = 90004
"""OpenIM's NetworkError. No error of ours has this code."""
BUSY_CODES = frozenset({GreenroomError.code, StoreFailed.code, NETWORK_ERROR})
"""Codes of faults of the server that may pass. A send that met one is worth repeating with the same clientMsgID."""


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
        """Whether the same request may succeed if it is sent again unchanged."""
        return self.code in BUSY_CODES


class HandshakeRefused(Refused):
    """The gateway refused the connection."""


class TokenRejected(HandshakeRefused):
    """The gateway refused the token, because it is expired, kicked, unknown, ... A new token is needed."""


class KickedOffline(ClientError):
    """The server ended the session (push 2002): another login replaced it, or an admin ended it."""

    code = TokenKicked.code


class ConnectionLost(ClientError):
    """There is no connection, or it ended before the answer arrived."""


class Garbled(ClientError):
    """The server's answer does not follow the protocol."""


class SendTimedOut(ClientError):
    """No ack before the deadline. Sending again with the same `client_msg_id` does not store the message twice."""

    def __init__(self, client_msg_id: str) -> None:
        super().__init__("no ack before the deadline")
        self.client_msg_id = client_msg_id


class ClientClosed(ClientError):
    """`close()` was called."""


def refusal_of_handshake(envelope: Mapping[str, object]) -> HandshakeRefused:
    """The error for the envelope {errCode, errMsg, errDlt} that refused a connection request."""
    code = envelope.get("errCode")
    number = code if isinstance(code, int) else 0
    kind = TokenRejected if number in TOKEN_CODES else HandshakeRefused
    return kind(number, str(envelope.get("errMsg", "")), str(envelope.get("errDlt", "")))
