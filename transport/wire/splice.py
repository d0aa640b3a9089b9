"""Pure functions that build protobuf messages out of parts that are already serialized.

They rest on two rules of protobuf: fields may be concatenated, and of a scalar field the last one wins.
So a message is serialized once, and every push and pull reuses those bytes. Nothing here parses: whoever
hands in bytes that are no valid message gets bytes that are none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["pull_msgs", "pull_reply", "push_messages", "varint", "with_read", "with_seq"]

_NOTIFICATION_PREFIX = "n_"
_ENTRIES_LIMIT = 10_000
"""Conversations whose pushes begin with ready bytes; the busy ones of a node."""
_ONE_BYTE = tuple(bytes((n,)) for n in range(128))
_TWO_BYTES_END = 1 << 14
_THREE_BYTES_END = 1 << 21
_WRAP = (1 << 64) - 1

# Tags: field number << 3 | wire type (0 varint, 2 length-delimited).
_DELIMITED_1 = b"\x0a"
_DELIMITED_2 = b"\x12"
_SEQ = b"\x70"
_READ = b"\x90\x01\x01"
_IS_END = b"\x10\x01"
_END_SEQ = b"\x18"


def varint(value: int) -> bytes:
    """Encode an int64 or uint64; a negative number takes ten bytes, as protobuf has it."""
    if value < 0:
        value &= _WRAP
    if value < 128:
        return _ONE_BYTE[value]
    if value < _TWO_BYTES_END:
        return bytes((value & 127 | 128, value >> 7))
    if value < _THREE_BYTES_END:
        return bytes((value & 127 | 128, value >> 7 & 127 | 128, value >> 14))
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def with_seq(body: bytes, seq: int) -> bytes:
    """A serialized MsgData with its seq set, whatever seq it had before."""
    return body + _SEQ + varint(seq)


def with_read(body: bytes) -> bytes:
    """A serialized MsgData that says isRead."""
    return body + _READ


def push_messages(conversation_id: str, message: bytes) -> bytes:
    """A serialized PushMessages that holds exactly this one MsgData.

    It stands in `notificationMsgs` when the id starts with `n_`, else in `msgs`.
    """
    tag, key = _entry_of(conversation_id)
    message_size = varint(len(message))
    pulled_length = 1 + len(message_size) + len(message)
    pulled_size = varint(pulled_length)
    entry_size = varint(len(key) + len(pulled_size) + pulled_length)
    return b"".join((tag, entry_size, key, pulled_size, _DELIMITED_1, message_size, message))


@lru_cache(_ENTRIES_LIMIT)
def _entry_of(conversation_id: str) -> tuple[bytes, bytes]:
    """The tag of a map's entry for this conversation, and its key with the tag of the value behind it."""
    key = conversation_id.encode()
    tag = _DELIMITED_2 if conversation_id.startswith(_NOTIFICATION_PREFIX) else _DELIMITED_1
    return tag, b"".join((_DELIMITED_1, varint(len(key)), key, _DELIMITED_2))


def pull_msgs(messages: Iterable[bytes], is_end: bool, end_seq: int) -> bytes:
    """A serialized PullMsgs of these MsgData, in the order given."""
    parts: list[bytes] = []
    for message in messages:
        parts += (_DELIMITED_1, varint(len(message)), message)
    if is_end:
        parts.append(_IS_END)
    if end_seq:
        parts += (_END_SEQ, varint(end_seq))
    return b"".join(parts)


def pull_reply(msgs: Mapping[str, bytes], notifications: Mapping[str, bytes]) -> bytes:
    """A serialized answer to a pull, from conversation id to serialized PullMsgs.

    PullMessageBySeqsResp, GetSeqMessageResp and PushMessages share this layout.
    """
    parts: list[bytes] = []
    for tag, pulls in ((_DELIMITED_1, msgs), (_DELIMITED_2, notifications)):
        for conversation_id, pulled in pulls.items():
            key = conversation_id.encode()
            key_size = varint(len(key))
            pulled_size = varint(len(pulled))
            entry_length = 2 + len(key_size) + len(key) + len(pulled_size) + len(pulled)
            parts += (
                tag,
                varint(entry_length),
                _DELIMITED_1,
                key_size,
                key,
                _DELIMITED_2,
                pulled_size,
                pulled,
            )
    return b"".join(parts)
