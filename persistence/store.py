"""The contract of a store: commit slices of writes, each all or nothing, and read committed data.

Writes are data. Most writes put, change or drop rows (see `tables`); only a write with a rule has its own class. A
store refuses a write that breaks its rule (a stale epoch, a key of another kind, a repeated message). It knows no other
chat rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from greenroom.persistence.read_results import (
    BEGINNING,
    ConversationState,
    Cursor,
    Event,
    KeyKind,
    KeyState,
    Member,
    MemberPlace,
    MessageEvent,
    NotedEvent,
    PairFact,
    Pulled,
    Range,
    Reading,
    RecordPlace,
    SeqState,
    Span,
    StoredMessage,
    Tail,
    VersionLog,
)
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
    "BEGINNING", "CHATS_OF", "TWIN_PREFIX", "AddEvent", "AddMessage", "AddRecords", "AddSubscriber", "AddUsers",
    "AnyWrite", "BlackRow", "BumpVersion", "ChangeRecord", "ChangeRow", "ClaimKey", "ConversationState", "Cursor",
    "DropRows", "DropSubscriber", "Event", "FirstAnswer", "FriendRow", "GroupRow", "Key", "KeyKind", "KeyState",
    "LogKind", "Member", "MemberPlace", "MemberRow", "MessageEvent", "MoveCursor", "NotedEvent", "PairFact", "Pulled",
    "PutRow", "PutRows", "RaiseReadSeq", "Range", "Reading", "Reason", "RecordOwner", "RecordPlace", "RecordRow",
    "Refusal", "SeqState", "SetReadFlags", "Slice", "Span", "Store", "StoredMessage", "Tail", "TokenRow", "UserRow",
    "Value", "VersionLog", "Write", "key_of_slice",
]  # fmt: skip

CHATS_OF: Final[Mapping[KeyKind, tuple[str, str]]] = {"pair": ("si_", "sn_"), "group": ("sg_", "sg_")}
"""What stands before the name of a key in the ids of its chats."""

TWIN_PREFIX: Final = "n_"
"""What stands before the id of a conversation of notifications: the twin of the chats of its key."""

_KINDS: Final[Mapping[str, KeyKind]] = {"conversation": "pair", "group": "group"}

LogKind = Literal["friends", "members", "joined", "conversations"]
"""The four version logs of OpenIM's incremental sync (PROTOCOL 5.9)."""


class Write(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """One change. A slice's writes are applied in order."""


class PutRows(Write, frozen=True):
    """Store rows of one table. Each replaces the row with the same key if there is one. Refused (FAILED): a member of a
    group that is not stored."""

    rows: list[PutRow]


class ChangeRow(Write, frozen=True):
    """Set some columns of one row. If the row is not stored, nothing happens. Refused (FAILED): a key column, a column
    that the table does not have, a value of another type."""

    table: Literal["user", "group", "member"]
    key: Key
    values: Mapping[str, Value]


class DropRows(Write, frozen=True):
    """Remove the rows with these keys. Keys without a stored row are ignored."""

    table: Literal["token", "member", "friend", "black"]
    keys: list[Key]


class ClaimKey(Write, frozen=True):
    """Store the members of the slice's key. Refused (KEY_TAKEN) if the key already has other members, and (FAILED) if
    it is not a key of this kind.

    The `members` of a pair are its two user ids, sorted. For a group they are empty.
    """

    kind: KeyKind
    members: tuple[str, ...]


class AddUsers(Write, frozen=True):
    """Register users. Refused (USER_EXISTS) if any of the ids is already registered."""

    users: list[UserRow]


class AddMessage(Write, frozen=True):
    """Store one message, and raise the conversation's max seq and time to those of the message. The first message
    creates the conversation. An `n_` conversation belongs to the key that writes its first message: to a claimed key of
    the slice's kind, which has no other one.

    Refused (TWIN_TAKEN) if it is the first message that this key writes to an `n_` conversation of another key, or to a
    second one.
    Refused (FAILED) if seq is not the conversation's max seq + 1, or if the key of an `n_` conversation is not claimed.
    Refused (REPEATED, with the first answer) if client_msg_id is not empty and a message with the same conversation,
    sender and client_msg_id is already stored.
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


class RecordOwner(msgspec.Struct, frozen=True, array_like=True):
    """The owner of a conversation record, and the other user of a pair (empty for a group)."""

    owner_id: str
    peer_id: str


class AddRecords(Write, frozen=True):
    """Create the missing conversation records, each with an insert in its owner's log."""

    conversation_id: str
    conversation_type: int
    group_id: str
    owners: list[RecordOwner]


class ChangeRecord(Write, frozen=True):
    """The same as ChangeRow for one conversation record, with an update in the owner's log."""

    owner_id: str
    conversation_id: str
    values: Mapping[str, Value]


class RaiseReadSeq(Write, frozen=True):
    """Raise a user's read seq in a conversation to `seq`. A lower `seq` changes nothing.

    The user's own messages raise the read seq without this write (see `Store.read_seq`).
    """

    conversation_id: str
    user_id: str
    seq: int


class SetReadFlags(Write, frozen=True):
    """Set isRead on the messages in begin..end (both inclusive) and in `seqs`, unless `reader_id` has sent them."""

    conversation_id: str
    reader_id: str
    begin: int
    end: int
    seqs: list[int]


class BumpVersion(Write, frozen=True):
    """Make one change of a version log: raise its version by 1, and rewrite each entry with the new version.

    An entry is (id, state): 1 insert, 2 delete, 3 update. A log's version is 1 before its first change. The owner is a
    user; for `members` it is a group. Refused (FAILED): an unknown group.
    """

    log: LogKind
    owner_id: str
    entries: list[tuple[str, int]]


class AddEvent(Write, frozen=True):
    """Store an event that is not a message. It is kept until every subscriber has passed it, or until there are too
    many events. Without a subscriber it is not stored."""

    kind: str
    subject: str
    """Subject of the event: the id of a user, a group, ..."""
    data: bytes


class AddSubscriber(Write, frozen=True):
    """Store a cursor under this name. It starts after this write, or (`from_first_message`) before the oldest stored
    event. If the name is already stored, its cursor does not change."""

    name: str
    from_first_message: bool = False


class MoveCursor(Write, frozen=True):
    """Note that the subscriber has handled all events up to the cursor. A cursor behind the stored one is ignored.
    Refused (FAILED): an unknown subscriber, a cursor that this store did not return."""

    name: str
    cursor: Cursor


class DropSubscriber(Write, frozen=True):
    """Remove a subscriber: no more events are kept for it. An unknown name is ignored."""

    name: str


PutRow = TokenRow | GroupRow | MemberRow | FriendRow | BlackRow
"""The row classes that have no rules of their own."""

AnyWrite = (
    PutRows | ChangeRow | DropRows | ClaimKey | AddUsers | AddMessage | AddRecords | ChangeRecord | RaiseReadSeq
    | SetReadFlags | BumpVersion | AddEvent | AddSubscriber | MoveCursor | DropSubscriber
)  # fmt: skip
"""Every kind of write."""


class Slice(msgspec.Struct, frozen=True, array_like=True):
    """Writes of one key, all or nothing."""

    key: str
    """The entity's key, with its kind before a slash: `conversation/a_b`, `group/a_b`, `user/u1`. Keys of different
    kinds never meet, whatever the part after the slash is."""
    epoch: int
    writes: list[AnyWrite]


def key_of_slice(key: str) -> tuple[KeyKind | None, str]:
    """(kind, name) of a slice's key. The kind is None for a key that has no conversations."""
    kind, _, name = key.partition("/")
    return _KINDS.get(kind), name


class Store(Protocol):
    """A read sees every slice whose commit has already returned. All ids are OpenIM's.

    Order: the slices of one commit are applied in their order, and commits in the order of their calls.
    Durability: a slice for which `commit` has returned None survives SIGKILL and a loss of power (a store in memory
    only promises the order).
    Errors: a read raises StoreUnavailable if the store cannot answer, and StoreDamaged if the stored data is damaged.
    """

    @property
    def epoch(self) -> int:
        """The epoch of this opening of the store. It is greater than that of every earlier opening."""

    @property
    def damage(self) -> int:
        """Number of reads and openings that have failed because of damage."""

    async def open(self) -> None:
        """Make the store ready. Raises StoreUnavailable, or a more specific error (see `errors`)."""

    async def close(self) -> None:
        """Finish the commits in flight, then close the files and end the processes."""

    async def lost(self) -> None:
        """Wait until the store cannot write any more, then raise StoreUnavailable. The store must be opened again."""

    async def take(self, key: str) -> None:
        """From now on only this opening may write slices of this key, until another opening takes the key. Each
        incarnation of an entity calls this with the key of its slices before its first read. For a key that was never
        written, nothing happens."""

    async def commit(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        """Commit slices. Returns one outcome for each slice; None = committed. Never raises: a failure is FAILED."""

    async def users(self, user_ids: Sequence[str]) -> list[UserRow]:
        """Users in the order of the ids. Unknown ids are left out."""

    async def users_page(self, offset: int, limit: int) -> tuple[int, list[UserRow]]:
        """(total, users of the page), in the order of registration."""

    async def tokens(self, user_id: str) -> list[TokenRow]:
        """Tokens in the order in which they were added."""

    async def key(self, kind: KeyKind, name: str) -> KeyState | None:
        """The state of a pair's or group's key, whose name is the part after the slash; None if it is not stored.
        Conversations without messages are left out."""

    async def pair_facts(self, first: str, second: str) -> dict[str, PairFact]:
        """The facts about both users, by user id (one entry if they are the same user)."""

    async def pull(self, user_id: str, ranges: Sequence[Range], limit_bytes: int) -> list[Pulled]:
        """The messages of each range that the user may see (`spans`), in the order of the ranges. A range without such
        messages is left out. The range with which the bodies exceed `limit_bytes` is the last one; but if the first
        message alone exceeds it, one more range is read."""

    async def messages_at(self, conversation_id: str, seqs: Sequence[int]) -> list[StoredMessage]:
        """The messages that exist, in the order of `seqs`."""

    async def last_messages(self, spans: Mapping[str, int]) -> dict[str, StoredMessage]:
        """The newest message of each conversation, at or below the given seq."""

    async def spans(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, Span]:
        """The conversations that the user may see, with the visible part of each. A chat is visible to a user with a
        record of it. An `n_` conversation is visible to a user with a record of a chat of the key that it belongs to,
        and, if this is the key of one user with themselves, to that user. Conversations that were never written are
        left out."""

    async def newest_seqs(
        self, user_id: str, after: RecordPlace | None, limit: int
    ) -> tuple[dict[str, int], RecordPlace | None]:
        """Max seq of each conversation of the user's next records (see `record_ids`), of the `n_` conversation of each
        record's key, and of the `n_` conversation of the user's key with themselves. Those with max seq 0 are left out
        (PROTOCOL 5.1)."""

    async def seq_states(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, SeqState]:
        """The seq states of those of the user's records that are among the ids (PROTOCOL 5.5)."""

    async def all_seq_states(
        self, user_id: str, after: RecordPlace | None, limit: int
    ) -> tuple[dict[str, SeqState], RecordPlace | None]:
        """The seq states of the user's next records (see `record_ids`), by conversation id."""

    async def notification_states(self, user_id: str, conversation_ids: Sequence[str]) -> dict[str, SeqState]:
        """The seq states of those `n_` conversations among the ids that the user may see (`spans`): the newest seq that
        they may see and its time. The read seq is 0, because notifications are not marked as read."""

    async def read_seq(self, conversation_id: str, user_id: str) -> int:
        """The stored read seq, or the seq of the user's own last message if that is greater. 0 if there is neither."""

    async def reading(self, conversation_id: str, user_id: str) -> Reading | None:
        """The state that is needed to mark messages as read. None if the user has no record of the conversation."""

    async def records(self, owner_id: str, conversation_ids: Sequence[str] | None = None) -> list[RecordRow]:
        """All records of the owner, in a fixed order, in which a new record may come anywhere; or the records of the
        given ids, in their order."""

    async def records_page(self, owner_id: str, offset: int, limit: int) -> tuple[int, list[RecordRow]]:
        """(total, records of the page), in the order of `records`. The cost grows with the page and not with the list,
        but for stepping over the offset."""

    async def record_ids(
        self,
        owner_id: str,
        after: RecordPlace | None,
        limit: int,
        *,
        is_pinned: bool | None = None,
        recv_msg_opt: int | None = None,
    ) -> tuple[list[str], RecordPlace | None]:
        """The next conversation ids in the order of `records`, and the place after them; None if these were the last
        ones. If given, `is_pinned` and `recv_msg_opt` select the records that have this value."""

    async def groups(self, group_ids: Sequence[str]) -> list[GroupRow]:
        """Groups in the order of the ids. Unknown ids are left out."""

    async def members(self, group_id: str, user_ids: Sequence[str] | None = None) -> list[Member]:
        """All members by role, highest first, then in the order of joining; or those of `user_ids`, in that order."""

    async def members_page(self, group_id: str, offset: int, limit: int) -> tuple[int, list[Member]]:
        """(total, members of the page), in the order of `members`. The cost grows with the page and not with the
        group, but for stepping over the offset."""

    async def member_ids(
        self, group_id: str, after: MemberPlace | None, limit: int
    ) -> tuple[list[str], MemberPlace | None]:
        """The next ids in the order of `members`, and the place after them; None if these were the last ones. Members
        who join, leave or change their role between two reads may be left out or come twice; all others come once."""

    async def joined_groups(self, user_id: str) -> list[str]:
        """Ids of the user's groups, by their role there, highest first, then in the order of joining."""

    async def changes(self, log: LogKind, owner_id: str, since: int, *, limit: int = 200) -> VersionLog: ...

    async def subscribers(self) -> dict[str, Cursor]:
        """The cursor of each subscriber, by name."""

    async def tail(self, after: Cursor, limit: int) -> Tail:
        """Up to `limit` events after the cursor, fewer if their bodies are long. No event is ever committed before a
        cursor that the store has already returned. Messages are found as long as they are stored; other events until
        every subscriber has passed them. Raises ValueError for a cursor that this store did not return."""
