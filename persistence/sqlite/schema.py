"""The tables of a SQLite store, and the migration from each released version to the next.

In the tables, users, groups and conversations are integers, and message ids are 16 bytes.
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
    "stored_epoch", "take_instance", "version_id",
]  # fmt: skip

APPLICATION_ID: Final = 0x47524E4D
"""Id of our databases in the file's header: "GRNM"."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
        "INSERT INTO meta VALUES ('instance', :instance), ('epoch', 0)",
        # Each user id that occurs anywhere in the store has a row. `registered` numbers the registrations.
        """CREATE TABLE user (
            id INTEGER PRIMARY KEY, user_id TEXT NOT NULL UNIQUE, registered INTEGER,
            nickname TEXT NOT NULL DEFAULT '', face_url TEXT NOT NULL DEFAULT '', ex TEXT NOT NULL DEFAULT '',
            create_time INTEGER NOT NULL DEFAULT 0, app_manger_level INTEGER NOT NULL DEFAULT 0,
            global_recv_msg_opt INTEGER NOT NULL DEFAULT 0)""",
        "CREATE UNIQUE INDEX user_registered ON user (registered) WHERE registered IS NOT NULL",
        """CREATE TABLE token (
            id INTEGER PRIMARY KEY, user INTEGER NOT NULL, digest BLOB NOT NULL, platform_id INTEGER NOT NULL,
            state INTEGER NOT NULL, expire_at INTEGER NOT NULL, UNIQUE (user, digest))""",
        # first and second are the users of a pair; they are NULL for a group.
        """CREATE TABLE key (
            name TEXT PRIMARY KEY, kind TEXT NOT NULL, first TEXT, second TEXT) WITHOUT ROWID""",
        """CREATE TABLE conversation (
            id INTEGER PRIMARY KEY, conversation_id TEXT NOT NULL UNIQUE, max_seq INTEGER NOT NULL DEFAULT 0,
            min_seq INTEGER NOT NULL DEFAULT 0, max_seq_time INTEGER NOT NULL DEFAULT 0)""",
        # Rows are stored in the order of arrival, not by conversation: so a batch fills a few pages instead of changing
        # one for each conversation. This saves 30 to 45 % of the CPU time and half of the log's bytes.
        """CREATE TABLE message (
            id INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, seq INTEGER NOT NULL,
            sender INTEGER NOT NULL, client BLOB, server, send_time INTEGER NOT NULL,
            content_type INTEGER NOT NULL, is_read INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL)""",
        "CREATE UNIQUE INDEX message_seq ON message (conversation, seq)",
        # An empty client id is NULL, and NULLs are distinct. They are in the index because it is also used to find a
        # sender's last message.
        "CREATE UNIQUE INDEX message_client ON message (conversation, sender, client)",
        # place is the version of the owner's log at the insert. Earlier releases sorted the owner's records by it.
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
        # log: see LOG_NUMBERS. owner is a group's number in the log of members, and a user's number in the other logs.
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
        # Number of transactions. It is compared with the mark beside the database.
        "INSERT INTO meta VALUES ('commits', 0)",
        "ALTER TABLE message ADD COLUMN sum INTEGER",
    ),
    # Each page has a checksum instead: see `add_checksums`, which must run before this step.
    ("ALTER TABLE message DROP COLUMN sum",),
    (
        # Each message has two keys: (conversation, 0, seq), where 0 is no user's number, and (conversation, sender,
        # client id), with the seq in place of an empty client id. Both are in one tree and so mostly on one page. With
        # 100,000 conversations, a message changes 1.5 pages, instead of 3.5 with two indexes and a newest seq in
        # `conversation`.
        """CREATE TABLE message_key (
            conversation INTEGER NOT NULL, sender INTEGER NOT NULL, name NOT NULL, message INTEGER NOT NULL,
            PRIMARY KEY (conversation, sender, name)) WITHOUT ROWID""",
        # The old indexes return the first two parts in order, so SQLite has to sort almost nothing.
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
        # From this version on, a group's own writes set this column and member_count.
        "ALTER TABLE chat_group ADD COLUMN owner_user_id TEXT NOT NULL DEFAULT ''",
        """UPDATE chat_group SET owner_user_id = coalesce((
            SELECT u.user_id FROM member m JOIN user u ON u.id = m.user
            WHERE m.chat_group = chat_group.id AND m.role_level = 100 LIMIT 1), '')""",
        "DROP INDEX member_owner",
        # Number of the newest message that was ever removed, so that no number is used twice. Code that removes
        # messages sets it in the same transaction, and must first wait for the subscribers, up to a bound.
        "INSERT INTO meta VALUES ('removed', 0)",
        # Events that were noted for the subscribers. message is the newest message at that time. With AUTOINCREMENT no
        # number is used twice.
        """CREATE TABLE event (
            id INTEGER PRIMARY KEY AUTOINCREMENT, message INTEGER NOT NULL, kind TEXT NOT NULL,
            subject TEXT NOT NULL, data BLOB NOT NULL)""",
        # message and event are the last message and the last event that the subscriber has passed.
        """CREATE TABLE subscriber (
            name TEXT PRIMARY KEY, message INTEGER NOT NULL, event INTEGER NOT NULL) WITHOUT ROWID""",
    ),
    # The order in which members are listed: a page of a large group is read without sorting all of them.
    ("CREATE INDEX member_place ON member (chat_group, role_level DESC, id)",),
    (
        # A pair and a group of the same name have a key each. twin is the number of the key's `n_` conversation, NULL
        # before the first message to one: the name does not say whose an `n_` conversation is.
        "ALTER TABLE key RENAME TO old_key",
        """CREATE TABLE key (
            kind TEXT NOT NULL, name TEXT NOT NULL, first TEXT, second TEXT, twin INTEGER,
            PRIMARY KEY (name, kind)) WITHOUT ROWID""",
        """INSERT INTO key SELECT kind, name, first, second, (
            SELECT c.id FROM conversation c WHERE c.conversation_id = 'n_' || name
            AND EXISTS (SELECT 1 FROM message_key WHERE conversation = c.id AND sender = 0)) FROM old_key
            ORDER BY name, kind""",
        "DROP TABLE old_key",
        "CREATE UNIQUE INDEX key_twin ON key (twin) WHERE twin IS NOT NULL",
    ),
)
"""Step i migrates from version i to i + 1. Released steps never change; each change of the tables is a new step."""

SCHEMA_VERSION: Final = len(MIGRATIONS)
CHECKSUMS_SINCE: Final = 3

LAST_REGISTERED: Final = "SELECT max(registered) FROM user WHERE registered IS NOT NULL"
"""Number of the last registration, in SQL. The condition is that of the index: without it SQLite reads all users."""

NEWEST_SEQ: Final = """ifnull((
    SELECT name FROM message_key WHERE conversation = c.id AND sender = 0 ORDER BY name DESC LIMIT 1), 0)"""
"""The newest seq of conversation c, in SQL; 0 without messages."""

LOG_NUMBERS: Final[dict[LogKind, int]] = {"friends": 1, "members": 2, "joined": 3, "conversations": 4}


def migrate(connection: SqliteConnection, *, instance: bytes) -> None:
    """Migrate the database to SCHEMA_VERSION in one transaction. `instance` is the id of a new database.

    Raises StoreTooNew for a file of a later release, NotAStore for a file of another program, and StoreDamaged if the
    pages cannot be verified. A file that `lacks_checksums` needs `add_checksums` first.
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
    """Whether this is a store of a version without checksums."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return bool(application == APPLICATION_ID and version < CHECKSUMS_SINCE)


def add_checksums(connection: SqliteConnection) -> None:
    """Rewrite the whole file, each page with a checksum. This needs free disk space of the file's size beside the file,
    and as much in the system's folder for temporary files. All other connections must be closed before, and this one
    afterwards. After an interruption it must be called again."""
    connection.execute("PRAGMA temp_store = FILE")
    reserve_checksums(connection)
    connection.execute("VACUUM")
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        raise StoreUnavailable("the database cannot be rewritten while others read it")


def raise_epoch(connection: SqliteConnection) -> int:
    """Raise the stored epoch, and return it: the epoch of a new opening, above that of every earlier one."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch'")
    epoch = stored_epoch(connection)
    connection.execute("COMMIT")
    return epoch


def stored_epoch(connection: SqliteConnection) -> int:
    (epoch,) = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    return int(epoch)


def count_commit(connection: SqliteConnection) -> int:
    """Count this transaction, and return its number. It must be called once in each transaction."""
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


def take_instance(connection: SqliteConnection, instance: bytes) -> None:
    """Give the database another id, so that the ids of its version logs change."""
    connection.execute("UPDATE meta SET value = ? WHERE name = 'instance'", (instance,))


def client_key(client_msg_id: str) -> bytes | None:
    """The value of a client message id in the index: None for an empty id, 16 bytes for 32 hex digits (lower case), 17
    bytes with a digest for any other id. So no two ids have the same value."""
    if len(client_msg_id) == 32 and (raw := _from_hex(client_msg_id)) is not None:
        return raw
    if not client_msg_id:
        return None
    return b"\0" + _digest(client_msg_id, size=16)


def server_id_value(server_msg_id: str) -> bytes | str:
    """The stored value of a server message id: 16 bytes for 32 hex digits, any other text unchanged. `server_id_text`
    is the inverse."""
    if len(server_msg_id) == 32 and (raw := _from_hex(server_msg_id)) is not None:
        return raw
    return server_msg_id


def server_id_text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.hex()


def version_id(instance: bytes, log: LogKind, owner_id: str) -> str:
    """24 hex digits: the id of one log, which never changes while the database exists. No other log has the same id."""
    return _digest(f"{log}/{owner_id}", size=12, key=instance).hex()


def _digest(text: str, *, size: int, key: bytes = b"") -> bytes:
    return blake2b(text.encode(), key=key, digest_size=size).digest()


def _from_hex(text: str) -> bytes | None:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    return raw if raw.hex() == text else None
