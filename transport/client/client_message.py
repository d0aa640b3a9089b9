"""One message as a client sends it, as its ack comes back, and as it is received."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from greenroom.actors.wire import sdkws_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["TEXT", "Received", "Sent", "direct_conversation_id", "group_conversation_id", "new_message"]

TEXT = 101
SINGLE_CHAT, GROUP_CHAT = 1, 3
FROM_USER = 100
STATUS_SENDING = 1


def new_message(
    *,
    send_id: str,
    platform_id: int,
    recv_id: str = "",
    group_id: str = "",
    content: bytes,
    content_type: int = TEXT,
    client_msg_id: str = "",
    options: Mapping[str, bool] | None = None,
    at_user_ids: Sequence[str] = (),
) -> sdkws_pb2.MsgData:
    """A message to a user or a group, ready to send. It gets a random client_msg_id unless one is given."""
    return sdkws_pb2.MsgData(
        sendID=send_id,
        recvID=recv_id,
        groupID=group_id,
        clientMsgID=client_msg_id or secrets.token_hex(16),
        senderPlatformID=platform_id,
        sessionType=SINGLE_CHAT if recv_id else GROUP_CHAT,
        msgFrom=FROM_USER,
        contentType=content_type,
        content=content,
        createTime=time.time_ns() // 1_000_000,
        status=STATUS_SENDING,
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
    """A message of a conversation. `raw` is the wire's own message, with the fields that have no short name here."""

    conversation_id: str
    raw: sdkws_pb2.MsgData

    @property
    def seq(self) -> int:
        """Its place in the conversation, from 1; 0 if it is not stored (typing and the like)."""
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
        """The text of a text message (content type 101); empty for any other."""
        if self.raw.contentType != TEXT:
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
    """The conversation id of two users (PROTOCOL 3.1)."""
    first, second = sorted((one, other), key=str.encode)
    return f"si_{first}_{second}"


def group_conversation_id(group_id: str) -> str:
    """The conversation id of a group."""
    return f"sg_{group_id}"
