"""The events of a run: what its devices did and received. A recorder writes them, and the judge reads them.

A history is a stream of events. The events of one device are in the order in which they happened; the events of
different devices may be in any order. Times are in nanoseconds of the monotonic clock, which all processes of a machine
share, so all events of a history come from one machine. `send_time` is the server's time, in milliseconds.

In files, an event is known by its tag and its fields by their order (`array_like`), so both must stay as they are.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "DeviceDrained", "DeviceStarted", "Event", "HistoryPart", "MarkedRead", "MemberJoined", "MemberLeft",
    "MessageReceived", "SendAcked", "SendFailed", "SendStarted", "SeqsAnswered", "StoreGrowing", "StorePulled",
    "StoredSeen",
]  # fmt: skip


class _Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


class DeviceStarted(_Event, frozen=True, gc=False, tag=1):
    """A device has started. All messages that its user is entitled to must reach it before the end of the drain."""

    at: int
    device: str
    """The device's name, unique in the history, such as `u17/5#0`: user, platform, number."""
    user_id: str
    from_start: bool = True
    """False: its client begins at the newest seqs, so only messages first sent after `at` must reach it. In that case,
    record this event when the client's first sync is done."""
    hears_itself: bool = True
    """False: its client does not deliver the messages that this device sent, so these need not reach it."""


class MemberJoined(_Event, frozen=True, gc=False, tag=2):
    """A user became a member of a conversation, starting at this seq. 0: at its first message."""

    conversation_id: str
    user_id: str
    from_seq: int
    maybe_from_seq: int = -1
    """Earlier messages, starting at this seq, may reach them: messages sent before they joined that they are allowed to
    see, or sends that raced with their joining. -1: none."""


class MemberLeft(_Event, frozen=True, gc=False, tag=3):
    """A user is no longer a member. The last message that they are entitled to has the seq `last_seq`."""

    conversation_id: str
    user_id: str
    last_seq: int
    maybe_last_seq: int = -1
    """Later messages, up to this seq, may reach them: sends that raced with their leaving. -1: none."""


class SendStarted(_Event, frozen=True, gc=False, tag=4):
    """A device sends a message to the server, for the first time or again with the same client_msg_id."""

    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    stored: bool
    """False: by its options the message is only pushed, not stored. It is judged by other rules."""


class SendAcked(_Event, frozen=True, gc=False, tag=5):
    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    server_msg_id: str
    send_time: int
    """Milliseconds, by the server's clock."""


class SendFailed(_Event, frozen=True, gc=False, tag=6):
    """The server refused the message, or did not answer in time (code 0). The message may be stored or not."""

    at: int
    device: str
    conversation_id: str
    client_msg_id: str
    code: int


class MessageReceived(_Event, frozen=True, gc=False, tag=7):
    """The client of a device delivered a message, after its own deduplication and gap pulls."""

    at: int
    device: str
    conversation_id: str
    seq: int
    """0: the message is not stored."""
    client_msg_id: str
    server_msg_id: str
    send_id: str
    send_time: int
    pulled: bool
    """False: the message was pushed."""
    foreign: bool = False
    """True: the message is not from a sender of this history, but a notification or another program's message. So it
    needs no SendStarted, and no device must receive it. Its seq and its order are judged as for any other message."""


class SeqsAnswered(_Event, frozen=True, gc=False, tag=8):
    """The answer to a user's request 1006, for one conversation."""

    at: int
    """When the request was sent."""
    user_id: str
    conversation_id: str
    max_seq: int
    read_seq: int
    answered_at: int = 0
    """When the answer arrived; 0: at `at`."""


class StoredSeen(_Event, frozen=True, gc=False, tag=9):
    """A message that the server has stored, pulled after the drain. For a conversation, either all stored messages are
    recorded or none. Placeholders for messages that do not exist are not recorded."""

    conversation_id: str
    seq: int
    client_msg_id: str
    server_msg_id: str
    send_id: str
    send_time: int
    foreign: bool = False
    """As in MessageReceived."""


class DeviceDrained(_Event, frozen=True, gc=False, tag=10):
    """The device was there until the end of the drain. Any other device (it died, or was slow on purpose) need not have
    received everything."""

    at: int
    device: str


class MarkedRead(_Event, frozen=True, gc=False, tag=11):
    """A user told the server up to which seq they have read. If the history has such an event for a user, their read
    seqs are judged."""

    at: int
    """When the request was sent."""
    user_id: str
    conversation_id: str
    seq: int
    answered_at: int
    """When the server confirmed the mark. 0: it refused or did not answer, so the mark may or may not be stored."""


class StorePulled(_Event, frozen=True, gc=False, tag=12):
    """All stored messages of a conversation have been recorded, even if there are none."""

    conversation_id: str


class StoreGrowing(_Event, frozen=True, gc=False, tag=13):
    """The drain has ended, but newest seqs still grew: the server had not yet stored all that it had acked. So it is
    undecided whether a message that is missing was lost, or was stored after the end of this history."""

    at: int


class HistoryPart(_Event, frozen=True, gc=False, tag=14):
    """The place of this file among the files of the history, one for each process. A history without such events is
    taken as whole."""

    part: int
    """From 0."""
    parts: int


Event = (
    DeviceStarted
    | MemberJoined
    | MemberLeft
    | SendStarted
    | SendAcked
    | SendFailed
    | MessageReceived
    | SeqsAnswered
    | StoredSeen
    | DeviceDrained
    | MarkedRead
    | StorePulled
    | StoreGrowing
    | HistoryPart
)
