"""Conversion of stored rows to the protocol's messages, and of a group's info to a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.wire import conversation_pb2, sdkws_pb2
from greenroom.persistence.tables import GroupRow

if TYPE_CHECKING:
    from greenroom.persistence.store import Member
    from greenroom.persistence.tables import RecordRow, UserRow

__all__ = ["conversation", "group_info", "group_row", "member_info", "user_info"]


def user_info(row: UserRow) -> sdkws_pb2.UserInfo:
    return sdkws_pb2.UserInfo(
        userID=row.user_id,
        nickname=row.nickname,
        faceURL=row.face_url,
        ex=row.ex,
        createTime=row.create_time,
        appMangerLevel=row.app_manger_level,
        globalRecvMsgOpt=row.global_recv_msg_opt,
    )


def group_info(row: GroupRow) -> sdkws_pb2.GroupInfo:
    return sdkws_pb2.GroupInfo(
        groupID=row.group_id,
        groupName=row.group_name,
        notification=row.notification,
        introduction=row.introduction,
        faceURL=row.face_url,
        ownerUserID=row.owner_user_id,
        createTime=row.create_time,
        memberCount=row.member_count,
        ex=row.ex,
        status=row.status,
        creatorUserID=row.creator_user_id,
        groupType=row.group_type,
        needVerification=row.need_verification,
        lookMemberInfo=row.look_member_info,
        applyMemberFriend=row.apply_member_friend,
        notificationUpdateTime=row.notification_update_time,
        notificationUserID=row.notification_user_id,
    )


def group_row(info: sdkws_pb2.GroupInfo) -> GroupRow:
    return GroupRow(
        group_id=info.groupID,
        group_name=info.groupName,
        notification=info.notification,
        introduction=info.introduction,
        face_url=info.faceURL,
        create_time=info.createTime,
        ex=info.ex,
        status=info.status,
        creator_user_id=info.creatorUserID,
        group_type=info.groupType,
        need_verification=info.needVerification,
        look_member_info=info.lookMemberInfo,
        apply_member_friend=info.applyMemberFriend,
        notification_update_time=info.notificationUpdateTime,
        notification_user_id=info.notificationUserID,
        owner_user_id=info.ownerUserID,
        member_count=info.memberCount,
    )


def member_info(member: Member) -> sdkws_pb2.GroupMemberFullInfo:
    """The nickname and picture come from the profile, unless the member has others in this group."""
    row, user = member.row, member.user
    return sdkws_pb2.GroupMemberFullInfo(
        groupID=row.group_id,
        userID=row.user_id,
        roleLevel=row.role_level,
        joinTime=row.join_time,
        nickname=row.nickname or user.nickname,
        faceURL=row.face_url or user.face_url,
        appMangerLevel=user.app_manger_level,
        joinSource=row.join_source,
        operatorUserID=row.operator_user_id,
        ex=row.ex,
        muteEndTime=row.mute_end_time,
        inviterUserID=row.inviter_user_id,
    )


def conversation(row: RecordRow) -> conversation_pb2.Conversation:
    return conversation_pb2.Conversation(
        ownerUserID=row.owner_id,
        conversationID=row.conversation_id,
        recvMsgOpt=row.recv_msg_opt,
        conversationType=row.conversation_type,
        userID=row.peer_id,
        groupID=row.group_id,
        isPinned=row.is_pinned,
        attachedInfo=row.attached_info,
        isPrivateChat=row.is_private_chat,
        groupAtType=row.group_at_type,
        ex=row.ex,
        burnDuration=row.burn_duration,
        minSeq=row.min_seq,
        maxSeq=row.max_seq,
        msgDestructTime=row.msg_destruct_time,
        latestMsgDestructTime=row.latest_msg_destruct_time,
        isMsgDestruct=row.is_msg_destruct,
    )
