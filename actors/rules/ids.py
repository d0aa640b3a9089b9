"""Conversation ids, keys and addresses (PROTOCOL 3.1), computed from a message as every client computes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.runtime.address import Address
from greenroom.actors.wire.vocabulary import CHAT_PREFIXES, NOTIFICATION_PREFIX, SessionType

if TYPE_CHECKING:
    from greenroom.actors.wire import sdkws_pb2

__all__ = [
    "address_of", "address_of_chat", "chat_id", "group_address", "key_of",
    "notification_id", "pair_key", "user_address",
]  # fmt: skip


def pair_key(first: str, second: str) -> str:
    """The key of two users: both ids joined by `_`, sorted by their bytes, which is also how Python sorts text."""
    return f"{first}_{second}" if first <= second else f"{second}_{first}"


def key_of(message: sdkws_pb2.MsgData) -> str:
    """The key of a message: the part after the prefix in both of its conversation ids."""
    return message.groupID if message.sessionType == SessionType.GROUP else pair_key(message.sendID, message.recvID)


def chat_id(session_type: int, key: str) -> str:
    return CHAT_PREFIXES[session_type] + key


def notification_id(key: str) -> str:
    return NOTIFICATION_PREFIX + key


def user_address(user_id: str) -> Address:
    return Address("user", user_id)


def group_address(group_id: str) -> Address:
    return Address("group", group_id)


def address_of(message: sdkws_pb2.MsgData) -> Address:
    """The address of the entity that owns the message's key."""
    return Address("group" if message.sessionType == SessionType.GROUP else "conversation", key_of(message))


def address_of_chat(conversation_id: str) -> Address:
    """The address of the entity that owns a chat.

    Raises ValueError for any other id, also for an `n_` id, which does not show the kind of its key.
    """
    prefix, key = conversation_id[:3], conversation_id[3:]
    if prefix == CHAT_PREFIXES[SessionType.GROUP]:
        return Address("group", key)
    if prefix in CHAT_PREFIXES.values():
        return Address("conversation", key)
    raise ValueError(f"no chat: {conversation_id}")
