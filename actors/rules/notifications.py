"""Notifications: messages that the server makes from typed tips (PROTOCOL 4.1, 4.2). Each kind is declared as a row."""

from __future__ import annotations

from bisect import bisect
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from greenroom.actors.messages import Push
from greenroom.actors.rules.ids import notification_ids, pair_key
from greenroom.actors.rules.limits import CONTENT_LIMIT_BYTES
from greenroom.actors.rules.message import render
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.openim_json import tips_content
from greenroom.actors.wire.vocabulary import CHAT_PREFIXES, ContentType, MessageFrom, SessionType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from greenroom.actors.world import World

__all__ = [
    "ANNOUNCEMENT_SET",
    "CONVERSATION_CHANGED",
    "GROUP_CREATED",
    "GROUP_DISMISSED",
    "GROUP_MUTED",
    "GROUP_UNMUTED",
    "HAS_READ",
    "MEMBERS_INVITED",
    "MEMBERS_KICKED",
    "MEMBER_INFO_SET",
    "MEMBER_MUTED",
    "MEMBER_QUIT",
    "MEMBER_UNMUTED",
    "NOTIFICATIONS",
    "USER_INFO_UPDATED",
    "Notification",
    "build",
    "push_to",
]  # fmt: skip


class Notification(NamedTuple):
    """One kind of notification."""

    content_type: int
    tips: type[Message]
    """Class of its content, which is JSON in the `detail` of a NotificationElem."""
    in_chat: bool = False
    """Whether a copy goes into the visible chat, unless the request says otherwise (OpenIM's isSendMsg)."""
    stored: bool = False
    """Whether it is stored in the `n_` conversation with a seq (OpenIM's reliability level 2)."""
    shows_sender: bool = False
    """Whether it has the nickname and picture of its sender's profile."""


CONVERSATION_CHANGED: Final = Notification(ContentType.CONVERSATION_CHANGED, sdkws_pb2.ConversationUpdateTips)
USER_INFO_UPDATED: Final = Notification(ContentType.USER_INFO_UPDATED, sdkws_pb2.UserInfoUpdatedTips)
GROUP_CREATED: Final = Notification(ContentType.GROUP_CREATED, sdkws_pb2.GroupCreatedTips, in_chat=True)
MEMBER_QUIT: Final = Notification(ContentType.MEMBER_QUIT, sdkws_pb2.MemberQuitTips, in_chat=True)
MEMBERS_KICKED: Final = Notification(ContentType.MEMBERS_KICKED, sdkws_pb2.MemberKickedTips, in_chat=True)
MEMBERS_INVITED: Final = Notification(ContentType.MEMBERS_INVITED, sdkws_pb2.MemberInvitedTips, in_chat=True)
GROUP_DISMISSED: Final = Notification(ContentType.GROUP_DISMISSED, sdkws_pb2.GroupDismissedTips, in_chat=True)
MEMBER_MUTED: Final = Notification(ContentType.MEMBER_MUTED, sdkws_pb2.GroupMemberMutedTips, in_chat=True)
MEMBER_UNMUTED: Final = Notification(ContentType.MEMBER_UNMUTED, sdkws_pb2.GroupMemberCancelMutedTips, in_chat=True)
GROUP_MUTED: Final = Notification(ContentType.GROUP_MUTED, sdkws_pb2.GroupMutedTips, in_chat=True)
GROUP_UNMUTED: Final = Notification(ContentType.GROUP_UNMUTED, sdkws_pb2.GroupCancelMutedTips, in_chat=True)
MEMBER_INFO_SET: Final = Notification(ContentType.MEMBER_INFO_SET, sdkws_pb2.GroupMemberInfoSetTips)
ANNOUNCEMENT_SET: Final = Notification(
    ContentType.ANNOUNCEMENT_SET, sdkws_pb2.GroupInfoSetAnnouncementTips, in_chat=True, shows_sender=True
)
HAS_READ: Final = Notification(ContentType.HAS_READ, sdkws_pb2.MarkAsReadTips, stored=True)

NOTIFICATIONS: Final = {
    kind.content_type: kind
    for kind in (
        CONVERSATION_CHANGED, USER_INFO_UPDATED, GROUP_CREATED, MEMBER_QUIT, MEMBERS_KICKED, MEMBERS_INVITED,
        GROUP_DISMISSED, MEMBER_MUTED, MEMBER_UNMUTED, GROUP_MUTED, GROUP_UNMUTED, MEMBER_INFO_SET, ANNOUNCEMENT_SET,
        HAS_READ,
    )
}  # fmt: skip
"""All kinds, by content type."""

_OFF_OPTIONS = (
    "isNotNotification", "isSendMsg", "history", "persistent", "offlinePush", "unreadCount", "conversationUpdate",
    "notPrivate", "senderConversationUpdate", "reactionFromCache",
)  # fmt: skip


def build(
    world: World,
    kind: Notification,
    tips: Message,
    *,
    send_id: str,
    recv_id: str,
    session_type: int = SessionType.SINGLE,
    send_message: bool | None = None,
    sender: sdkws_pb2.UserInfo | None = None,
    elements: Sequence[bytes] = (),
) -> sdkws_pb2.MsgData:
    """Make a notification without serverMsgID and sendTime, which its conversation sets.

    `tips` is of the class that the row names. `recv_id` is the group's id in a group session. `send_message`
    overrides whether a copy goes into the visible chat. `sender` is the profile of `send_id`, for kinds that show it.
    `elements` are the members in the list of the tips; see `tips_element`.
    """
    in_chat = kind.in_chat if send_message is None else send_message
    content = _content(tips, elements)
    notice = _build(world, kind, content, send_id, recv_id, session_type, in_chat=in_chat, stored=kind.stored)
    if kind.shows_sender and sender is not None:
        notice.senderNickname, notice.senderFaceURL = sender.nickname, sender.faceURL
    return notice


def push_to(user_id: str, world: World, kind: Notification, tips: Message, *, send_id: str, operation_id: str) -> Push:
    """Make a notification from `send_id` to a user, which is only pushed and not stored."""
    content = tips_content(tips)
    notice = _build(world, kind, content, send_id, user_id, SessionType.SINGLE, in_chat=kind.in_chat, stored=False)
    notice.serverMsgID = world.new_id()
    notice.sendTime = notice.createTime
    conversation_id = next(notification_ids(CHAT_PREFIXES[SessionType.SINGLE], pair_key(send_id, user_id)))
    return Push(conversation_id, render(notice), operation_id)


def _build(
    world: World, kind: Notification, content: bytes, send_id: str, recv_id: str, session_type: int, *,
    in_chat: bool, stored: bool,
) -> sdkws_pb2.MsgData:  # fmt: skip
    notification = sdkws_pb2.MsgData(
        sendID=send_id,
        recvID=recv_id,
        groupID=recv_id if session_type == SessionType.GROUP else "",
        clientMsgID=world.new_id(),
        sessionType=session_type,
        contentType=kind.content_type,
        content=content,
        createTime=world.clock.now_ms(),
    )
    notification.MergeFrom(_common_fields(in_chat=in_chat, stored=stored))
    return notification


def _content(tips: Message, elements: Sequence[bytes]) -> bytes:
    """The content, within the limit of a message: a list of members that is too long is cut.

    A cut tip names no version of the members' log, so that clients do not apply it but read the log.
    """
    content = tips_content(tips, elements)
    if elements and len(content) > CONTENT_LIMIT_BYTES:
        if "groupMemberVersionID" in tips.DESCRIPTOR.fields_by_name:
            tips.ClearField("groupMemberVersionID")
        room = CONTENT_LIMIT_BYTES - len(tips_content(tips))
        fitting = bisect(list(accumulate(len(element) + 1 for element in elements)), room)
        content = tips_content(tips, elements[:fitting])
    return content


@cache
def _common_fields(*, in_chat: bool, stored: bool) -> sdkws_pb2.MsgData:
    """The fields that such notifications share. Cached, because setting the options takes as long as all the rest."""
    options = dict.fromkeys(_OFF_OPTIONS, False)
    options["senderSync"] = True
    options["isSendMsg"] = options["unreadCount"] = in_chat
    options["history"] = options["persistent"] = stored
    return sdkws_pb2.MsgData(msgFrom=MessageFrom.SYSTEM, options=options, offlinePushInfo=sdkws_pb2.OfflinePushInfo())
