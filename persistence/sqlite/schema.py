"""The tables of a SQLite store, and the steps from each released version to the next.

Inside the store users, groups and conversations are integers and message ids are 16 bytes.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from greenroom.persistence.errors import NotAStore, StoreDamaged, StoreTooNew, StoreUnavailable
from greenroom.persistence.sqlite.statements import reserve_checksums, verifies

if TYPE_CHECKING:
    from greenroom.persistence.sqlite.statements import SqliteConnection
    from greenroom.persistence.store import LogKind

__all__ = [
    "LAST_REGISTERED", "LOG_NUMBERS", "NEWEST_SEQ", "SCHEMA_VERSION", "add_checksums", "client_key", "count_commit",
    "instance_of", "lacks_checksums", "migrate", "raise_epoch", "server_id_text", "server_id_value", "stored_commits",
    "stored_epoch", "version_id",
]  # fmt: skip

APPLICATION_ID: Final = 0x47524E4D
"""In the file's header: "GRNM"."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
        "INSERT INTO meta VALUES ('instance', :instance), ('epoch', 0)",
        # Every user that is named anywhere has a row. `registered` is the number of a registration, in order.
        """CREATE TABLE user (
            id INTEGER PRIMARY KEY, user_id TEXT NOT NULL UNIQUE, registered INTEGER,
            nickname TEXT NOT NULL DEFAULT '', face_url TEXT NOT NULL DEFAULT '', ex TEXT NOT NULL DEFAULT '',
            create_time INTEGER NOT NULL DEFAULT 0, app_manger_level INTEGER NOT NULL DEFAULT 0,
            global_recv_msg_opt INTEGER NOT NULL DEFAULT 0)""",
        "CREATE UNIQUE INDEX user_registered ON user (registered) WHERE registered IS NOT NULL",
        """CREATE TABLE token (
            id INTEGER PRIMARY KEY, user INTEGER NOT NULL, digest BLOB NOT NULL, platform_id INTEGER NOT NULL,
            state INTEGER NOT NULL, expire_at INTEGER NOT NULL, UNIQUE (user, digest))""",
        # first and second are a pair's users, NULL for a group.
        """CREATE TABLE key (
            name TEXT PRIMARY KEY, kind TEXT NOT NULL, first TEXT, second TEXT) WITHOUT ROWID""",
        """CREATE TABLE conversation (
            id INTEGER PRIMARY KEY, conversation_id TEXT NOT NULL UNIQUE, max_seq INTEGER NOT NULL DEFAULT 0,
            min_seq INTEGER NOT NULL DEFAULT 0, max_seq_time INTEGER NOT NULL DEFAULT 0)""",
        # Rows lie in order of arrival, not by conversation: a batch then fills a few pages instead of
        # touching one for each conversation, which costs 30 to 45 % less CPU and half the log's bytes.
        """CREATE TABLE message (
            id INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, seq INTEGER NOT NULL,
            sender INTEGER NOT NULL, client BLOB, server, send_time INTEGER NOT NULL,
            content_type INTEGER NOT NULL, is_read INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL)""",
        "CREATE UNIQUE INDEX message_seq ON message (conversation, seq)",
        # An empty client id is NULL, and NULLs differ. They are in the index because it also finds a sender's last
        # message.
        "CREATE UNIQUE INDEX message_client ON message (conversation, sender, client)",
        # place is the version of the owner's log at the insert; it gives the order of the owner's records.
        """CREATE TABLE record (
            owner INTEGER NOT NULL, conversation INTEGER NOT NULL, place INTEGER NOT NULL,
            conversation_type INTEGER NOT NULL, peer INTEGER, group_id TEXT NOT NULL,
            recv_msg_opt INTEGER NOT NULL DEFAULT 0, is_pinned INTEGER NOT NULL DEFAULT 0,
            attached_info TEXT NOT NULL DEFAULT '', is_private_chat INTEGER NOT NULL DEFAULT 0,
            group_at_type INTEGER NOT NULL DEFAULT 0, ex TEXT NOT NULL DEFAULT '',
            burn_duration INTEGER NOT NULL DEFAULT 0, min_seq INTEGER NOT NULL DEFAULT 0,
            max_seq INTEGER NOT NULL DEFAULT 0, notification_max_seq INTEGER NOT NULL DEFAULT 0,
            msg_destruct_time INTEGER NOT NULL DEFAULT 0,
            latest_msg_destruct_time INTEGER NOT NULL DEFAULT 0,
            is_msg_destruct INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (owner, conversation)) WITHOUT ROWID""",
        """CREATE TABLE read (
            user INTEGER NOT NULL, conversation INTEGER NOT NULL, seq INTEGER NOT NULL,
            PRIMARY KEY (user, conversation)) WITHOUT ROWID""",
        """CREATE TABLE chat_group (
            id INTEGER PRIMARY KEY, group_id TEXT NOT NULL UNIQUE, group_name TEXT NOT NULL,
            notification TEXT NOT NULL, introduction TEXT NOT NULL, face_url TEXT NOT NULL,
            create_time INTEGER NOT NULL, ex TEXT NOT NULL, status INTEGER NOT NULL,
            creator_user_id TEXT NOT NULL, group_type INTEGER NOT NULL, need_verification INTEGER NOT NULL,
            look_member_info INTEGER NOT NULL, apply_member_friend INTEGER NOT NULL,
            notification_update_time INTEGER NOT NULL, notification_user_id TEXT NOT NULL,
            member_count INTEGER NOT NULL DEFAULT 0)""",
        # id is the order of joining.
        """CREATE TABLE member (
            id INTEGER PRIMARY KEY, chat_group INTEGER NOT NULL, user INTEGER NOT NULL,
            nickname TEXT NOT NULL, face_url TEXT NOT NULL, role_level INTEGER NOT NULL,
            join_time INTEGER NOT NULL, join_source INTEGER NOT NULL, inviter_user_id TEXT NOT NULL,
            operator_user_id TEXT NOT NULL, mute_end_time INTEGER NOT NULL, ex TEXT NOT NULL,
            UNIQUE (chat_group, user))""",
        "CREATE INDEX member_user ON member (user)",
        "CREATE INDEX member_owner ON member (chat_group) WHERE role_level = 100",
        # log: see LOG_NUMBERS; owner is a group's number in the log of members, else a user's.
        """CREATE TABLE version_log (
            log INTEGER NOT NULL, owner INTEGER NOT NULL, version INTEGER NOT NULL,
            PRIMARY KEY (log, owner)) WITHOUT ROWID""",
        """CREATE TABLE version_entry (
            log INTEGER NOT NULL, owner INTEGER NOT NULL, entry TEXT NOT NULL, state INTEGER NOT NULL,
            version INTEGER NOT NULL, PRIMARY KEY (log, owner, entry)) WITHOUT ROWID""",
        "CREATE INDEX version_entry_version ON version_entry (log, owner, version)",
        """CREATE TABLE friend (
            owner INTEGER NOT NULL, friend INTEGER NOT NULL, PRIMARY KEY (owner, friend)) WITHOUT ROWID""",
        """CREATE TABLE black (
            owner INTEGER NOT NULL, blocked INTEGER NOT NULL, PRIMARY KEY (owner, blocked)) WITHOUT ROWID""",
    ),
    (
        # Number of transactions, which is compared with the mark beside the database.
        "INSERT INTO meta VALUES ('commits', 0)",
        "ALTER TABLE message ADD COLUMN sum INTEGER",
    ),
    # Each page has a checksum instead: see `add_checksums`, which goes before.
    ("ALTER TABLE message DROP COLUMN sum",),
    (
        # Two keys for each message: (conversation, 0, seq), where 0 is no user's number, and (conversation, sender,
        # client id), with the seq in place of an empty client id. Both are in one tree and so mostly on one page: a
        # message to any of 100,000 conversations changes one and a half pages, not three and a half as with two
        # indexes and a newest seq in `conversation`.
        """CREATE TABLE message_key (
            conversation INTEGER NOT NULL, sender INTEGER NOT NULL, name NOT NULL, message INTEGER NOT NULL,
            PRIMARY KEY (conversation, sender, name)) WITHOUT ROWID""",
        # The old indexes give the first two in order, so almost nothing is sorted.
        """INSERT INTO message_key SELECT conversation, 0, seq, id FROM message
            UNION ALL SELECT conversation, sender, client, id FROM message WHERE client IS NOT NULL
            UNION ALL SELECT conversation, sender, seq, id FROM message WHERE client IS NULL
            ORDER BY 1, 2, 3""",
        "DROP INDEX message_seq",
        "DROP INDEX message_client",
        "ALTER TABLE conversation DROP COLUMN max_seq",
        "ALTER TABLE conversation DROP COLUMN max_seq_time",
    ),
    (
        # From now on a group's own writes set it, and member_count.
        "ALTER TABLE chat_group ADD COLUMN owner_user_id TEXT NOT NULL DEFAULT ''",
        """UPDATE chat_group SET owner_user_id = coalesce((
            SELECT u.user_id FROM member m JOIN user u ON u.id = m.user
            WHERE m.chat_group = chat_group.id AND m.role_level = 100 LIMIT 1), '')""",
        "DROP INDEX member_owner",
        # Number of the newest message that was ever removed, so that no number is given twice. What removes messages
        # sets it in the same transaction. Before that it waits for the subscribers, up to a bound.
        "INSERT INTO meta VALUES ('removed', 0)",
        # What was noted for subscribers; message is the newest one at that moment. AUTOINCREMENT: no number is given
        # twice.
        """CREATE TABLE event (
            id INTEGER PRIMARY KEY AUTOINCREMENT, message INTEGER NOT NULL, kind TEXT NOT NULL,
            subject TEXT NOT NULL, data BLOB NOT NULL)""",
        # message and event are the last ones that the subscriber has passed.
        """CREATE TABLE subscriber (
            name TEXT PRIMARY KEY, message INTEGER NOT NULL, event INTEGER NOT NULL) WITHOUT ROWID""",
    ),
)
"""Step i leads from version i to i + 1. Released steps never change; a change of tables is a new step."""

SCHEMA_VERSION: Final = len(MIGRATIONS)
CHECKSUMS_SINCE: Final = 3

LAST_REGISTERED: Final = "SELECT max(registered) FROM user WHERE registered IS NOT NULL"
"""The condition is that of the index. Without it SQLite reads all users."""

NEWEST_SEQ: Final = """ifnull((
    SELECT name FROM message_key WHERE conversation = c.id AND sender = 0 ORDER BY name DESC LIMIT 1), 0)"""
"""The newest seq of conversation c, in SQL; 0 without messages."""

LOG_NUMBERS: Final[dict[LogKind, int]] = {"friends": 1, "members": 2, "joined": 3, "conversations": 4}


def migrate(connection: SqliteConnection, *, instance: bytes) -> None:
    """Bring the database to SCHEMA_VERSION in one transaction; `instance` is its id if it is new.

    Raises StoreTooNew for a later release's file, NotAStore for a file of something else, StoreDamaged if its pages
    cannot be verified. A file that `lacks_checksums` needs `add_checksums` first.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StoreTooNew(f"the database has schema {version}, this release knows {SCHEMA_VERSION}")
        if application != APPLICATION_ID:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if application or version or tables:
                raise NotAStore("the database belongs to another program")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        elif not verifies(connection):
            raise StoreDamaged(f"{connection.filename}: its header hides the checksums of its pages")
        for step in MIGRATIONS[version:]:
            for statement in step:
                connection.execute(statement, {"instance": instance} if ":instance" in statement else {})
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def lacks_checksums(connection: SqliteConnection) -> bool:
    """Whether it is a store of a version that had no checksums."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return bool(application == APPLICATION_ID and version < CHECKSUMS_SINCE)


def add_checksums(connection: SqliteConnection) -> None:
    """Rewrite the whole file, each page with a checksum. It needs as much room again beside the file, and in the
    system's folder for temporary files. Other connections must be closed before, and this one afterwards. If it is
    interrupted it must be called again."""
    connection.execute("PRAGMA temp_store = FILE")
    reserve_checksums(connection)
    connection.execute("VACUUM")
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        raise StoreUnavailable("the database cannot be rewritten while others read it")


def raise_epoch(connection: SqliteConnection) -> int:
    """The epoch of a new opening: one above every earlier one."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch'")
    epoch = stored_epoch(connection)
    connection.execute("COMMIT")
    return epoch


def stored_epoch(connection: SqliteConnection) -> int:
    (epoch,) = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    return int(epoch)


def count_commit(connection: SqliteConnection) -> int:
    """The number of this transaction. Call it once in each."""
    ((commits,),) = connection.execute(
        "UPDATE meta SET value = value + 1 WHERE name = 'commits' RETURNING value"
    ).fetchall()
    return int(commits)


def stored_commits(connection: SqliteConnection) -> int:
    (commits,) = connection.execute("SELECT value FROM meta WHERE name = 'commits'").fetchone()
    return int(commits)


def instance_of(connection: SqliteConnection) -> bytes:
    (instance,) = connection.execute("SELECT value FROM meta WHERE name = 'instance'").fetchone()
    return bytes(instance)


def client_key(client_msg_id: str) -> bytes | None:
    """What stands for a client message id in the index: None for the empty one, 16 bytes for 32 hex digits (lower
    case), 17 bytes with a digest for any other. So no two ids have the same key."""
    if len(client_msg_id) == 32 and (raw := _from_hex(client_msg_id)) is not None:
        return raw
    if not client_msg_id:
        return None
    return b"\0" + _digest(client_msg_id, size=16)


def server_id_value(server_msg_id: str) -> bytes | str:
    """32 hex digits become 16 bytes; any other text stays as it is. `server_id_text` reverses it."""
    if len(server_msg_id) == 32 and (raw := _from_hex(server_msg_id)) is not None:
        return raw
    return server_msg_id


def server_id_text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.hex()


def version_id(instance: bytes, log: LogKind, owner_id: str) -> str:
    """24 hex digits: one log's id for as long as the database lives. No other log has them."""
    return _digest(f"{log}/{owner_id}", size=12, key=instance).hex()


def _digest(text: str, *, size: int, key: bytes = b"") -> bytes:
    return blake2b(text.encode(), key=key, digest_size=size).digest()


def _from_hex(text: str) -> bytes | None:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    return raw if raw.hex() == text else None
