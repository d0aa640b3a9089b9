"""Notifications: messages that the server makes of typed tips (PROTOCOL 4.1, 4.2)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from greenroom.actors.messages import Push
from greenroom.actors.rules.ids import GROUP, SINGLE, own_notification_id
from greenroom.actors.rules.message import render
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.openim_json import tips_content

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from greenroom.actors.world import World

__all__ = [
    "CONVERSATION_CHANGED", "GROUP_CREATED", "GROUP_DISMISSED", "GROUP_MUTED", "GROUP_UNMUTED", "HAS_READ",
    "MEMBERS_INVITED", "MEMBERS_KICKED", "MEMBER_INFO_SET", "MEMBER_MUTED", "MEMBER_QUIT", "MEMBER_UNMUTED",
    "USER_INFO_UPDATED", "build", "push_to",
]  # fmt: skip

CONVERSATION_CHANGED = 1300
USER_INFO_UPDATED = 1303
GROUP_CREATED = 1501
MEMBER_QUIT = 1504
MEMBERS_KICKED = 1508
MEMBERS_INVITED = 1509
GROUP_DISMISSED = 1511
MEMBER_MUTED, MEMBER_UNMUTED = 1512, 1513
GROUP_MUTED, GROUP_UNMUTED = 1514, 1515
MEMBER_INFO_SET = 1516
HAS_READ = 2200

_COPIED_INTO_CHAT = {
    GROUP_CREATED, MEMBER_QUIT, MEMBERS_KICKED, MEMBERS_INVITED, GROUP_DISMISSED, MEMBER_MUTED, MEMBER_UNMUTED,
    GROUP_MUTED, GROUP_UNMUTED,
}  # fmt: skip
"""Those whose configuration has isSendMsg (PROTOCOL 4.2)."""

_OFF = (
    "isNotNotification", "isSendMsg", "history", "persistent", "offlinePush", "unreadCount", "conversationUpdate",
    "notPrivate", "senderConversationUpdate", "reactionFromCache",
)  # fmt: skip
_SYSTEM = 200


def build(
    world: World,
    content_type: int,
    tips: Message,
    *,
    send_id: str,
    recv_id: str,
    session_type: int = SINGLE,
    stored: bool = False,
    send_message: bool | None = None,
) -> sdkws_pb2.MsgData:
    """A notification. Who sends it makes its serverMsgID and sendTime.

    `recv_id` is the group's id in a group session. `stored` is OpenIM's level 2. `send_message` overrides
    whether a copy goes into the visible chat.
    """
    in_chat = content_type in _COPIED_INTO_CHAT if send_message is None else send_message
    notification = sdkws_pb2.MsgData(
        sendID=send_id,
        recvID=recv_id,
        groupID=recv_id if session_type == GROUP else "",
        clientMsgID=world.new_id(),
        sessionType=session_type,
        contentType=content_type,
        content=tips_content(tips),
        createTime=world.clock.now_ms(),
    )
    notification.MergeFrom(_shared(in_chat=in_chat, stored=stored))
    return notification


def push_to(user_id: str, world: World, content_type: int, tips: Message, *, send_id: str, operation_id: str) -> Push:
    """A notification that is not stored, to a user's own devices."""
    notice = build(world, content_type, tips, send_id=send_id, recv_id=user_id)
    notice.serverMsgID = world.new_id()
    notice.sendTime = notice.createTime
    return Push(own_notification_id(user_id), render(notice), operation_id)


@cache
def _shared(*, in_chat: bool, stored: bool) -> sdkws_pb2.MsgData:
    """What all notifications of a kind have: a map of options takes as long to fill as the rest."""
    options = dict.fromkeys(_OFF, False)
    options["senderSync"] = True
    options["isSendMsg"] = options["unreadCount"] = in_chat
    options["history"] = options["persistent"] = stored
    return sdkws_pb2.MsgData(msgFrom=_SYSTEM, options=options, offlinePushInfo=sdkws_pb2.OfflinePushInfo())
