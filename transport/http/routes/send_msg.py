"""/msg/send_msg: an admin sends a message in any user's name (PROTOCOL 3.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from greenroom.actors.errors import NoPermission, UserNotFound
from greenroom.actors.messages import SendMessage
from greenroom.actors.rules.ids import address_of
from greenroom.actors.rules.limits import check_frame
from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.actors.wire.vocabulary import AppLevel, ContentType, MessageFrom, MessageStatus, SessionType
from greenroom.transport.http.access import ADMIN
from greenroom.transport.http.free_json import BodyMismatch
from greenroom.transport.http.rest_content import check_content
from greenroom.transport.http.table import post_free

if TYPE_CHECKING:
    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

_ONLINE_ONLY = ("history", "persistent", "senderSync", "conversationUpdate")


class OfflinePush(msgspec.Struct, frozen=True, rename=None):
    title: str = ""
    desc: str = ""
    ex: str = ""
    iOSPushSound: str = ""
    iOSBadgeCount: bool = False
    signalInfo: str = ""


class SendBody(msgspec.Struct, frozen=True):
    """The body. Its fields have their names on the wire."""

    sendID: str
    content: dict[str, Any]
    contentType: Int32
    sessionType: Int32
    recvID: str = ""
    groupID: str = ""
    senderNickname: str = ""
    senderFaceURL: str = ""
    senderPlatformID: Int32 = 0
    isOnlineOnly: bool = False
    notOfflinePush: bool = False
    sendTime: Int64 = 0
    offlinePushInfo: OfflinePush | None = None
    ex: str = ""


class SendAnswer(msgspec.Struct, frozen=True):
    serverMsgID: str
    clientMsgID: str
    sendTime: int


async def send_msg(call: Call, body: SendBody) -> SendAnswer:
    if not (body.sendID and body.contentType and body.sessionType):
        raise BodyMismatch("sendID, contentType and sessionType are required")
    if body.sessionType == SessionType.GROUP and not body.groupID:
        raise BodyMismatch("groupID is required in a group")
    if body.sessionType != SessionType.GROUP and not body.recvID:
        raise BodyMismatch("recvID is required")
    check_content(body.contentType, body.content)
    if body.contentType == ContentType.OA_NOTIFICATION:
        await _must_be_trusted(call, body.sendID)
    message = _message(call, body)
    check_frame(message, message.ByteSize())
    sent: msg_pb2.SendMsgResp = await call.ask(
        address_of(message), SendMessage(caller=call.caller, message=message)
    )
    return SendAnswer(sent.serverMsgID, sent.clientMsgID, sent.sendTime)


async def _must_be_trusted(call: Call, user_id: str) -> None:
    users = await call.engine.store.users([user_id])
    if not users:
        raise UserNotFound(user_id)
    if users[0].app_manger_level < AppLevel.ADMIN:
        raise NoPermission("sendID is not a notification account")


def _message(call: Call, body: SendBody) -> sdkws_pb2.MsgData:
    content = msgspec.json.encode(body.content)
    session_type = body.sessionType
    if body.contentType == ContentType.OA_NOTIFICATION:
        session_type = SessionType.NOTIFICATION
        content = msgspec.json.encode({"detail": content.decode()})
    message = sdkws_pb2.MsgData(
        sendID=body.sendID,
        recvID=body.recvID,
        groupID=body.groupID if session_type == SessionType.GROUP else "",
        clientMsgID=f"{call.engine.rng.getrandbits(128):032x}",
        senderPlatformID=body.senderPlatformID,
        senderNickname=body.senderNickname,
        senderFaceURL=body.senderFaceURL,
        sessionType=session_type,
        msgFrom=MessageFrom.SYSTEM,
        contentType=body.contentType,
        content=content,
        sendTime=body.sendTime,
        createTime=call.engine.clock.now_ms(),
        status=MessageStatus.SENDING,
        ex=body.ex,
    )
    if body.offlinePushInfo is not None:
        message.offlinePushInfo.CopyFrom(
            sdkws_pb2.OfflinePushInfo(**msgspec.structs.asdict(body.offlinePushInfo))
        )
    if body.contentType == ContentType.AT_TEXT:
        message.atUserIDList.extend(_at_users(body.content))
    if body.isOnlineOnly:
        for name in _ONLINE_ONLY:
            message.options[name] = False
    if body.notOfflinePush:
        message.options["offlinePush"] = False
    return message


def _at_users(content: dict[str, Any]) -> list[str]:
    return next(value for key, value in content.items() if key.lower() == "atuserlist")


ROUTES = (post_free("/msg/send_msg", SendBody, SendAnswer, ADMIN, send_msg, strict=True),)
