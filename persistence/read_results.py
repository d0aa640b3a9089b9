"""What the reads of a store return, and the positions from which some of them continue."""

from __future__ import annotations

from typing import Literal, NamedTuple, NewType

import msgspec

from greenroom.persistence.tables import MemberRow, UserRow

__all__ = [
    "BEGINNING",
    "ConversationState",
    "Cursor",
    "Event",
    "KeyKind",
    "KeyState",
    "Member",
    "MemberPlace",
    "MessageEvent",
    "NotedEvent",
    "PairFact",
    "Pulled",
    "Range",
    "Reading",
    "RecordPlace",
    "SeqState",
    "Span",
    "StoredMessage",
    "Tail",
    "VersionLog",
]

KeyKind = Literal["pair", "group"]
"""The kind of a key: it stands for two users (perhaps the same user twice), or for a group."""

Cursor = NewType("Cursor", str)
"""A position among the committed events. Only the store that returned it can read it, at any later time."""

MemberPlace = NewType("MemberPlace", tuple[int, int])
"""A position in the list of a group's members. Only the store that returned it can read it."""

RecordPlace = NewType("RecordPlace", int)
"""A position in a user's conversation records. Only the store that returned it can read it."""

BEGINNING = Cursor("")
"""The cursor before every event."""


class ConversationState(NamedTuple):
    max_seq: int
    max_seq_time: int
    """sendTime of the newest message in milliseconds; 0 without messages."""


class KeyState(NamedTuple):
    kind: KeyKind
    members: tuple[str, ...]
    twin: str
    """Id of the `n_` conversation of the key; empty if it has not written to one yet."""
    conversations: dict[str, ConversationState]


class StoredMessage(msgspec.Struct, frozen=True):
    seq: int
    body: bytes
    is_read: bool


Range = tuple[str, int, int, int]
"""(conversation, first seq, last seq, limit): at most `limit` messages between these seqs, the newest ones."""


class Pulled(msgspec.Struct, frozen=True):
    """The result of one range of a `pull`."""

    place: int
    """Index of the range in the request."""
    begin: int
    """The user may see the seqs begin..end of the conversation; see `Span`."""
    end: int
    messages: list[StoredMessage]
    """The messages by ascending seq, at least one."""


class Span(NamedTuple):
    """The part of a conversation that a user may see: seqs begin..end, both inclusive. If end < begin, no message."""

    begin: int
    end: int
    max_seq: int
    """The conversation's newest seq, even if the user may not see it."""


class Reading(NamedTuple):
    conversation_type: int
    peer_id: str
    group_id: str
    read_seq: int
    """See `Store.read_seq`."""
    end: int
    """The newest seq that the user may see; see `Span`."""
    max_seq: int
    """The conversation's newest seq, even if the user may not see it."""


class SeqState(NamedTuple):
    max_seq: int
    """The record's own max seq if there is one (because the owner left), else the conversation's max seq."""
    read_seq: int
    """See `Store.read_seq`."""
    max_seq_time: int


class PairFact(NamedTuple):
    """The facts about one user of a pair, for the checks of a send."""

    is_registered: bool
    level: int
    """The user's appMangerLevel."""
    global_recv_msg_opt: int
    recv_msg_opt: int
    """The option in this user's record of the pair's single chat; 0 without a record."""
    blocks_peer: bool
    has_peer_as_friend: bool


class Member(msgspec.Struct, frozen=True):
    """A member of a group, with their profile."""

    row: MemberRow
    user: UserRow


class VersionLog(NamedTuple):
    version: int
    version_id: str
    """24 hex digits. They never change as long as the database exists."""
    changed: list[tuple[str, int, int]] | None
    """(id, state, version) of each entry after the requested version, oldest first. None if there are too many."""


class MessageEvent(msgspec.Struct, frozen=True):
    """The event that a message was stored."""

    conversation_id: str
    seq: int
    send_id: str
    server_msg_id: str
    send_time: int
    content_type: int
    body: bytes


class NotedEvent(msgspec.Struct, frozen=True):
    """The event of an `AddEvent`."""

    kind: str
    subject: str
    data: bytes


Event = MessageEvent | NotedEvent


class Tail(NamedTuple):
    """Committed events. The events of one key are in the order of their commits, those of one slice in its order."""

    events: list[Event]
    """The events; empty if there are no more yet."""
    cursor: Cursor
    """The cursor after the last of the events."""
    missed: bool
    """Whether events between the given cursor and this one were dropped, because the reader was too far behind."""
