"""A message as a client sends it, its ack, and a message as a client receives it."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import CHAT_PREFIXES, ContentType, MessageFrom, MessageStatus, SessionType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Received", "Sent", "direct_conversation_id", "group_conversation_id", "new_message"]


def new_message(
    *,
    send_id: str,
    platform_id: int,
    recv_id: str = "",
    group_id: str = "",
    content: bytes,
    content_type: int = ContentType.TEXT,
    client_msg_id: str = "",
    options: Mapping[str, bool] | None = None,
    at_user_ids: Sequence[str] = (),
) -> sdkws_pb2.MsgData:
    """A message to a user or a group, ready to send. Without a client_msg_id, it gets a random one."""
    return sdkws_pb2.MsgData(
        sendID=send_id,
        recvID=recv_id,
        groupID=group_id,
        clientMsgID=client_msg_id or secrets.token_hex(16),
        senderPlatformID=platform_id,
        sessionType=SessionType.SINGLE if recv_id else SessionType.GROUP,
        msgFrom=MessageFrom.USER,
        contentType=content_type,
        content=content,
        createTime=time.time_ns() // 1_000_000,
        status=MessageStatus.SENDING,
        options=options,
        atUserIDList=at_user_ids,
    )


class Sent(msgspec.Struct, frozen=True, gc=False):
    """The server's ack: the message is stored."""

    server_msg_id: str
    client_msg_id: str
    send_time: int
    """Milliseconds since the epoch, by the server's clock."""


class Received(msgspec.Struct, frozen=True):
    """A message of a conversation. `raw` is the message of the wire protocol; it has all fields."""

    conversation_id: str
    raw: sdkws_pb2.MsgData

    @property
    def seq(self) -> int:
        """The message's number in its conversation, from 1; 0 if the message is not stored (typing and the like)."""
        return self.raw.seq

    @property
    def send_id(self) -> str:
        return self.raw.sendID

    @property
    def recv_id(self) -> str:
        return self.raw.recvID

    @property
    def group_id(self) -> str:
        return self.raw.groupID

    @property
    def client_msg_id(self) -> str:
        return self.raw.clientMsgID

    @property
    def server_msg_id(self) -> str:
        return self.raw.serverMsgID

    @property
    def content_type(self) -> int:
        return self.raw.contentType

    @property
    def content(self) -> bytes:
        return self.raw.content

    @property
    def send_time(self) -> int:
        """Milliseconds since the epoch, by the server's clock."""
        return self.raw.sendTime

    @property
    def text(self) -> str:
        """The text of a text message; empty for any other content type."""
        if self.raw.contentType != ContentType.TEXT:
            return ""
        try:
            found = json.loads(self.raw.content)
        except ValueError:
            return ""
        text = found.get("content", "") if isinstance(found, dict) else ""
        return text if isinstance(text, str) else ""

    def __repr__(self) -> str:
        return f"Received({self.conversation_id!r}, seq={self.seq}, send_id={self.send_id!r})"


def direct_conversation_id(one: str, other: str) -> str:
    """The id of the conversation between two users (PROTOCOL 3.1)."""
    first, second = sorted((one, other), key=str.encode)
    return f"{CHAT_PREFIXES[SessionType.SINGLE]}{first}_{second}"


def group_conversation_id(group_id: str) -> str:
    """The conversation id of a group."""
    return f"{CHAT_PREFIXES[SessionType.GROUP]}{group_id}"
