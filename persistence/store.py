"""What a store must do: commit slices of writes, each all or nothing, and read what is committed.

Writes are data: they cross to the writer process as plain values (`plain`), the name of a write before its fields. A
store refuses what breaks one of its rules (a stale epoch, a key of another kind, a repeated message); it holds no chat
rule beyond them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import msgspec

from greenroom.persistence.refusal import FirstAnswer, Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from greenroom.actors.wire import conversation_pb2, sdkws_pb2
    from greenroom.persistence.sqlite.applier import PlainSlice

__all__ = [
    "AddBlack", "AddFriend", "AddGroup", "AddMembers", "AddMessage", "AddRecords", "AddUsers", "Block",
    "BumpVersion", "ClaimKey", "Columns", "ConversationState", "DropMembers", "DropTokens", "FirstAnswer",
    "GroupRow",
    "KeyKind", "KeyState", "LogKind", "MarkMessagesRead", "MemberRow", "PairFact", "Pulled", "RaiseReadSeq",
    "Range", "Reading",
    "Reason", "RecordOwner", "Refusal", "SeqState", "SetGroup", "SetMember", "SetRecord", "SetTokens", "SetUser",
    "Slice", "Span", "Store", "StoredMessage", "TokenRow", "UserRow", "VersionLog", "Write", "plain",
]  # fmt: skip

KeyKind = Literal["pair", "group"]
"""What a key names: two users (perhaps one and the same), or a group."""

LogKind = Literal["friends", "members", "joined", "conversations"]
"""The four version logs of OpenIM's incremental sync (PROTOCOL 5.9)."""


Columns = dict[str, str | int | bool]
"""New values by column; a name that the row does not have is refused (FAILED)."""


class UserRow(msgspec.Struct, frozen=True, array_like=True):
    user_id: str
    nickname: str
    face_url: str
    ex: str
    create_time: int
    """Milliseconds since the epoch."""
    app_manger_level: int
    global_recv_msg_opt: int


class TokenRow(msgspec.Struct, frozen=True, array_like=True):
    """One token's state; the token itself is never stored, only its digest."""

    platform_id: int
    digest: bytes
    """BLAKE2b-128 of the token text."""
    state: int
    """0 normal, 2 kicked (PROTOCOL 8.2)."""
    expire_at: int
    """Seconds since the epoch."""


class GroupRow(msgspec.Struct, frozen=True, array_like=True):
    group_id: str
    group_name: str
    notification: str
    introduction: str
    face_url: str
    create_time: int
    ex: str
    status: int
    creator_user_id: str
    group_type: int
    need_verification: int
    look_member_info: int
    apply_member_friend: int
    notification_update_time: int
    notification_user_id: str


class MemberRow(msgspec.Struct, frozen=True, array_like=True):
    user_id: str
    nickname: str
    """Empty: the profile's nickname shows (likewise face_url)."""
    face_url: str
    role_level: int
    join_time: int
    join_source: int
    inviter_user_id: str
    operator_user_id: str
    mute_end_time: int
    ex: str


class RecordOwner(msgspec.Struct, frozen=True, array_like=True):
    """Whose conversation record, and the other user it shows (empty for a group's)."""

    owner_id: str
    peer_id: str


class Write(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """One change. A slice's writes are applied in order."""


class ClaimKey(Write, frozen=True):
    """Store what the slice's key names. Refused (KEY_TAKEN) if it is stored with another kind or members.

    `members` of a pair are its two user ids, sorted; of a group, empty.
    """

    kind: KeyKind
    members: tuple[str, ...]


class AddUsers(Write, frozen=True):
    """Register users. Refused (USER_EXISTS) if any id is registered."""

    users: list[UserRow]


class SetUser(Write, frozen=True):
    """Change some of a user's columns (names of `UserRow`). An unknown user is left unknown."""

    user_id: str
    changes: Columns


class SetTokens(Write, frozen=True):
    """Add tokens of a user, or overwrite the state of those with the same digest."""

    user_id: str
    tokens: list[TokenRow]


class DropTokens(Write, frozen=True):
    user_id: str
    digests: list[bytes]


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


class AddRecords(Write, frozen=True):
    """Make the conversation records that are missing, each with an insert in its owner's log."""

    conversation_id: str
    conversation_type: int
    group_id: str
    owners: list[RecordOwner]


class SetRecord(Write, frozen=True):
    """Change columns of one record (`min_seq`, `max_seq`, `notification_max_seq`, `recv_msg_opt`, ...), with
    an update in the owner's log. A missing record is left missing."""

    owner_id: str
    conversation_id: str
    changes: Columns


class RaiseReadSeq(Write, frozen=True):
    """Read seq of a user in a conversation := the greater of the stored one and `seq`.

    His own messages raise it without this write (see `Store.read_seq`).
    """

    conversation_id: str
    user_id: str
    seq: int


class MarkMessagesRead(Write, frozen=True):
    """Set isRead on messages not sent by `reader_id`: those in begin..end (both inclusive) and in `seqs`."""

    conversation_id: str
    reader_id: str
    begin: int
    end: int
    seqs: list[int]


class AddGroup(Write, frozen=True):
    group: GroupRow


class SetGroup(Write, frozen=True):
    """Change some of a group's columns (names of `GroupRow`). An unknown group is passed over."""

    group_id: str
    changes: Columns


class AddMembers(Write, frozen=True):
    """Refused (FAILED) if the group is unknown or one of them is a member."""

    group_id: str
    members: list[MemberRow]


class SetMember(Write, frozen=True):
    """Change some of a member's columns (names of `MemberRow`). Who is no member is passed over."""

    group_id: str
    user_id: str
    changes: Columns


class DropMembers(Write, frozen=True):
    """Remove members; ids that are no members are passed over."""

    group_id: str
    user_ids: list[str]


class BumpVersion(Write, frozen=True):
    """One change of a version log: version + 1, and each entry is rewritten with it.

    An entry is (id, state): 1 insert, 2 delete, 3 update. A log's version is 1 before its first change.
    The owner is a group for `members` (refused (FAILED) if unknown), a user for the other logs.
    """

    log: LogKind
    owner_id: str
    entries: list[tuple[str, int]]


class AddFriend(Write, frozen=True):
    """`friend_id` is in `owner_id`'s friend list from now on (one direction)."""

    owner_id: str
    friend_id: str


class AddBlack(Write, frozen=True):
    """`owner_id` refuses single messages from `blocked_id` from now on."""

    owner_id: str
    blocked_id: str


Block = (
    ClaimKey | AddUsers | SetUser | SetTokens | DropTokens | AddMessage | AddRecords | SetRecord
    | RaiseReadSeq | MarkMessagesRead | AddGroup | SetGroup | AddMembers | SetMember | DropMembers
    | BumpVersion | AddFriend | AddBlack
)  # fmt: skip
"""Every kind of write."""


class Slice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Writes of one key, all or nothing."""

    key: str
    """The entity's key, with its kind before a slash: `conversation/a_b`, `group/g1`, `user/u1`. Pairs and
    groups share one key space for ClaimKey: what follows the slash."""
    epoch: int
    writes: list[Block]


def plain(slices: Sequence[Slice]) -> list[PlainSlice]:
    """Slices as the writer takes them. Raises TypeError for what is no such value."""
    return msgspec.to_builtins(slices, builtin_types=(bytes,))  # type: ignore[no-any-return]


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
    """The record's own max seq if it has one (he left), else the conversation's."""
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


class VersionLog(NamedTuple):
    version: int
    version_id: str
    """24 hex digits; fixed for a log's life in one database."""
    changed: list[tuple[str, int, int]] | None
    """(id, state, version) of entries newer than asked for, oldest first; None if more than the limit."""


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

    async def open(self) -> None:
        """Make the store ready, or raise StoreUnavailable (or what says why: see `errors`)."""

    async def close(self) -> None:
        """Finish the commits under way, then let go of files and processes."""

    async def commit(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        """One outcome for each slice, None = committed. Never raises: a store that fails answers FAILED."""

    async def users(self, user_ids: Sequence[str]) -> list[sdkws_pb2.UserInfo]:
        """In the order asked for; unknown ids are left out."""

    async def users_page(self, offset: int, limit: int) -> tuple[int, list[sdkws_pb2.UserInfo]]:
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
        """Which of the conversations the user may see, and how much. A chat needs his record; an `n_` one is
        his if he has a record of a chat of the same key, or if it is his own (`n_<id>_<id>`). Those that were never
        written are left out."""

    async def newest_seqs(self, user_id: str) -> dict[str, int]:
        """Max seq of every conversation of the user's records, of their `n_` twins, and of `n_<id>_<id>`;
        those with max seq 0 are left out (PROTOCOL 5.1)."""

    async def seq_states(self, user_id: str, conversation_ids: Sequence[str] | None) -> dict[str, SeqState]:
        """For the user's records (all with None), by conversation id (PROTOCOL 5.5)."""

    async def read_seq(self, conversation_id: str, user_id: str) -> int:
        """The greater of the read seq stored and the seq of the user's own last message; 0 if none."""

    async def reading(self, conversation_id: str, user_id: str) -> Reading | None:
        """What marking as read starts from; None if the user has no record of the conversation."""

    async def records(
        self, owner_id: str, conversation_ids: Sequence[str] | None = None
    ) -> list[conversation_pb2.Conversation]:
        """The owner's records, in storage order; only those asked for, in that order, if ids are given."""

    async def groups(self, group_ids: Sequence[str]) -> list[sdkws_pb2.GroupInfo]:
        """With ownerUserID and memberCount filled in, in the order asked for; unknown ids are left out."""

    async def members(
        self, group_id: str, user_ids: Sequence[str] | None = None
    ) -> list[sdkws_pb2.GroupMemberFullInfo]:
        """By role, highest first, then in order of joining; with ids, those in the order asked for.
        nickname and faceURL fall back to the profile's, appMangerLevel comes from it."""

    async def joined_groups(self, user_id: str) -> list[str]:
        """Group ids, by role, highest first, then in order of joining."""

    async def changes(self, log: LogKind, owner_id: str, since: int, *, limit: int = 200) -> VersionLog: ...
