"""What devices of a run did and saw, as events: what a recorder writes and the judge reads.

A history is a stream of these in any order between devices, and in the order of their happening within one
device. Times are nanoseconds of the recording process's monotonic clock, except where they are the server's.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "Acked", "Begun", "Drained", "Event", "Failed", "Joined", "Left", "Received", "Sent", "SeqsAnswered",
    "StoredSeen",
]  # fmt: skip


class _Event(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    pass


class Begun(_Event, frozen=True, gc=False):
    """A device exists from now on; what its user is entitled to must reach it before the end of the drain."""

    at: int
    device: str
    """Unique in the history, such as `u17/5#0`: user, platform, number."""
    user_id: str


class Joined(_Event, frozen=True, gc=False):
    """A user is a member of a conversation from this seq on (0: from its first message)."""

    conversation_id: str
    user_id: str
    from_seq: int


class Left(_Event, frozen=True, gc=False):
    """A user is no member any more: the last message that he is entitled to has this seq."""

    conversation_id: str
    user_id: str
    last_seq: int


class Sent(_Event, frozen=True, gc=False):
    """A device hands a message to the server, for the first time or again (same client_msg_id)."""

    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    stored: bool
    """False: by its options it is only pushed, and judged apart."""


class Acked(_Event, frozen=True, gc=False):
    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    server_msg_id: str
    send_time: int
    """The server's, milliseconds."""


class Failed(_Event, frozen=True, gc=False):
    """The server refused, or no answer came in time (code 0): it may be stored or not."""

    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    code: int


class Received(_Event, frozen=True, gc=False):
    """A device was given a message by its client, that is after the client's own dedupe and gap pulls."""

    at: int
    device: str
    conversation_id: str
    seq: int
    """0: not stored."""
    client_msg_id: str
    server_msg_id: str
    send_id: str
    send_time: int
    pulled: bool
    """False: it came as a push."""


class SeqsAnswered(_Event, frozen=True, gc=False):
    """What 1006 answered to a user about one conversation."""

    at: int
    user_id: str
    conversation_id: str
    max_seq: int
    read_seq: int


class StoredSeen(_Event, frozen=True, gc=False):
    """What the server says is stored, pulled after the drain."""

    conversation_id: str
    seq: int
    client_msg_id: str
    server_msg_id: str
    send_id: str
    send_time: int


class Drained(_Event, frozen=True, gc=False):
    """The device waited to the end of the drain; one that did not (it died, it was slow by design) is not held
    to have received everything."""

    at: int
    device: str


Event = Begun | Joined | Left | Sent | Acked | Failed | Received | SeqsAnswered | StoredSeen | Drained
