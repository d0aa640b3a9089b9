"""Pure functions that build protobuf messages from parts that are already serialized.

They use two rules of protobuf: fields may be concatenated, and the last value of a scalar field wins. So a message is
serialized once, and every push and pull reuses those bytes. No function here parses its input: from invalid bytes it
makes invalid bytes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from greenroom.actors.wire.vocabulary import NOTIFICATION_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["pull_entry", "push_messages", "varint", "with_read", "with_seq"]

_ENTRIES_LIMIT = 10_000
"""Number of conversations whose key is cached for pushes: the last ones used."""
_READY_END = 1 << 11
"""The varints below this number are encoded in advance (100 KB): the sizes of most messages, and most seqs."""
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
    """Encode an int64 or uint64. A negative number takes ten bytes, as protobuf requires."""
    if 0 <= value < _READY_END:
        return _READY[value]
    return _varint(value)


def _varint(value: int) -> bytes:
    value &= _WRAP
    if value < _THREE_BYTES_END:
        if value < 128:
            return bytes((value,))
        if value < _TWO_BYTES_END:
            return bytes((value & 127 | 128, value >> 7))
        return bytes((value & 127 | 128, value >> 7 & 127 | 128, value >> 14))
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


_READY = tuple(map(_varint, range(_READY_END)))


def with_seq(body: bytes, seq: int) -> bytes:
    """The serialized MsgData with this seq, which replaces any earlier seq."""
    return body + _SEQ + varint(seq)


def with_read(body: bytes) -> bytes:
    """The serialized MsgData with isRead set."""
    return body + _READ


def push_messages(conversation_id: str, message: bytes) -> bytes:
    """A serialized PushMessages with exactly this one MsgData.

    The message is in `notificationMsgs` when the id starts with `n_`, and otherwise in `msgs`.
    """
    tag, key = _pushed_key_of(conversation_id)
    message_size = varint(len(message))
    pulled_length = 1 + len(message_size) + len(message)
    pulled_size = varint(pulled_length)
    entry_size = varint(len(key) + len(pulled_size) + pulled_length)
    return b"".join((tag, entry_size, key, pulled_size, _DELIMITED_1, message_size, message))


def _key_of(conversation_id: str) -> tuple[bytes, bytes]:
    """The tag of the conversation's entry in the map, and the encoded key followed by the tag of the value."""
    key = conversation_id.encode()
    tag = _DELIMITED_2 if conversation_id.startswith(NOTIFICATION_PREFIX) else _DELIMITED_1
    return tag, b"".join((_DELIMITED_1, varint(len(key)), key, _DELIMITED_2))


_pushed_key_of = lru_cache(_ENTRIES_LIMIT)(_key_of)


def pull_entry(conversation_id: str, messages: Iterable[bytes], is_end: bool, end_seq: int) -> bytes:
    """One conversation's entry in the answer to a pull: these MsgData, in the given order.

    Several entries, concatenated in any order, are a serialized PullMessageBySeqsResp or GetSeqMessageResp.
    """
    parts: list[bytes] = []
    for message in messages:
        parts += (_DELIMITED_1, varint(len(message)), message)
    if is_end:
        parts.append(_IS_END)
    if end_seq:
        parts += (_END_SEQ, varint(end_seq))
    pulled = b"".join(parts)
    tag, key = _key_of(conversation_id)
    size = varint(len(pulled))
    return b"".join((tag, varint(len(key) + len(size) + len(pulled)), key, size, pulled))
