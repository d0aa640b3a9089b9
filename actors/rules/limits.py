"""The one table of how long a text, an id and a list of a request may be. Both transports apply it at their door.

What a client sends is stored, copied into tips and pushed to others, so that a text without a limit costs everybody.
OpenIM's tables held 64 characters of an id, 255 of a name and 1,024 of `ex`. A character has up to four bytes, and
OpenIM has since moved to a database without limits, so the numbers here are the next round ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from google.protobuf.descriptor import FieldDescriptor

from greenroom.actors.errors import ArgsError
from greenroom.actors.wire.go_json import JsonObject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google._upb import _message as upb
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

__all__ = [
    "CONTENT_LIMIT_BYTES", "LIST_LIMIT", "MESSAGE_LIMIT_BYTES", "SHORTEST_BYTES", "SMALL_MESSAGE_BYTES",
    "check_frame", "check_json", "check_message", "check_struct", "check_text", "list_limit", "text_limit",
]  # fmt: skip

KIB: Final = 1024

MESSAGE_LIMIT_BYTES: Final = 512 * KIB
"""Largest stored message or tip. The SDK accepts frames of 1 MiB; a frame holds a message, and up to 64 KiB of others
that were gathered with it."""
_ADDED_BYTES: Final = 4 * KIB
"""Room for what the server adds to a message: ids, times and options."""
CONTENT_LIMIT_BYTES: Final = MESSAGE_LIMIT_BYTES - _ADDED_BYTES

SMALL_MESSAGE_BYTES: Final = 512
"""A sent message of at most this size is not looked at field by field, because it costs nobody anything. Its ids may
exceed their limits: then no such user or group exists."""

LIST_LIMIT: Final = 1000
"""OpenIM's limit of id lists, here of all lists that have no other."""

_USER_IDS: Final = (
    "userID", "userID1", "userID2", "ownerUserID", "fromUserID", "toUserID", "sendID", "creatorUserID",
    "notificationUserID", "adminUserIDs", "memberUserIDs", "invitedUserIDs", "kickedUserIDs", "checkUserIDs",
    "friendUserIDs", "userIDs", "userIDList", "atUserIDList", "subscribeUserID", "unsubscribeUserID",
)  # fmt: skip

_TEXTS: Final[Mapping[str, int]] = {
    # Ids. A user's is OpenIM's 64. A group's leaves room for a prefix and two of them, and a group's message may name
    # the group in recvID. A conversation's id joins two users' ids.
    **dict.fromkeys(_USER_IDS, 64),
    "groupID": 128,
    "groupIDs": 128,
    "recvID": 128,
    "conversationID": 256,
    "conversationIDs": 256,
    # The SDK's message ids have 32 characters, its operation ids 20; other clients add prefixes. Pushes repeat them.
    "clientMsgID": 128,
    "serverMsgID": 128,
    "operationID": 256,
    "msgIncr": 256,
    "versionID": 64,
    "key": 64,
    # Names: 255 characters.
    "nickname": KIB,
    "nickName": KIB,
    "groupName": KIB,
    "senderNickname": KIB,
    "keyword": KIB,
    # URLs: signed ones are longer than 255 characters.
    "faceURL": 2 * KIB,
    "senderFaceURL": 2 * KIB,
    # Texts: a tip holds them up to four times, and escapes may take seven bytes for one.
    "introduction": 4 * KIB,
    "notification": 8 * KIB,
    "reason": 4 * KIB,
    "ex": 8 * KIB,
    # What a message carries beside its content.
    "attachedInfo": 16 * KIB,
    "title": KIB,
    "desc": 4 * KIB,
    "iOSPushSound": KIB,
    "signalInfo": 8 * KIB,
    "content": CONTENT_LIMIT_BYTES,
    # Secrets.
    "token": 8 * KIB,
    "secret": KIB,
}
"""Bytes of UTF-8, by field name."""
_OTHER_TEXT: Final = KIB
SHORTEST_BYTES: Final = min(_TEXTS.values())
"""A request of at most this size is within all limits."""

_LISTS: Final[Mapping[str, int]] = {
    # Ten receipts of `message.mark_seqs_limit`; a receipt's own limit is the setting.
    "seqs": 10_000,
    "options": 64,
    # The setting `websocket.watched_users_limit` decides.
    "subscribeUserID": 10_000,
    "unsubscribeUserID": 10_000,
}
"""Elements, by field name."""

_WRAPPERS_FILE: Final = "greenroom/actors/wire/wrappers.proto"


def text_limit(name: str) -> int:
    """The limit of a text field, or of each text of a list, in bytes."""
    return _TEXTS.get(name, _OTHER_TEXT)


def list_limit(name: str) -> int:
    return _LISTS.get(name, LIST_LIMIT)


def check_text(name: str, text: str) -> None:
    """Raises ArgsError."""
    _check_text(name, text, text_limit(name))


def check_message(message: Message) -> None:
    """Check every list and text of a request. Lists come first, so that a long one is refused before it is walked.

    Raises ArgsError, with the name of the field.
    """
    plan = _plan_of(message.DESCRIPTOR)
    for name, limit in plan.lists:
        if len(getattr(message, name)) > limit:
            raise _too_many(name, limit)
    for name, limit in plan.texts:
        _check_text(name, getattr(message, name), limit)
    for name, limit in plan.text_lists:
        for text in getattr(message, name):
            _check_text(name, text, limit)
    for name, limit in plan.wrappers:
        if message.HasField(name):
            _check_text(name, getattr(message, name).value, limit)
    for name in plan.messages:
        if message.HasField(name):
            check_message(getattr(message, name))
    for name in plan.message_lists:
        for each in getattr(message, name):
            check_message(each)


def check_frame(message: Message, size: int) -> None:
    """Check a message that somebody sends, or another request of a frame, given its serialized size. Raises
    ArgsError."""
    if size <= SMALL_MESSAGE_BYTES:
        return
    check_message(message)
    if size > CONTENT_LIMIT_BYTES:
        raise ArgsError(f"content: the message is longer than {CONTENT_LIMIT_BYTES} bytes")


def check_struct(body: msgspec.Struct) -> None:
    """Check the texts of a request that is no protobuf message. Raises ArgsError."""
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if isinstance(value, str):
            _check_text(name, value, text_limit(name))
        elif isinstance(value, msgspec.Struct):
            check_struct(value)


def check_json(value: Any) -> None:
    """Check the lists of objects of parsed JSON, before messages are made of them. Raises ArgsError."""
    if isinstance(value, JsonObject):
        for name, each in value:
            if type(each) is int or type(each) is str:  # As nearly all are; this is four times as fast.
                continue
            if isinstance(each, JsonObject):
                check_json(each)
            elif isinstance(each, list) and len(each) > LIST_LIMIT and not isinstance(each[0], str | int):
                raise _too_many(name[:64], LIST_LIMIT)


def _check_text(name: str, text: str | bytes, limit: int) -> None:
    size = len(text)
    if size > limit or (size * 4 > limit and isinstance(text, str) and len(text.encode()) > limit):
        raise ArgsError(f"{name} is longer than {limit} bytes")


def _too_many(name: str, limit: int) -> ArgsError:
    return ArgsError(f"{name} has more than {limit} elements")


class _Plan(NamedTuple):
    """The fields of one message class that have a limit, each with it, and those that hold messages."""

    lists: list[tuple[str, int]]
    texts: list[tuple[str, int]]
    text_lists: list[tuple[str, int]]
    wrappers: list[tuple[str, int]]
    messages: list[str]
    message_lists: list[str]


_plans: dict[Descriptor | upb.Descriptor, _Plan] = {}
"""One plan for each class of requests."""


def _plan_of(descriptor: Descriptor | upb.Descriptor) -> _Plan:
    plan = _plans.get(descriptor)
    if plan is None:
        plan = _plans[descriptor] = _new_plan(descriptor)
    return plan


def _new_plan(descriptor: Descriptor | upb.Descriptor) -> _Plan:
    plan = _Plan([], [], [], [], [], [])
    for field in descriptor.fields:
        name, holds = field.name, field.message_type
        if field.is_repeated:
            plan.lists.append((name, list_limit(name)))
        if holds is not None and holds.GetOptions().map_entry:
            if holds.fields_by_name["key"].type == FieldDescriptor.TYPE_STRING:
                plan.text_lists.append((name, text_limit("key")))
        elif holds is None:
            if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
                (plan.text_lists if field.is_repeated else plan.texts).append((name, text_limit(name)))
        elif holds.file.name == _WRAPPERS_FILE and not field.is_repeated:
            if holds.fields_by_name["value"].type == FieldDescriptor.TYPE_STRING:
                plan.wrappers.append((name, text_limit(name)))
        else:
            (plan.message_lists if field.is_repeated else plan.messages).append(name)
    return plan
