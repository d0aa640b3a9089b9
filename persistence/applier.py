"""How each kind of write becomes rows, inside a transaction that the writer holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.persistence.schema import (
    GROUP_COLUMNS,
    LOG_NUMBERS,
    MEMBER_COLUMNS,
    RECORD_COLUMNS,
    USER_COLUMNS,
    client_key,
    server_id_text,
    server_id_value,
)
from greenroom.persistence.statements import many
from greenroom.persistence.store import (
    AddBlack,
    AddFriend,
    AddGroup,
    AddMembers,
    AddMessage,
    AddRecords,
    AddUsers,
    BumpVersion,
    ClaimKey,
    DropMembers,
    DropTokens,
    FirstAnswer,
    MarkMessagesRead,
    RaiseReadSeq,
    Reason,
    Refusal,
    SetGroup,
    SetMember,
    SetRecord,
    SetTokens,
    SetUser,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from greenroom.persistence.names import Names
    from greenroom.persistence.statements import Connection
    from greenroom.persistence.store import Block, Columns, Slice

__all__ = ["Applier", "Refused"]


class Refused(Exception):
    """A write breaks a rule of the store."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


class Applier:
    """Applies writes in order; messages, read seqs and marks wait for `flush`, so that a batch of them is
    a few statements: APSW takes the GIL back at each one.

    They wait safely because no other write looks at them, and a mark says how far the messages went when it came.
    A refusal or an error leaves rows half written: the caller rolls back and calls `forget`.
    """

    def __init__(self, connection: Connection, names: Names) -> None:
        self.careful = False
        """Look for a repeat before each message, to say what was answered first; otherwise the index only
        says that there is one."""
        self._connection = connection
        self._names = names
        self._key = ""
        """Of the slice at hand."""
        self._messages: list[Any] = []
        self._keys: list[Any] = []
        """Two of each message that waits."""
        self._last = 0
        """Number of the last message, while any waits."""
        self._reads: dict[tuple[int, int], int] = {}
        self._marks: list[int] = []
        """Conversation, first and last seq, reader; one after the other."""
        self._appliers: dict[type, Callable[[Any], None]] = {
            AddBlack: self._add_black,
            AddFriend: self._add_friend,
            AddGroup: self._add_group,
            AddMembers: self._add_members,
            AddMessage: self._add_message,
            AddRecords: self._add_records,
            AddUsers: self._add_users,
            BumpVersion: self._bump_version,
            ClaimKey: self._claim_key,
            DropMembers: self._drop_members,
            DropTokens: self._drop_tokens,
            MarkMessagesRead: self._mark_messages_read,
            RaiseReadSeq: self._raise_read_seq,
            SetGroup: self._set_group,
            SetMember: self._set_member,
            SetRecord: self._set_record,
            SetTokens: self._set_tokens,
            SetUser: self._set_user,
        }

    def apply_all(self, slices: Sequence[Slice]) -> None:
        """Apply slices and flush; raises at the first refusal."""
        messages = [w for s in slices for w in s.writes if type(w) is AddMessage]
        if len(messages) > 1:
            self._names.meet_conversations(w.conversation_id for w in messages)
            self._names.meet_users(w.send_id for w in messages)
        appliers = self._appliers
        for one in slices:
            self._key = one.key
            for write in one.writes:
                appliers[type(write)](write)
        self.flush()

    def apply(self, key: str, write: Block) -> None:
        self._key = key
        self._appliers[type(write)](write)

    def flush(self) -> None:
        """Write what waits."""
        # OR FAIL: without it SQLite journals each statement of several rows, to undo it alone; what fails
        # here is undone with the transaction or the savepoint around it.
        if self._messages:
            many(
                self._connection,
                "INSERT OR FAIL INTO message (id, conversation, seq, sender, client, server, send_time,"
                " content_type, body) VALUES {}",
                "(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                self._messages,
            )
            many(
                self._connection,
                "INSERT OR FAIL INTO message_key (conversation, sender, name, message) VALUES {}",
                "(?, ?, ?, ?)",
                self._keys,
            )
            self._messages = []
            self._keys = []
        if self._reads:
            many(
                self._connection,
                "INSERT OR FAIL INTO read (user, conversation, seq) VALUES {}"
                " ON CONFLICT (user, conversation) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq",
                "(?, ?, ?)",
                [value for key, seq in self._reads.items() for value in (*key, seq)],
            )
            self._reads = {}
        if self._marks:
            many(
                self._connection,
                "WITH mark (conversation, low, high, reader) AS (VALUES {}) UPDATE OR FAIL message SET is_read = 1"
                " WHERE id IN (SELECT m.id FROM mark CROSS JOIN message_key k ON k.conversation = mark.conversation"
                " AND k.sender = 0 AND k.name BETWEEN mark.low AND mark.high CROSS JOIN message m ON m.id = k.message"
                " WHERE m.sender <> mark.reader AND m.is_read = 0)",
                "(?, ?, ?, ?)",
                self._marks,
            )
            self._marks = []

    def forget(self) -> None:
        """Drop what waits for `flush`."""
        self._messages = []
        self._keys = []
        self._reads = {}
        self._marks = []

    def _claim_key(self, write: ClaimKey) -> None:
        name = self._key.partition("/")[2]
        first, second = write.members if write.kind == "pair" else (None, None)
        claim = (write.kind, first, second)
        self._connection.execute("INSERT OR IGNORE INTO key VALUES (?, ?, ?, ?)", (name, *claim))
        stored = self._connection.execute(
            "SELECT kind, first, second FROM key WHERE name = ?", (name,)
        ).fetchone()
        if stored != claim:
            raise Refused(Refusal(Reason.KEY_TAKEN, f"the key is stored as that of a {stored[0]}"))

    def _add_users(self, write: AddUsers) -> None:
        (last,) = self._connection.execute("SELECT coalesce(max(registered), 0) FROM user").fetchone()
        values: list[Any] = []
        for registered, user in enumerate(write.users, last + 1):
            values += (
                user.user_id, registered, user.nickname, user.face_url, user.ex, user.create_time,
                user.app_manger_level, user.global_recv_msg_opt,
            )  # fmt: skip
        done = many(
            self._connection,
            "INSERT INTO user (user_id, registered, nickname, face_url, ex, create_time, app_manger_level,"
            " global_recv_msg_opt) VALUES {} ON CONFLICT (user_id) DO UPDATE SET registered ="
            " excluded.registered, nickname = excluded.nickname, face_url = excluded.face_url,"
            " ex = excluded.ex, create_time = excluded.create_time,"
            " app_manger_level = excluded.app_manger_level,"
            " global_recv_msg_opt = excluded.global_recv_msg_opt WHERE registered IS NULL RETURNING id",
            "(?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        if len(done) < len(write.users):
            raise Refused(Refusal(Reason.USER_EXISTS, "a user id is registered"))

    def _set_user(self, write: SetUser) -> None:
        self._set(
            "user", USER_COLUMNS, write.changes, "user_id = ? AND registered IS NOT NULL", write.user_id
        )

    def _set_tokens(self, write: SetTokens) -> None:
        user = self._names.user(write.user_id)
        many(
            self._connection,
            "INSERT INTO token (user, digest, platform_id, state, expire_at) VALUES {} ON CONFLICT"
            " (user, digest) DO UPDATE SET state = excluded.state",
            "(?, ?, ?, ?, ?)",
            [v for t in write.tokens for v in (user, t.digest, t.platform_id, t.state, t.expire_at)],
        )

    def _drop_tokens(self, write: DropTokens) -> None:
        user = self._names.user(write.user_id)
        many(
            self._connection,
            "DELETE FROM token WHERE (user, digest) IN (VALUES {})",
            "(?, ?)",
            [value for digest in write.digests for value in (user, digest)],
        )

    def _add_message(self, write: AddMessage) -> None:
        names = self._names
        conversation_id, seq = write.conversation_id, write.seq
        head = names.conversations.get(conversation_id) or names.conversation(conversation_id)
        sender = names.users.get(write.send_id) or names.user(write.send_id)
        client = client_key(write.client_msg_id)
        if self.careful:
            self._refuse_repeat(head[0], sender, client)
        if seq != head[1] + 1:
            raise Refused(Refusal(Reason.FAILED, f"seq {seq} does not follow {head[1]}"))
        names.raise_seq(conversation_id, head, seq)
        if not self._messages:
            (self._last,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()
        self._last += 1
        self._keys += (head[0], 0, seq, self._last, head[0], sender, client or seq, self._last)
        self._messages += (
            self._last, head[0], seq, sender, client, server_id_value(write.server_msg_id), write.send_time,
            write.content_type, write.body,
        )  # fmt: skip
        if self.careful:
            self.flush()

    def _refuse_repeat(self, conversation: int, sender: int, client: bytes | None) -> None:
        if client is None:
            return
        row = self._connection.execute(
            "SELECT seq, server, send_time FROM message WHERE id ="
            " (SELECT message FROM message_key WHERE conversation = ? AND sender = ? AND name = ?)",
            (conversation, sender, client),
        ).fetchone()
        if row is not None:
            first = FirstAnswer(row[0], server_id_text(row[1]), row[2])
            raise Refused(Refusal(Reason.REPEATED, f"stored as seq {first.seq}", first=first))

    def _add_records(self, write: AddRecords) -> None:
        names = self._names
        conversation, _ = names.conversation(write.conversation_id)
        names.meet_users([name for o in write.owners for name in (o.owner_id, o.peer_id) if name])
        log = LOG_NUMBERS["conversations"]
        values: list[Any] = []
        for one in write.owners:
            owner = names.users[one.owner_id]
            peer = names.users[one.peer_id] if one.peer_id else None
            values += (owner, conversation, log, owner, write.conversation_type, peer, write.group_id)
        made = many(
            self._connection,
            "INSERT INTO record (owner, conversation, place, conversation_type, peer, group_id) VALUES {}"
            " ON CONFLICT (owner, conversation) DO NOTHING RETURNING owner",
            "(?, ?, 1 + coalesce((SELECT version FROM version_log WHERE log = ? AND owner = ?), 1), ?, ?, ?)",
            values,
        )
        self._bump(log, [owner for (owner,) in made], [(write.conversation_id, 1)])

    def _set_record(self, write: SetRecord) -> None:
        owner = self._names.user(write.owner_id)
        done = self._set(
            "record",
            RECORD_COLUMNS,
            write.changes,
            "owner = ? AND conversation = (SELECT id FROM conversation WHERE conversation_id = ?)",
            owner,
            write.conversation_id,
        )
        if done:
            self._bump(LOG_NUMBERS["conversations"], [owner], [(write.conversation_id, 3)])

    def _raise_read_seq(self, write: RaiseReadSeq) -> None:
        key = self._names.user(write.user_id), self._names.conversation(write.conversation_id)[0]
        if write.seq > self._reads.get(key, 0):
            self._reads[key] = write.seq

    def _mark_messages_read(self, write: MarkMessagesRead) -> None:
        conversation, newest = self._names.conversation(write.conversation_id)
        reader = self._names.user(write.reader_id)
        spans = ((write.begin, min(write.end, newest)), *((seq, seq) for seq in write.seqs))
        for low, high in spans:
            if low <= high <= newest:
                self._marks += (conversation, low, high, reader)

    def _add_group(self, write: AddGroup) -> None:
        row = write.group
        self._connection.execute(
            "INSERT INTO chat_group (group_id, group_name, notification, introduction, face_url, create_time,"
            " ex, status, creator_user_id, group_type, need_verification, look_member_info,"
            " apply_member_friend, notification_update_time, notification_user_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.group_id, row.group_name, row.notification, row.introduction, row.face_url,
                row.create_time, row.ex, row.status, row.creator_user_id, row.group_type,
                row.need_verification, row.look_member_info, row.apply_member_friend,
                row.notification_update_time, row.notification_user_id,
            ),
        )  # fmt: skip

    def _set_group(self, write: SetGroup) -> None:
        self._set("chat_group", GROUP_COLUMNS, write.changes, "group_id = ?", write.group_id)

    def _add_members(self, write: AddMembers) -> None:
        group = self._group(write.group_id)
        names = self._names
        names.meet_users([row.user_id for row in write.members])
        values: list[Any] = []
        for row in write.members:
            values += (
                group, names.users[row.user_id], row.nickname, row.face_url, row.role_level, row.join_time,
                row.join_source, row.inviter_user_id, row.operator_user_id, row.mute_end_time, row.ex,
            )  # fmt: skip
        many(
            self._connection,
            "INSERT OR FAIL INTO member (chat_group, user, nickname, face_url, role_level, join_time,"
            " join_source, inviter_user_id, operator_user_id, mute_end_time, ex) VALUES {}",
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        self._count_members(group, len(write.members))

    def _set_member(self, write: SetMember) -> None:
        self._set(
            "member",
            MEMBER_COLUMNS,
            write.changes,
            "chat_group = (SELECT id FROM chat_group WHERE group_id = ?)"
            " AND user = (SELECT id FROM user WHERE user_id = ?)",
            write.group_id,
            write.user_id,
        )

    def _drop_members(self, write: DropMembers) -> None:
        group = self._group(write.group_id)
        self._names.meet_users(write.user_ids)
        values: list[Any] = []
        for user_id in write.user_ids:
            values += (group, self._names.users[user_id])
        gone = many(
            self._connection,
            "DELETE FROM member WHERE (chat_group, user) IN (VALUES {}) RETURNING id",
            "(?, ?)",
            values,
        )
        self._count_members(group, -len(gone))

    def _bump_version(self, write: BumpVersion) -> None:
        members = write.log == "members"
        owner = self._group(write.owner_id) if members else self._names.user(write.owner_id)
        self._bump(LOG_NUMBERS[write.log], [owner], write.entries)

    def _add_friend(self, write: AddFriend) -> None:
        self._connection.execute(
            "INSERT OR IGNORE INTO friend VALUES (?, ?)",
            (self._names.user(write.owner_id), self._names.user(write.friend_id)),
        )

    def _add_black(self, write: AddBlack) -> None:
        self._connection.execute(
            "INSERT OR IGNORE INTO black VALUES (?, ?)",
            (self._names.user(write.owner_id), self._names.user(write.blocked_id)),
        )

    def _bump(self, log: int, owners: list[int], entries: list[tuple[str, int]]) -> None:
        """One change in the log of each owner, with the same entries."""
        many(
            self._connection,
            "INSERT INTO version_log (log, owner, version) VALUES {}"
            " ON CONFLICT (log, owner) DO UPDATE SET version = version + 1",
            "(?, ?, 2)",
            [value for owner in owners for value in (log, owner)],
        )
        values: list[Any] = []
        for owner in owners:
            for entry, state in entries:
                values += (log, owner, entry, state, log, owner)
        many(
            self._connection,
            "INSERT INTO version_entry (log, owner, entry, state, version) VALUES {} ON CONFLICT"
            " (log, owner, entry) DO UPDATE SET state = excluded.state, version = excluded.version",
            "(?, ?, ?, ?, (SELECT version FROM version_log WHERE log = ? AND owner = ?))",
            values,
        )

    def _group(self, group_id: str) -> int:
        number = self._names.group(group_id)
        if number is None:
            raise Refused(Refusal(Reason.FAILED, f"group {group_id!r} is unknown"))
        return number

    def _count_members(self, group: int, more: int) -> None:
        self._connection.execute(
            "UPDATE chat_group SET member_count = member_count + ? WHERE id = ?", (more, group)
        )

    def _set(self, table: str, columns: frozenset[str], changes: Columns, where: str, *key: Any) -> bool:
        """Change columns of one row; False if there is no such row."""
        if not changes:
            return False
        if not columns.issuperset(changes):
            unknown = ", ".join(sorted(set(changes) - columns))
            raise Refused(Refusal(Reason.FAILED, f"{table} has no column {unknown}"))
        names = ", ".join(f"{name} = ?" for name in sorted(changes))
        values = [changes[name] for name in sorted(changes)]
        self._connection.execute(f"UPDATE {table} SET {names} WHERE {where}", (*values, *key))
        return self._connection.changes() > 0
