"""Conversation ids, keys and addresses (PROTOCOL 3.1), computed from a message as every client computes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from greenroom.actors.runtime.address import Address
from greenroom.actors.wire.vocabulary import CHAT_PREFIXES, NOTIFICATION_PREFIX, SessionType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenroom.actors.wire import sdkws_pb2

__all__ = [
    "address_of", "address_of_chat", "chat_id", "group_address", "key_of",
    "notification_ids", "pair_key", "user_address",
]  # fmt: skip

_PLACES_LIMIT: Final = 64
"""More than the keys whose names can end in one another: a name has at most 128 bytes, a prefix has 3."""


def pair_key(first: str, second: str) -> str:
    """The key of two users: both ids joined by `_`, sorted by their bytes, which is also how Python sorts text."""
    return f"{first}_{second}" if first <= second else f"{second}_{first}"


def key_of(message: sdkws_pb2.MsgData) -> str:
    """The key of a message: the part after the prefix in both of its conversation ids."""
    return message.groupID if message.sessionType == SessionType.GROUP else pair_key(message.sendID, message.recvID)


def chat_id(session_type: int, key: str) -> str:
    return CHAT_PREFIXES[session_type] + key


def notification_ids(chat_prefix: str, key: str) -> Iterator[str]:
    """The ids under which a key may have its notifications, the preferred one first.

    Clients expect `n_<key>`, which a pair and a group of the same name share: it belongs to the one that writes first.
    The other one has `n_si_<key>` (a pair) or `n_sg_<key>` (a group). That may belong to a key with this longer name:
    then the prefix is repeated once more. Clients find the id in pushes and in the newest seqs (1001).
    """
    for times in range(_PLACES_LIMIT):
        yield NOTIFICATION_PREFIX + chat_prefix * times + key


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
