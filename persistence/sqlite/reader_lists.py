"""Reads of the lists that clients keep: conversation records, groups and their members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.wire import conversation_pb2, sdkws_pb2
from greenroom.persistence.sqlite.reader import json_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.sqlite.statements import Connection

__all__ = ["ListReader"]

RECORD_COLUMNS = (
    "c.conversation_id, r.recv_msg_opt, r.conversation_type, p.user_id, r.group_id, r.is_pinned,"
    " r.attached_info, r.is_private_chat, r.group_at_type, r.ex, r.burn_duration, r.min_seq, r.max_seq,"
    " r.msg_destruct_time, r.latest_msg_destruct_time, r.is_msg_destruct"
)

MEMBER_COLUMNS = (
    "u.user_id, m.role_level, m.join_time, iif(m.nickname = '', u.nickname, m.nickname),"
    " iif(m.face_url = '', u.face_url, m.face_url), u.app_manger_level, m.join_source, m.operator_user_id,"
    " m.ex, m.mute_end_time, m.inviter_user_id"
)

GROUP_COLUMNS = (
    "g.group_id, g.group_name, g.notification, g.introduction, g.face_url, g.create_time, g.ex, g.status,"
    " g.creator_user_id, g.group_type, g.need_verification, g.look_member_info, g.apply_member_friend,"
    " g.notification_update_time, g.notification_user_id, g.member_count"
)


class ListReader:
    """Synchronous; each answer is of one moment. Raises apsw.Error."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def records(
        self, owner_id: str, conversation_ids: Sequence[str] | None
    ) -> list[conversation_pb2.Conversation]:
        if conversation_ids is None:
            source, order = "record r CROSS JOIN conversation c ON c.id = r.conversation", "r.place"
        else:
            source = (
                "json_each(?2) j CROSS JOIN conversation c ON c.conversation_id = j.value"
                " CROSS JOIN record r ON r.conversation = c.id"
            )
            order = "j.key"
        rows = self._connection.execute(
            f"SELECT {RECORD_COLUMNS} FROM {source} LEFT JOIN user p ON p.id = r.peer"
            f" WHERE r.owner = (SELECT id FROM user WHERE user_id = ?1) ORDER BY {order}",
            (owner_id,) if conversation_ids is None else (owner_id, json_list(conversation_ids)),
        )
        return [
            conversation_pb2.Conversation(
                ownerUserID=owner_id,
                conversationID=row[0],
                recvMsgOpt=row[1],
                conversationType=row[2],
                userID=row[3] or "",
                groupID=row[4],
                isPinned=bool(row[5]),
                attachedInfo=row[6],
                isPrivateChat=bool(row[7]),
                groupAtType=row[8],
                ex=row[9],
                burnDuration=row[10],
                minSeq=row[11],
                maxSeq=row[12],
                msgDestructTime=row[13],
                latestMsgDestructTime=row[14],
                isMsgDestruct=bool(row[15]),
            )
            for row in rows.fetchall()
        ]

    def groups(self, group_ids: Sequence[str]) -> list[sdkws_pb2.GroupInfo]:
        rows = self._connection.execute(
            f"SELECT {GROUP_COLUMNS}, (SELECT u.user_id FROM member m JOIN user u ON u.id = m.user"
            " WHERE m.chat_group = g.id AND m.role_level = 100 LIMIT 1)"
            " FROM json_each(?) j CROSS JOIN chat_group g ON g.group_id = j.value ORDER BY j.key",
            (json_list(group_ids),),
        )
        return [
            sdkws_pb2.GroupInfo(
                groupID=row[0],
                groupName=row[1],
                notification=row[2],
                introduction=row[3],
                faceURL=row[4],
                createTime=row[5],
                ex=row[6],
                status=row[7],
                creatorUserID=row[8],
                groupType=row[9],
                needVerification=row[10],
                lookMemberInfo=row[11],
                applyMemberFriend=row[12],
                notificationUpdateTime=row[13],
                notificationUserID=row[14],
                memberCount=row[15],
                ownerUserID=row[16] or "",
            )
            for row in rows.fetchall()
        ]

    def members(self, group_id: str, user_ids: Sequence[str] | None) -> list[sdkws_pb2.GroupMemberFullInfo]:
        if user_ids is None:
            source, order = "member m CROSS JOIN user u ON u.id = m.user", "m.role_level DESC, m.id"
        else:
            source = (
                "json_each(?2) j CROSS JOIN user u ON u.user_id = j.value"
                " CROSS JOIN member m ON m.user = u.id"
            )
            order = "j.key"
        rows = self._connection.execute(
            f"SELECT {MEMBER_COLUMNS} FROM {source}"
            f" WHERE m.chat_group = (SELECT id FROM chat_group WHERE group_id = ?1) ORDER BY {order}",
            (group_id,) if user_ids is None else (group_id, json_list(user_ids)),
        )
        return [
            sdkws_pb2.GroupMemberFullInfo(
                groupID=group_id,
                userID=row[0],
                roleLevel=row[1],
                joinTime=row[2],
                nickname=row[3],
                faceURL=row[4],
                appMangerLevel=row[5],
                joinSource=row[6],
                operatorUserID=row[7],
                ex=row[8],
                muteEndTime=row[9],
                inviterUserID=row[10],
            )
            for row in rows.fetchall()
        ]

    def joined_groups(self, user_id: str) -> list[str]:
        rows = self._connection.execute(
            "SELECT g.group_id FROM member m CROSS JOIN chat_group g ON g.id = m.chat_group"
            " WHERE m.user = (SELECT id FROM user WHERE user_id = ?) ORDER BY m.role_level DESC, m.id",
            (user_id,),
        )
        return [row[0] for row in rows.fetchall()]
