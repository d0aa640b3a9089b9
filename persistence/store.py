"""What a store must do: commit slices of writes, each all or nothing, and read what is committed.

Writes are data. Most put, change or drop rows (see `tables`); a class of its own stands only for what has a rule. A
store refuses what breaks such a rule (a stale epoch, a key of another kind, a repeated message); it holds no chat rule
beyond them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, NewType, Protocol

import msgspec

from greenroom.persistence.refusal import FirstAnswer, Reason, Refusal
from greenroom.persistence.tables import (
    BlackRow,
    FriendRow,
    GroupRow,
    Key,
    MemberRow,
    RecordRow,
    TokenRow,
    UserRow,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BEGINNING",
    "AddEvent",
    "AddMessage",
    "AddRecords",
    "AddSubscriber",
    "AddUsers",
    "BlackRow",
    "Block",
    "BumpVersion",
    "ChangeRecord",
    "ChangeRow",
    "ClaimKey",
    "ConversationState",
    "Cursor",
    "DropRows",
    "DropSubscriber",
    "Event",
    "FirstAnswer",
    "FriendRow",
    "GroupRow",
    "Key",
    "KeyKind",
    "KeyState",
    "LogKind",
    "Member",
    "MemberRow",
    "MessageEvent",
    "MoveCursor",
    "NotedEvent",
    "PairFact",
    "Pulled",
    "PutRow",
    "PutRows",
    "RaiseReadSeq",
    "Range",
    "Reading",
    "Reason",
    "RecordOwner",
    "RecordRow",
    "Refusal",
    "SeqState",
    "SetReadFlags",
    "Slice",
    "Span",
    "Store",
    "StoredMessage",
    "Tail",
    "TokenRow",
    "UserRow",
    "Value",
    "VersionLog",
    "Write",
]  # fmt: skip

KeyKind = Literal["pair", "group"]
"""What a key names: two users (perhaps one and the same), or a group."""

LogKind = Literal["friends", "members", "joined", "conversations"]
"""The four version logs of OpenIM's incremental sync (PROTOCOL 5.9)."""

Cursor = NewType("Cursor", str)
"""A place among the committed events. Only the store that gave it out can read it, at any later time."""

BEGINNING = Cursor("")
"""Before every event."""


class Write(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """One change. A slice's writes are applied in order."""


class PutRows(Write, frozen=True):
    """Store rows of one table, each in place of the one with the same key if there is one. Refused (FAILED): a member
    of a group that is not stored."""

    rows: list[PutRow]


class ChangeRow(Write, frozen=True):
    """Give some columns of one row new values. A row that is not stored is left so. Refused (FAILED): a key column, a
    column that the table does not have, a value of another type."""

    table: Literal["user", "group", "member"]
    key: Key
    values: Mapping[str, Value]


class DropRows(Write, frozen=True):
    """Remove the rows with these keys; those that are not stored are ignored."""

    table: Literal["token", "member", "friend", "black"]
    keys: list[Key]


class ClaimKey(Write, frozen=True):
    """Store what the slice's key names. Refused (KEY_TAKEN) if it is stored with another kind or members.

    `members` of a pair are its two user ids, sorted; of a group, empty.
    """

    kind: KeyKind
    members: tuple[str, ...]


class AddUsers(Write, frozen=True):
    """Register users. Refused (USER_EXISTS) if any id is registered."""

    users: list[UserRow]


class AddMessage(Write, frozen=True):
    """Store one message under its seq and raise the conversation's max seq and time to it.

    Refused (FAILED) if seq is not the conversation's max seq + 1.
    Refused (REPEATED, with the first answer) if (conversation, sender, client_msg_id) is stored and
    client_msg_id is not empty. The conversation comes into being with its first message.
    """

    conversation_id: str
    seq: int
    send_id: str
    client_msg_id: str
    server_msg_id: str
    send_time: int
    """Milliseconds since the epoch."""
    content_type: int
    body: bytes
    """sdkws.MsgData, serialized without seq and isRead."""


class RecordOwner(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Whose conversation record, and the other user it shows (empty for a group's)."""

    owner_id: str
    peer_id: str


class AddRecords(Write, frozen=True):
    """Make the conversation records that are missing, each with an insert in its owner's log."""

    conversation_id: str
    conversation_type: int
    group_id: str
    owners: list[RecordOwner]


class ChangeRecord(Write, frozen=True):
    """As ChangeRow, for one conversation record, with an update in the owner's log."""

    owner_id: str
    conversation_id: str
    values: Mapping[str, Value]


class RaiseReadSeq(Write, frozen=True):
    """Read seq of a user in a conversation := the greater of the stored one and `seq`.

    The user's own messages raise it without this write (see `Store.read_seq`).
    """

    conversation_id: str
    user_id: str
    seq: int


class SetReadFlags(Write, frozen=True):
    """Set isRead on messages not sent by `reader_id`: those in begin..end (both inclusive) and in `seqs`."""

    conversation_id: str
    reader_id: str
    begin: int
    end: int
    seqs: list[int]


class BumpVersion(Write, frozen=True):
    """One change of a version log: version + 1, and each entry is rewritten with it.

    An entry is (id, state): 1 insert, 2 delete, 3 update. A log's version is 1 before its first change.
    The owner is a group for `members` (refused (FAILED) if unknown), a user for the other logs.
    """

    log: LogKind
    owner_id: str
    entries: list[tuple[str, int]]


class AddEvent(Write, frozen=True):
    """Note an event that is no message. It is kept until every subscriber has passed it, or until there are too many
    events; without a subscriber it is not kept at all."""

    kind: str
    subject: str
    """What it is about: the id of a user, a group, ..."""
    data: bytes


class AddSubscriber(Write, frozen=True):
    """Keep a cursor under this name. It begins after this write, or before everything that is still kept. A name that
    is stored already keeps its cursor."""

    name: str
    from_first_message: bool = False


class MoveCursor(Write, frozen=True):
    """The subscriber is done with all events up to the cursor. A cursor behind the stored one is ignored.
    Refused (FAILED): an unknown subscriber, a cursor that this store did not give out."""

    name: str
    cursor: Cursor


class DropSubscriber(Write, frozen=True):
    """Keep no events for this name any more. A name that is not stored is ignored."""

    name: str


PutRow = TokenRow | GroupRow | MemberRow | FriendRow | BlackRow
"""Rows without a rule of their own."""

Block = (
    PutRows | ChangeRow | DropRows | ClaimKey | AddUsers | AddMessage | AddRecords | ChangeRecord | RaiseReadSeq
    | SetReadFlags | BumpVersion | AddEvent | AddSubscriber | MoveCursor | DropSubscriber
)  # fmt: skip
"""Every kind of write."""


class Slice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Writes of one key, all or nothing."""

    key: str
    """The entity's key, with its kind before a slash: `conversation/a_b`, `group/g1`, `user/u1`. Pairs and
    groups share one key space for ClaimKey: what follows the slash."""
    epoch: int
    writes: list[Block]


class ConversationState(NamedTuple):
    max_seq: int
    max_seq_time: int
    """sendTime of the newest message, ms; 0 without messages."""


class KeyState(NamedTuple):
    kind: KeyKind
    members: tuple[str, ...]
    conversations: dict[str, ConversationState]


class StoredMessage(msgspec.Struct, frozen=True, gc=False):
    seq: int
    body: bytes
    is_read: bool


Range = tuple[str, int, int, int]
"""Conversation, first and last seq, and how many of the newest between them are wanted."""


class Pulled(msgspec.Struct, frozen=True, gc=False):
    """What one of several ranges gave."""

    place: int
    """Of the range among those asked for."""
    begin: int
    """The user may see begin..end of the conversation; see `Span`."""
    end: int
    messages: list[StoredMessage]
    """Ascending, at least one."""


class Span(NamedTuple):
    """What of a conversation a user may see: seqs begin..end, both inclusive; end < begin: nothing."""

    begin: int
    end: int
    max_seq: int
    """The conversation's newest seq, whatever the user may see."""


class Reading(NamedTuple):
    conversation_type: int
    peer_id: str
    group_id: str
    read_seq: int
    """As `Store.read_seq`."""


class SeqState(NamedTuple):
    max_seq: int
    """The record's own max seq if it has one (the owner left), else the conversation's."""
    read_seq: int
    """As `Store.read_seq`."""
    max_seq_time: int


class PairFact(NamedTuple):
    """What the send checks ask of one side of a pair."""

    is_registered: bool
    level: int
    """The user's appMangerLevel."""
    global_recv_msg_opt: int
    recv_msg_opt: int
    """Of this user's record of the pair's single chat; 0 without a record."""
    blocks_peer: bool
    has_peer_as_friend: bool


class Member(msgspec.Struct, frozen=True, gc=False):
    """A member, with what their profile says."""

    row: MemberRow
    user: UserRow


class VersionLog(NamedTuple):
    version: int
    version_id: str
    """24 hex digits; fixed for a log's life in one database."""
    changed: list[tuple[str, int, int]] | None
    """(id, state, version) of entries newer than asked for, oldest first; None if more than the limit."""


class MessageEvent(msgspec.Struct, frozen=True, gc=False):
    """A message was stored."""

    conversation_id: str
    seq: int
    send_id: str
    server_msg_id: str
    send_time: int
    content_type: int
    body: bytes


class NotedEvent(msgspec.Struct, frozen=True, gc=False):
    """What an `AddEvent` said."""

    kind: str
    subject: str
    data: bytes


Event = MessageEvent | NotedEvent


class Tail(NamedTuple):
    """Committed events. Those of one key are in the order of their commits, those of one slice in its order."""

    events: list[Event]
    """Empty: there is nothing more for now."""
    cursor: Cursor
    """After the last of them."""
    missed: bool
    """Events between the cursor that was asked for and this one are gone, because the reader was too far behind."""


class Store(Protocol):
    """All reads see every slice whose commit has been answered. All ids are OpenIM's.

    Order: slices of one commit are applied in order; commits in the order of their calls.
    Durability: when `commit` answers None for a slice, it survives SIGKILL and loss of power (a store in
    memory promises only the order).
    Errors: a read raises StoreUnavailable when the store cannot answer, StoreDamaged when it meets what is not as it
    was written.
    """

    @property
    def epoch(self) -> int:
        """The epoch that this opening of the store owns: greater than that of every earlier opening."""

    @property
    def damage(self) -> int:
        """How many reads and openings have met damage."""

    async def open(self) -> None:
        """Make the store ready, or raise StoreUnavailable (or what says why: see `errors`)."""

    async def close(self) -> None:
        """Finish the commits in flight, then let go of files and processes."""

    async def lost(self) -> None:
        """Never returns; raises StoreUnavailable when nothing can be written any more. Open the store again then."""

    async def take(self, key: str) -> None:
        """From now on only this opening may write slices of this key, until another opening takes the key. Each life of
        an entity calls it with the key of its slices before it reads anything. Taking a key that was never written does
        nothing."""

    async def commit(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        """One outcome for each slice, None = committed. Never raises: a store that fails answers FAILED."""

    async def users(self, user_ids: Sequence[str]) -> list[UserRow]:
        """In the order asked for; unknown ids are left out."""

    async def users_page(self, offset: int, limit: int) -> tuple[int, list[UserRow]]:
        """(total, page), in order of registration."""

    async def tokens(self, user_id: str) -> list[TokenRow]:
        """In the order in which they were added."""

    async def key(self, key: str) -> KeyState | None:
        """What a pair's or group's key (without its kind) holds; only conversations with messages."""

    async def pair_facts(self, first: str, second: str) -> dict[str, PairFact]:
        """Facts of both sides by user id (one entry for a chat with oneself)."""

    async def pull(self, user_id: str, ranges: Sequence[Range], limit_bytes: int) -> list[Pulled]:
        """What the user may see (`spans`) of each range, in the order asked for; one that gives nothing is left out.
        The range whose bodies exceed the limit, with all before it, is the last that is read; a first message that
        does so alone is followed by one more."""

    async def messages_at(self, conversation_id: str, seqs: Sequence[int]) -> list[StoredMessage]:
        """Those that exist, in the order asked for."""

    async def last_messages(self, spans: Mapping[str, int]) -> dict[str, StoredMessage]:
        """Newest message of each conversation at or below the given seq."""

    async def spans(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, Span]:
        """Which of the conversations the user may see, and how much. A chat needs the user's record; an `n_` one is
        theirs if they have a record of a chat of the same key, or if it is their own (`n_<id>_<id>`). Those that were
        never written are left out."""

    async def newest_seqs(self, user_id: str) -> dict[str, int]:
        """Max seq of every conversation of the user's records, of their `n_` twins, and of `n_<id>_<id>`;
        those with max seq 0 are left out (PROTOCOL 5.1)."""

    async def seq_states(self, user_id: str, conversation_ids: Sequence[str] | None) -> dict[str, SeqState]:
        """For the user's records (all with None), by conversation id (PROTOCOL 5.5)."""

    async def read_seq(self, conversation_id: str, user_id: str) -> int:
        """The greater of the read seq stored and the seq of the user's own last message; 0 if none."""

    async def reading(self, conversation_id: str, user_id: str) -> Reading | None:
        """What marking as read starts from; None if the user has no record of the conversation."""

    async def records(self, owner_id: str, conversation_ids: Sequence[str] | None = None) -> list[RecordRow]:
        """The owner's records, in storage order; only those asked for, in that order, if ids are given."""

    async def groups(self, group_ids: Sequence[str]) -> list[GroupRow]:
        """In the order asked for; unknown ids are left out."""

    async def members(self, group_id: str, user_ids: Sequence[str] | None = None) -> list[Member]:
        """By role, highest first, then in order of joining; with ids, those in the order asked for."""

    async def joined_groups(self, user_id: str) -> list[str]:
        """Group ids, by role, highest first, then in order of joining."""

    async def changes(self, log: LogKind, owner_id: str, since: int, *, limit: int = 200) -> VersionLog: ...

    async def subscribers(self) -> dict[str, Cursor]:
        """The cursor of each subscriber, by name."""

    async def tail(self, after: Cursor, limit: int) -> Tail:
        """Up to `limit` events after the cursor, fewer if their bodies are long. No event is ever committed before a
        cursor that was given out. Messages are found as long as they are stored, noted events as long as a subscriber
        has not passed them. Raises ValueError for a cursor that this store did not give out."""
