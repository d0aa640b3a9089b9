"""The errors of a client. Each has OpenIM's numeric code, or 0 if the server did not send one.

ClientError
├── Refused              the server answered a request with an error code
│   └── HandshakeRefused the server answered the connection request with an error code
│       └── TokenRejected  1501..1507: this token will not be accepted again
├── KickedOffline        the server ended the session (push 2002); the client does not reconnect
├── ConnectionLost       the connection failed
│   └── CannotConnect    it could not be established
├── TooLarge             the server takes no frame of this size; sending again is of no use
├── Garbled              the server's answer does not follow the protocol
├── SendTimedOut         no ack before the deadline; the message may be stored
└── ClientClosed         `close()` was called
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from greenroom.actors.errors import GreenroomError, StoreFailed, TokenExpired, TokenKicked, TokenNotExist

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CannotConnect",
    "ClientClosed",
    "ClientError",
    "ConnectionLost",
    "Garbled",
    "HandshakeRefused",
    "KickedOffline",
    "Refused",
    "SendTimedOut",
    "TokenRejected",
    "TooLarge",
    "refusal_of_handshake",
    "without",
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


class CannotConnect(ConnectionLost):
    """The connection could not be established. The text has the reason."""


class TooLarge(ClientError):
    """A request is larger than the server accepts: it closes the connection at such a frame. Nothing was stored."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        at_most = f"at most {limit_bytes:,} bytes" if limit_bytes else "fewer"
        super().__init__(f"a frame of {size_bytes:,} bytes is too large: the server accepts {at_most}")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        """0: the server's limit is not known."""


class Garbled(ClientError):
    """The server's answer does not follow the protocol."""


class SendTimedOut(ClientError):
    """No ack before the deadline. Sending again with the same `client_msg_id` does not store the message twice."""

    def __init__(self, client_msg_id: str) -> None:
        super().__init__("no ack before the deadline")
        self.client_msg_id = client_msg_id


class ClientClosed(ClientError):
    """`close()` was called."""


def refusal_of_handshake(envelope: Mapping[str, object], *, token: str) -> HandshakeRefused:
    """The error for the envelope {errCode, errMsg, errDlt} that refused a connection request with this token."""
    code = envelope.get("errCode")
    number = code if isinstance(code, int) else 0
    kind = TokenRejected if number in TOKEN_CODES else HandshakeRefused
    name, detail = (without(str(envelope.get(key, "")), token) for key in ("errMsg", "errDlt"))
    return kind(number, name, detail)


def without(text: str, *secrets: str) -> str:
    """A server's text without these secrets: a server may repeat what it was sent."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[secret]").replace(quote(secret), "[secret]")
    return text
