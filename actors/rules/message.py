"""Checks a message before an entity accepts it, splits it and renders it (PROTOCOL 3.4 to 3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from greenroom.actors.errors import ArgsError, NoPermission
from greenroom.actors.rules.ids import chat_id
from greenroom.actors.rules.limits import CONTENT_LIMIT_BYTES
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import ContentType, MessageStatus, SessionType

if TYPE_CHECKING:
    from greenroom.actors.messages import Caller

__all__ = ["Part", "check", "force_options", "is_notification_type", "render", "split"]

_FORCED_OFF = {
    ContentType.REVOKE: ("unreadCount", "offlinePush"),
    ContentType.HAS_READ: ("conversationUpdate", "senderConversationUpdate", "unreadCount", "offlinePush"),
    ContentType.TYPING: (
        "history", "persistent", "senderSync", "conversationUpdate", "senderConversationUpdate", "unreadCount",
        "offlinePush",
    ),
}  # fmt: skip


def check(message: sdkws_pb2.MsgData, caller: Caller) -> None:
    """Do checks 1, 2 and 4 of the send path. Raises ArgsError, NoPermission."""
    send_id, session_type = message.sendID, message.sessionType
    if not send_id or not message.content:
        raise ArgsError("sendID and content are needed")
    if len(message.content) > CONTENT_LIMIT_BYTES:
        raise ArgsError(f"content is longer than {CONTENT_LIMIT_BYTES} bytes")
    if (message.contentType == ContentType.OA_NOTIFICATION) != (session_type == SessionType.NOTIFICATION):
        raise ArgsError("contentType 1400 and sessionType 4 must be used together")
    if send_id != caller.user_id and not caller.is_admin:
        raise NoPermission("sendID is not the caller")
    if session_type not in (SessionType.SINGLE, SessionType.GROUP, SessionType.NOTIFICATION):
        raise ArgsError("unknown sessionType")
    if not (message.groupID if session_type == SessionType.GROUP else message.recvID):
        raise ArgsError("recvID or groupID is needed")


def force_options(message: sdkws_pb2.MsgData) -> None:
    """Set the options that a content type fixes, whatever the client sent."""
    for name in _FORCED_OFF.get(message.contentType, ()):
        message.options[name] = False


def is_notification_type(content_type: int) -> bool:
    return 1000 <= content_type <= 5000


class Part(msgspec.Struct):
    """A message, or a copy of it, for one conversation."""

    conversation_id: str
    body: bytes
    """The message, as `render` returns it."""
    stored: bool
    """Whether it is stored with a seq. Otherwise it is only pushed."""
    is_chat: bool
    """Whether the conversation is the visible chat, so that the message counts for records and read seqs."""
    seq: int = 0
    """Assigned when the slice is sealed."""


def split(message: sdkws_pb2.MsgData, key: str, twin: str) -> list[Part]:
    """Split a message by conversation. A message belongs to its chat. A notification belongs to the `n_` conversation
    of the key, its `twin`, and a copy of it belongs to the chat if its options say so."""
    options = message.options
    if not options:
        return [Part(chat_id(message.sessionType, key), render(message), True, True)]
    stored = options.get("history", True)
    if options.get("isNotNotification", True):
        return [Part(chat_id(message.sessionType, key), render(message), stored, True)]
    parts = []
    if options.get("isSendMsg", True):
        copy = sdkws_pb2.MsgData()
        copy.CopyFrom(message)
        copy.options.clear()
        for name in ("offlinePush", "unreadCount"):
            copy.options[name] = options.get(name, True)
            message.options[name] = False
        parts.append(Part(chat_id(message.sessionType, key), render(copy), True, True))
    parts.append(Part(twin, render(message), stored, False))
    return parts


def render(message: sdkws_pb2.MsgData) -> bytes:
    """The bytes that are stored, pushed and pulled. `seq` and `isRead` are added when the bytes are sent."""
    message.status = MessageStatus.SENT
    message.ClearField("seq")
    message.ClearField("isRead")
    return message.SerializeToString()
