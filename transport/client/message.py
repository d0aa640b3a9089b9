"""What a client hands out: one received message, one acknowledged send."""

from __future__ import annotations

import json

import msgspec

from greenroom.actors.wire import sdkws_pb2

__all__ = ["Received", "Sent", "direct_conversation_id", "group_conversation_id"]

TEXT = 101


class Sent(msgspec.Struct, frozen=True, gc=False):
    """The server's ack: the message is stored."""

    server_msg_id: str
    client_msg_id: str
    send_time: int
    """Milliseconds since the epoch, by the server's clock."""


class Received(msgspec.Struct, frozen=True):
    """A message of a conversation. `raw` is the wire's own record, with what has no short name here."""

    conversation_id: str
    raw: sdkws_pb2.MsgData

    @property
    def seq(self) -> int:
        """Place in the conversation, from 1; 0: not stored (typing and the like)."""
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
    """The id of the chat of two users (PROTOCOL 3.1)."""
    first, second = sorted((one, other), key=str.encode)
    return f"si_{first}_{second}"


def group_conversation_id(group_id: str) -> str:
    """The id of a group's chat."""
    return f"sg_{group_id}"
