"""How each kind of write becomes rows, inside a transaction that the writer holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.persistence.refusal import FirstAnswer, Reason, Refusal
from greenroom.persistence.sqlite.schema import (
    GROUP_COLUMNS,
    LAST_REGISTERED,
    LOG_NUMBERS,
    MEMBER_COLUMNS,
    RECORD_COLUMNS,
    USER_COLUMNS,
    client_key,
    server_id_text,
    server_id_value,
)
from greenroom.persistence.sqlite.statements import many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from greenroom.persistence.sqlite.row_numbers import Names
    from greenroom.persistence.sqlite.statements import Connection
    from greenroom.persistence.store import Columns, LogKind

__all__ = ["Applier", "PlainSlice", "PlainWrite", "Refused"]

PlainWrite = list[Any]
"""The name of a write's class (see greenroom.persistence.store), then its fields."""
PlainSlice = tuple[str, int, list[PlainWrite]]
"""A slice's key, epoch and writes."""


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
        self.appliers: dict[str, Callable[..., None]] = {
            "AddBlack": self._add_black,
            "AddFriend": self._add_friend,
            "AddGroup": self._add_group,
            "AddMembers": self._add_members,
            "AddMessage": self._add_message,
            "AddRecords": self._add_records,
            "AddUsers": self._add_users,
            "BumpVersion": self._bump_version,
            "ClaimKey": self._claim_key,
            "DropMembers": self._drop_members,
            "DropTokens": self._drop_tokens,
            "MarkMessagesRead": self._mark_messages_read,
            "RaiseReadSeq": self._raise_read_seq,
            "SetGroup": self._set_group,
            "SetMember": self._set_member,
            "SetRecord": self._set_record,
            "SetTokens": self._set_tokens,
            "SetUser": self._set_user,
        }
        """By the name of a write; its fields are the arguments."""

    def apply_all(self, slices: Sequence[PlainSlice]) -> None:
        """Apply slices and flush; raises at the first refusal."""
        messages = [fields for _, _, writes in slices for name, *fields in writes if name == "AddMessage"]
        if len(messages) > 1:
            self._names.meet_conversations(conversation_id for conversation_id, *_ in messages)
            self._names.meet_users(send_id for _, _, send_id, *_ in messages)
        appliers = self.appliers
        for self._key, _, writes in slices:
            for name, *fields in writes:
                appliers[name](*fields)
        self.flush()

    def apply(self, key: str, write: PlainWrite) -> None:
        self._key = key
        name, *fields = write
        self.appliers[name](*fields)

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

    def _claim_key(self, kind: str, members: list[str]) -> None:
        name = self._key.partition("/")[2]
        first, second = members if kind == "pair" else (None, None)
        claim = (kind, first, second)
        self._connection.execute("INSERT OR IGNORE INTO key VALUES (?, ?, ?, ?)", (name, *claim))
        stored = self._connection.execute(
            "SELECT kind, first, second FROM key WHERE name = ?", (name,)
        ).fetchone()
        if stored != claim:
            raise Refused(Refusal(Reason.KEY_TAKEN, f"the key is stored as that of a {stored[0]}"))

    def _add_users(self, users: list[list[Any]]) -> None:
        last = self._connection.execute(LAST_REGISTERED).fetchone()[0] or 0
        values: list[Any] = []
        for registered, (user_id, *profile) in enumerate(users, last + 1):
            values += (user_id, registered, *profile)
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
        if len(done) < len(users):
            raise Refused(Refusal(Reason.USER_EXISTS, "a user id is registered"))

    def _set_user(self, user_id: str, changes: Columns) -> None:
        self._set("user", USER_COLUMNS, changes, "user_id = ? AND registered IS NOT NULL", user_id)

    def _set_tokens(self, user_id: str, tokens: list[tuple[int, bytes, int, int]]) -> None:
        user = self._names.user(user_id)
        many(
            self._connection,
            "INSERT INTO token (user, digest, platform_id, state, expire_at) VALUES {} ON CONFLICT"
            " (user, digest) DO UPDATE SET state = excluded.state",
            "(?, ?, ?, ?, ?)",
            [
                value
                for platform_id, digest, state, expire_at in tokens
                for value in (user, digest, platform_id, state, expire_at)
            ],
        )

    def _drop_tokens(self, user_id: str, digests: list[bytes]) -> None:
        user = self._names.user(user_id)
        many(
            self._connection,
            "DELETE FROM token WHERE (user, digest) IN (VALUES {})",
            "(?, ?)",
            [value for digest in digests for value in (user, digest)],
        )

    def _add_message(
        self, conversation_id: str, seq: int, send_id: str, client_msg_id: str, server_msg_id: str, send_time: int,
        content_type: int, body: bytes,
    ) -> None:  # fmt: skip
        names = self._names
        head = names.conversations.get(conversation_id) or names.conversation(conversation_id)
        sender = names.users.get(send_id) or names.user(send_id)
        client = client_key(client_msg_id)
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
            self._last, head[0], seq, sender, client, server_id_value(server_msg_id), send_time, content_type, body,
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

    def _add_records(
        self, conversation_id: str, conversation_type: int, group_id: str, owners: list[tuple[str, str]]
    ) -> None:
        names = self._names
        conversation, _ = names.conversation(conversation_id)
        names.meet_users([user_id for pair in owners for user_id in pair if user_id])
        log = LOG_NUMBERS["conversations"]
        values: list[Any] = []
        for owner_id, peer_id in owners:
            owner = names.users[owner_id]
            peer = names.users[peer_id] if peer_id else None
            values += (owner, conversation, log, owner, conversation_type, peer, group_id)
        made = many(
            self._connection,
            "INSERT INTO record (owner, conversation, place, conversation_type, peer, group_id) VALUES {}"
            " ON CONFLICT (owner, conversation) DO NOTHING RETURNING owner",
            "(?, ?, 1 + coalesce((SELECT version FROM version_log WHERE log = ? AND owner = ?), 1), ?, ?, ?)",
            values,
        )
        self._bump(log, [owner for (owner,) in made], [(conversation_id, 1)])

    def _set_record(self, owner_id: str, conversation_id: str, changes: Columns) -> None:
        owner = self._names.user(owner_id)
        done = self._set(
            "record",
            RECORD_COLUMNS,
            changes,
            "owner = ? AND conversation = (SELECT id FROM conversation WHERE conversation_id = ?)",
            owner,
            conversation_id,
        )
        if done:
            self._bump(LOG_NUMBERS["conversations"], [owner], [(conversation_id, 3)])

    def _raise_read_seq(self, conversation_id: str, user_id: str, seq: int) -> None:
        key = self._names.user(user_id), self._names.conversation(conversation_id)[0]
        if seq > self._reads.get(key, 0):
            self._reads[key] = seq

    def _mark_messages_read(
        self, conversation_id: str, reader_id: str, begin: int, end: int, seqs: list[int]
    ) -> None:
        conversation, newest = self._names.conversation(conversation_id)
        reader = self._names.user(reader_id)
        spans = ((begin, min(end, newest)), *((seq, seq) for seq in seqs))
        for low, high in spans:
            if low <= high <= newest:
                self._marks += (conversation, low, high, reader)

    def _add_group(self, group: list[Any]) -> None:
        self._connection.execute(
            "INSERT INTO chat_group (group_id, group_name, notification, introduction, face_url, create_time,"
            " ex, status, creator_user_id, group_type, need_verification, look_member_info,"
            " apply_member_friend, notification_update_time, notification_user_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            group,
        )

    def _set_group(self, group_id: str, changes: Columns) -> None:
        self._set("chat_group", GROUP_COLUMNS, changes, "group_id = ?", group_id)

    def _add_members(self, group_id: str, members: list[list[Any]]) -> None:
        group = self._group(group_id)
        names = self._names
        names.meet_users([user_id for user_id, *_ in members])
        values: list[Any] = []
        for user_id, *facts in members:
            values += (group, names.users[user_id], *facts)
        many(
            self._connection,
            "INSERT OR FAIL INTO member (chat_group, user, nickname, face_url, role_level, join_time,"
            " join_source, inviter_user_id, operator_user_id, mute_end_time, ex) VALUES {}",
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        self._count_members(group, len(members))

    def _set_member(self, group_id: str, user_id: str, changes: Columns) -> None:
        self._set(
            "member",
            MEMBER_COLUMNS,
            changes,
            "chat_group = (SELECT id FROM chat_group WHERE group_id = ?)"
            " AND user = (SELECT id FROM user WHERE user_id = ?)",
            group_id,
            user_id,
        )

    def _drop_members(self, group_id: str, user_ids: list[str]) -> None:
        group = self._group(group_id)
        self._names.meet_users(user_ids)
        values: list[Any] = []
        for user_id in user_ids:
            values += (group, self._names.users[user_id])
        gone = many(
            self._connection,
            "DELETE FROM member WHERE (chat_group, user) IN (VALUES {}) RETURNING id",
            "(?, ?)",
            values,
        )
        self._count_members(group, -len(gone))

    def _bump_version(self, log: LogKind, owner_id: str, entries: list[tuple[str, int]]) -> None:
        owner = self._group(owner_id) if log == "members" else self._names.user(owner_id)
        self._bump(LOG_NUMBERS[log], [owner], entries)

    def _add_friend(self, owner_id: str, friend_id: str) -> None:
        self._connection.execute(
            "INSERT OR IGNORE INTO friend VALUES (?, ?)",
            (self._names.user(owner_id), self._names.user(friend_id)),
        )

    def _add_black(self, owner_id: str, blocked_id: str) -> None:
        self._connection.execute(
            "INSERT OR IGNORE INTO black VALUES (?, ?)",
            (self._names.user(owner_id), self._names.user(blocked_id)),
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
