"""What devices of a run did and saw, as events: what a recorder writes and the judge reads.

A history is a stream of these in any order between devices, and in the order of their happening within one
device. Times are nanoseconds of the recording processes' monotonic clock, which all processes of one machine
share (a history is of one machine), except where they are the server's, in milliseconds.
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
    """A device exists from now on; what its user is entitled to must reach it before the end of the drain."""

    at: int
    device: str
    """Unique in the history, such as `u17/5#0`: user, platform, number."""
    user_id: str
    from_start: bool = True
    """False: its client begins at the newest seqs, so it is held only to what is first sent after `at` (record
    it when the client's first sync is done)."""
    hears_itself: bool = True
    """False: its client does not hand out what this device sent, so it is not held to that."""


class Joined(_Event, frozen=True, gc=False, tag=2):
    """A user is a member of a conversation from this seq on (0: from its first message)."""

    conversation_id: str
    user_id: str
    from_seq: int
    maybe_from_seq: int = -1
    """Earlier ones may reach him from this seq on: history that is open to him, sends that raced with his
    joining. -1: none."""


class Left(_Event, frozen=True, gc=False, tag=3):
    """A user is no member any more: the last message that he is entitled to has this seq."""

    conversation_id: str
    user_id: str
    last_seq: int
    maybe_last_seq: int = -1
    """Later ones may reach him up to this seq: sends that raced with his leaving. -1: none."""


class Sent(_Event, frozen=True, gc=False, tag=4):
    """A device hands a message to the server, for the first time or again (same client_msg_id)."""

    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    stored: bool
    """False: by its options it is only pushed, and judged apart."""


class Acked(_Event, frozen=True, gc=False, tag=5):
    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    server_msg_id: str
    send_time: int
    """The server's, milliseconds."""


class Failed(_Event, frozen=True, gc=False, tag=6):
    """The server refused, or no answer came in time (code 0): it may be stored or not."""

    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    code: int


class Received(_Event, frozen=True, gc=False, tag=7):
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
    foreign: bool = False
    """True: not of this history's senders (a notification, another program's): no Sent is asked for, and no
    device is held to it. Its place in seqs and order is judged like any other's."""


class SeqsAnswered(_Event, frozen=True, gc=False, tag=8):
    """What 1006 answered to a user about one conversation."""

    at: int
    """When it was asked."""
    user_id: str
    conversation_id: str
    max_seq: int
    read_seq: int
    answered_at: int = 0
    """When the answer came; 0: as it was asked."""


class StoredSeen(_Event, frozen=True, gc=False, tag=9):
    """What the server says is stored, pulled after the drain: of a conversation all of it or nothing. The
    placeholder of a message that is not there is not recorded."""

    conversation_id: str
    seq: int
    client_msg_id: str
    server_msg_id: str
    send_id: str
    send_time: int
    foreign: bool = False
    """As in Received."""


class Drained(_Event, frozen=True, gc=False, tag=10):
    """The device waited to the end of the drain; one that did not (it died, it was slow by design) is not held
    to have received everything."""

    at: int
    device: str


class MarkedRead(_Event, frozen=True, gc=False, tag=11):
    """A user told the server that he has read up to a seq. With one of these, his read seqs are held to them."""

    at: int
    """When he said so."""
    user_id: str
    conversation_id: str
    seq: int
    answered_at: int
    """When the server agreed; 0: refused or no answer, so it may hold or not."""


class StorePulled(_Event, frozen=True, gc=False, tag=12):
    """All that is stored of a conversation has been recorded, even if that was nothing."""

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
