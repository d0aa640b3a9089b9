"""Conversation ids, keys and addresses (PROTOCOL 3.1): computed from a message, as every client does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.runtime.address import Address
from greenroom.actors.wire.vocabulary import CHAT_PREFIXES, NOTIFICATION_PREFIX, SessionType

if TYPE_CHECKING:
    from greenroom.actors.wire import sdkws_pb2

__all__ = [
    "address_of", "address_of_chat", "chat_id", "group_address", "key_of",
    "notification_id", "own_notification_id", "pair_key", "user_address",
]  # fmt: skip



def pair_key(first: str, second: str) -> str:
    """The key of two users: both ids, sorted bytewise (as text sorts too), joined by `_`."""
    return f"{first}_{second}" if first <= second else f"{second}_{first}"


def key_of(message: sdkws_pb2.MsgData) -> str:
    """What follows the prefix in both conversation ids of a message."""
    return message.groupID if message.sessionType == SessionType.GROUP else pair_key(message.sendID, message.recvID)


def chat_id(session_type: int, key: str) -> str:
    return CHAT_PREFIXES[session_type] + key


def notification_id(key: str) -> str:
    return NOTIFICATION_PREFIX + key


def own_notification_id(user_id: str) -> str:
    """Where a user's own notifications go (sender and receiver are he)."""
    return f"{NOTIFICATION_PREFIX}{user_id}_{user_id}"


def user_address(user_id: str) -> Address:
    return Address("user", user_id)


def group_address(group_id: str) -> Address:
    return Address("group", group_id)


def address_of(message: sdkws_pb2.MsgData) -> Address:
    """The entity that owns the message's key."""
    return Address("group" if message.sessionType == SessionType.GROUP else "conversation", key_of(message))


def address_of_chat(conversation_id: str) -> Address:
    """The entity that owns a chat, by its id.

    Raises ValueError for what is no chat's id (an `n_` one does not tell its kind).
    """
    prefix, key = conversation_id[:3], conversation_id[3:]
    if prefix == CHAT_PREFIXES[SessionType.GROUP]:
        return Address("group", key)
    if prefix in CHAT_PREFIXES.values():
        return Address("conversation", key)
    raise ValueError(f"no chat: {conversation_id}")
