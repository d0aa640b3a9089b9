"""What virtual users are told: by the conductor (commands), and by their devices (what has happened)."""

from __future__ import annotations

import msgspec

from greenroom.transport.load.population import Target

__all__ = [
    "Answered", "Begin", "Connect", "Delivered", "Delivery", "Drop", "End", "Lost", "OpenFailed", "Opened",
    "PauseReading", "ResumeReading", "Speak", "Talk", "Unanswered",
]  # fmt: skip


class Connect(msgspec.Struct, frozen=True, gc=False):
    """Log in now; it was planned for `planned_ns`, and is counted from then."""

    planned_ns: int


class Drop(msgspec.Struct, frozen=True, gc=False):
    """Lose the connection, and come back so many seconds later (below 0: when told)."""

    half_open: bool
    back_after_s: float
    resend: bool
    planned_ns: int


class PauseReading(msgspec.Struct, frozen=True, gc=False):
    for_s: float


class ResumeReading(msgspec.Struct, frozen=True, gc=False):
    pass


class Speak(msgspec.Struct, frozen=True, gc=False):
    """Send one message now; it was planned for `planned_ns`."""

    planned_ns: int
    target: Target
    payload_bytes: int
    stored: bool


class Talk(msgspec.Struct, frozen=True):
    """Closed loop: send, wait for the answer, think, and so on until `until_ns`."""

    until_ns: int


class Begin(msgspec.Struct, frozen=True, gc=False):
    """To the conductor: start the load with this rate, at this moment of the clock."""

    rate_per_s: float
    hold_s: float
    start_ns: int


class End(msgspec.Struct, frozen=True, gc=False):
    """To the conductor and to closed-loop users: plan nothing more."""


class Opened(msgspec.Struct, frozen=True, gc=False):
    at: int
    took_ns: int


class OpenFailed(msgspec.Struct, frozen=True, gc=False):
    at: int
    reason: str
    final: bool
    """The token was refused: trying again is no use."""


class Lost(msgspec.Struct, frozen=True, gc=False):
    """An open connection has ended that nobody meant to end."""

    at: int
    reason: str


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One message, after the client's dedupe, in seq order."""

    conversation_id: str
    seq: int
    client_msg_id: str
    server_msg_id: str
    send_id: str
    send_time: int
    pulled: bool


class Delivered(msgspec.Struct, frozen=True):
    at: int
    messages: list[Delivery]


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The server's ack."""

    at: int
    client_msg_id: str
    server_msg_id: str
    send_time: int


class Unanswered(msgspec.Struct, frozen=True, gc=False):
    """The server refused (its code), or no answer came (code 0)."""

    at: int
    client_msg_id: str
    code: int
    reason: str
    lost: bool
    """The connection went before the answer."""
