"""Reads of the lists that clients keep: conversation records, groups and their members, and the changes of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from greenroom.persistence.sqlite.layout import rows_of, select
from greenroom.persistence.sqlite.read import Reads, json_list, read
from greenroom.persistence.sqlite.schema import LOG_NUMBERS, version_id
from greenroom.persistence.store import Member, MemberPlace, RecordPlace, VersionLog
from greenroom.persistence.tables import GroupRow, MemberRow, RecordRow, UserRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.store import LogKind

__all__ = ["ListReads"]

_RECORD: Final = select(
    RecordRow, "r", owner_id="?1", conversation_id="c.conversation_id", peer_id="coalesce(p.user_id, '')"
)
_GROUP: Final = select(GroupRow, "g")
_MEMBER: Final = select(MemberRow, "m", group_id="?1", user_id="u.user_id")
_USER: Final = select(UserRow, "u")
_MEMBER_WIDTH: Final = len(MemberRow.__struct_fields__)
_ABOVE_ALL_ROLES: Final = 1 << 62


class ListReads(Reads):
    @read("records of")
    def records(self, owner_id: str, conversation_ids: Sequence[str] | None = None) -> list[RecordRow]:
        if conversation_ids is None:
            source, order = "record r CROSS JOIN conversation c ON c.id = r.conversation", "r.conversation"
        else:
            source = (
                "json_each(?2) j CROSS JOIN conversation c ON c.conversation_id = j.value"
                " CROSS JOIN record r ON r.conversation = c.id"
            )
            order = "j.key"
        rows = self._db.execute(
            f"SELECT {_RECORD} FROM {source} LEFT JOIN user p ON p.id = r.peer"
            f" WHERE r.owner = (SELECT id FROM user WHERE user_id = ?1) ORDER BY {order}",
            (owner_id,) if conversation_ids is None else (owner_id, json_list(conversation_ids)),
        )
        return rows_of(RecordRow, rows.fetchall())

    @read("records of")
    def records_page(self, owner_id: str, offset: int, limit: int) -> tuple[int, list[RecordRow]]:
        number = self._number(owner_id)
        ((total,),) = self._db.execute("SELECT count(*) FROM record WHERE owner = ?", (number,))
        rows = self._db.execute(
            f"SELECT {_RECORD} FROM (SELECT conversation AS listed FROM record WHERE owner = ?2"
            " ORDER BY conversation LIMIT ?3 OFFSET ?4) CROSS JOIN record r ON r.owner = ?2 AND r.conversation = listed"
            " CROSS JOIN conversation c ON c.id = listed LEFT JOIN user p ON p.id = r.peer ORDER BY listed",
            (owner_id, number, max(limit, 0), max(offset, 0)),
        )
        return total, rows_of(RecordRow, rows.fetchall())

    @read("records of")
    def record_ids(
        self,
        owner_id: str,
        after: RecordPlace | None,
        limit: int,
        *,
        is_pinned: bool | None = None,
        recv_msg_opt: int | None = None,
    ) -> tuple[list[str], RecordPlace | None]:
        rows = self._db.execute(
            "SELECT c.conversation_id, r.conversation FROM record r CROSS JOIN conversation c ON c.id = r.conversation"
            " WHERE r.owner = (SELECT id FROM user WHERE user_id = :owner) AND r.conversation > :after"
            " AND (:pinned IS NULL OR r.is_pinned = :pinned) AND (:option IS NULL OR r.recv_msg_opt = :option)"
            " ORDER BY r.conversation LIMIT :limit",
            {"owner": owner_id, "after": after or 0, "pinned": is_pinned, "option": recv_msg_opt, "limit": limit},
        ).fetchall()
        return [row[0] for row in rows], RecordPlace(rows[-1][1]) if len(rows) == limit else None

    @read("groups")
    def groups(self, group_ids: Sequence[str]) -> list[GroupRow]:
        rows = self._db.execute(
            f"SELECT {_GROUP} FROM json_each(?) j CROSS JOIN chat_group g ON g.group_id = j.value ORDER BY j.key",
            (json_list(group_ids),),
        )
        return rows_of(GroupRow, rows.fetchall())

    @read("members of")
    def members(self, group_id: str, user_ids: Sequence[str] | None = None) -> list[Member]:
        if user_ids is None:
            source, order = "member m CROSS JOIN user u ON u.id = m.user", "m.role_level DESC, m.id"
        else:
            source = (
                "json_each(?2) j CROSS JOIN user u ON u.user_id = j.value"
                " CROSS JOIN member m ON m.user = u.id"
            )
            order = "j.key"
        rows = self._db.execute(
            f"SELECT {_MEMBER}, {_USER} FROM {source}"
            f" WHERE m.chat_group = (SELECT id FROM chat_group WHERE group_id = ?1) ORDER BY {order}",
            (group_id,) if user_ids is None else (group_id, json_list(user_ids)),
        )
        return [_member(row) for row in rows.fetchall()]

    @read("members of")
    def members_page(self, group_id: str, offset: int, limit: int) -> tuple[int, list[Member]]:
        ((number, total),) = self._db.execute(
            "SELECT g.id, (SELECT count(*) FROM member WHERE chat_group = g.id) FROM (SELECT 1)"
            " LEFT JOIN chat_group g ON g.group_id = ?",
            (group_id,),
        )
        rows = self._db.execute(
            f"SELECT {_MEMBER}, {_USER} FROM (SELECT id AS listed FROM member WHERE chat_group = ?2"
            " ORDER BY role_level DESC, id LIMIT ?3 OFFSET ?4) CROSS JOIN member m ON m.id = listed"
            " CROSS JOIN user u ON u.id = m.user ORDER BY m.role_level DESC, m.id",
            (group_id, number, max(limit, 0), max(offset, 0)),
        )
        return total, [_member(row) for row in rows.fetchall()]

    @read("members of")
    def member_ids(
        self, group_id: str, after: MemberPlace | None, limit: int
    ) -> tuple[list[str], MemberPlace | None]:
        role, number = after or (_ABOVE_ALL_ROLES, 0)
        found: list[tuple[str, int, int]] = []
        for condition in ("m.role_level = :role AND m.id > :number", "m.role_level < :role"):
            found += self._db.execute(
                "SELECT u.user_id, m.role_level, m.id FROM member m CROSS JOIN user u ON u.id = m.user"
                f" WHERE m.chat_group = (SELECT id FROM chat_group WHERE group_id = :group) AND {condition}"
                " ORDER BY m.role_level DESC, m.id LIMIT :limit",
                {"group": group_id, "role": role, "number": number, "limit": limit - len(found)},
            )
        return [row[0] for row in found], MemberPlace(found[-1][1:]) if len(found) == limit else None

    @read("groups of")
    def joined_groups(self, user_id: str) -> list[str]:
        rows = self._db.execute(
            "SELECT g.group_id FROM member m CROSS JOIN chat_group g ON g.id = m.chat_group"
            " WHERE m.user = (SELECT id FROM user WHERE user_id = ?) ORDER BY m.role_level DESC, m.id",
            (user_id,),
        )
        return [row[0] for row in rows.fetchall()]

    @read("changes of", of=1)
    def changes(self, log: LogKind, owner_id: str, since: int, *, limit: int = 200) -> VersionLog:
        table, name = ("chat_group", "group_id") if log == "members" else ("user", "user_id")
        rows = self._db.execute(
            "SELECT l.version, e.entry, e.state, e.version FROM version_log l LEFT JOIN (SELECT * FROM"
            f" version_entry WHERE log = ?1 AND owner = (SELECT id FROM {table} WHERE {name} = ?2)"
            " AND version > ?3 ORDER BY version LIMIT ?4) e ON true"
            f" WHERE l.log = ?1 AND l.owner = (SELECT id FROM {table} WHERE {name} = ?2)",
            (LOG_NUMBERS[log], owner_id, since, limit + 1),
        ).fetchall()
        identity = version_id(self._instance, log, owner_id)
        if not rows:
            return VersionLog(1, identity, [])
        changed = [row[1:] for row in rows if row[1] is not None]
        changed.sort(key=lambda row: row[2])
        return VersionLog(rows[0][0], identity, changed if len(changed) <= limit else None)


def _member(row: Sequence[Any]) -> Member:
    return Member(MemberRow(*row[:_MEMBER_WIDTH]), UserRow(*row[_MEMBER_WIDTH:]))
