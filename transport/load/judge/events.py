"""The events of a run: what its devices did and saw. A recorder writes them, and the judge reads them.

A history is a stream of events. Those of one device are in the order in which they happened; between devices any order
will do. Times are in nanoseconds of the monotonic clock, which all processes of a machine share (so a history is
always of one machine). Only where it says so, they are the server's, in milliseconds.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "Acked", "Begun", "Drained", "Event", "Failed", "Joined", "Left", "MarkedRead", "Received", "Sent",
    "SeqsAnswered", "StorePulled", "StoredSeen",
]  # fmt: skip


class _Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


class Begun(_Event, frozen=True, gc=False, tag=1):
    """A device exists from now on. What its user is entitled to must reach it before the end of the drain."""

    at: int
    device: str
    """A name that is unique in the history, such as `u17/5#0`: user, platform, number."""
    user_id: str
    from_start: bool = True
    """False: its client begins at the newest seqs, so it must receive only messages that are first sent after `at`.
    Then record this event when the client's first sync is done."""
    hears_itself: bool = True
    """False: its client does not hand out what this device sent, so it need not receive that."""


class Joined(_Event, frozen=True, gc=False, tag=2):
    """A user is a member of a conversation from this seq on; 0: from its first message."""

    conversation_id: str
    user_id: str
    from_seq: int
    maybe_from_seq: int = -1
    """Earlier messages may reach them from this seq on: history that is open to them, or sends that raced with their
    joining. -1: none."""


class Left(_Event, frozen=True, gc=False, tag=3):
    """A user is no longer a member. The last message that they are entitled to has this seq."""

    conversation_id: str
    user_id: str
    last_seq: int
    maybe_last_seq: int = -1
    """Later messages may reach them up to this seq: sends that raced with their leaving. -1: none."""


class Sent(_Event, frozen=True, gc=False, tag=4):
    """A device sends a message to the server, for the first time or again with the same client_msg_id."""

    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    stored: bool
    """False: by its options it is only pushed, not stored. It is judged by other rules."""


class Acked(_Event, frozen=True, gc=False, tag=5):
    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    server_msg_id: str
    send_time: int
    """The server's, milliseconds."""


class Failed(_Event, frozen=True, gc=False, tag=6):
    """The server refused the message, or no answer came in time (code 0). It may be stored or not."""

    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    code: int


class Received(_Event, frozen=True, gc=False, tag=7):
    """The client of a device handed out a message, after its own dedupe and gap pulls."""

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
    foreign: bool = False
    """True: it is not from a sender of this history, but a notification or another program's message. So it needs no
    Sent, and no device must receive it. Its seq and its order are judged as those of any other message."""


class SeqsAnswered(_Event, frozen=True, gc=False, tag=8):
    """The answer to a user's 1006 about one conversation."""

    at: int
    """When it was asked."""
    user_id: str
    conversation_id: str
    max_seq: int
    read_seq: int
    answered_at: int = 0
    """When the answer came; 0: as it was asked."""


class StoredSeen(_Event, frozen=True, gc=False, tag=9):
    """A message that the server has stored, pulled after the drain. Of a conversation, all stored messages are recorded
    or none. The placeholder of a message that does not exist is not recorded."""

    conversation_id: str
    seq: int
    client_msg_id: str
    server_msg_id: str
    send_id: str
    send_time: int
    foreign: bool = False
    """As in Received."""


class Drained(_Event, frozen=True, gc=False, tag=10):
    """The device stayed to the end of the drain. One that did not (it died, or was slow on purpose) need not have
    received everything."""

    at: int
    device: str


class MarkedRead(_Event, frozen=True, gc=False, tag=11):
    """A user told the server up to which seq they have read. If there is such an event for them, their read seqs are
    judged by it."""

    at: int
    """When they said so."""
    user_id: str
    conversation_id: str
    seq: int
    answered_at: int
    """When the server confirmed it. 0: it refused or did not answer, so the mark may hold or not."""


class StorePulled(_Event, frozen=True, gc=False, tag=12):
    """All stored messages of a conversation have been recorded, even if there are none."""

    conversation_id: str


Event = (
    Begun
    | Joined
    | Left
    | Sent
    | Acked
    | Failed
    | Received
    | SeqsAnswered
    | StoredSeen
    | Drained
    | MarkedRead
    | StorePulled
)
