"""Whole-frame gzip, both ways. A frame is a complete gzip stream; this is not permessage-deflate.

Short frames go out stored: an ack or a push is mostly random ids, of which deflate saves a seventh for ten times the
CPU. ISA-L writes the longer ones, half again as fast as zlib at the same size; zlib reads, where it is the faster.
"""

from __future__ import annotations

import struct
import zlib
from zlib import crc32

from isal import isal_zlib

from greenroom.transport.envelope.envelope import EnvelopeError, FrameTooLarge

__all__ = ["UNFOLDED_LIMIT_BYTES", "fold", "unfold"]

UNFOLDED_LIMIT_BYTES = 1024 * 1024
"""Twenty times the largest frame on the wire, and the official client's own limit."""

_GZIP_WINDOW_BITS = 31
# Level 0 is faster still, but makes short frames longer than they were.
_FAST_LEVEL = 1
# Clients write one member. A frame of nothing but empty members costs far more to read than to send.
_MEMBERS_LIMIT = 16


_STORED_LIMIT_BYTES = 512
# Of the gzip member: no time, no name, an unknown system. Of its one deflate block: the last one, stored.
_STORED_HEAD = bytes.fromhex("1f8b08000000000000ff 01")
_stored_lengths = struct.Struct("<HH").pack
_stored_tail = struct.Struct("<II").pack


def fold(data: bytes) -> bytes:
    """Make one gzip member without a time, so equal data gives equal bytes; short data is not compressed in it."""
    size = len(data)
    if size < _STORED_LIMIT_BYTES:
        return b"".join((_STORED_HEAD, _stored_lengths(size, size ^ 0xFFFF), data, _stored_tail(crc32(data), size)))
    folded: bytes = isal_zlib.compress(data, _FAST_LEVEL, _GZIP_WINDOW_BITS)
    return folded


def unfold(frame: bytes, *, unfolded_limit_bytes: int) -> bytes:
    """Decompress a frame of one or more gzip members.

    Raises FrameTooLarge as soon as it exceeds the limit, and EnvelopeError when it is no gzip, is cut short
    or ends with anything else.
    """
    unfolded = b""
    for _ in range(_MEMBERS_LIMIT):
        member = zlib.decompressobj(_GZIP_WINDOW_BITS)
        try:
            part = member.decompress(frame, unfolded_limit_bytes - len(unfolded) + 1)
        except zlib.error:
            raise EnvelopeError("gzip: not a gzip stream") from None
        unfolded = unfolded + part if unfolded else part
        if len(unfolded) > unfolded_limit_bytes:
            raise FrameTooLarge(f"gzip: unfolds to more than {unfolded_limit_bytes} bytes")
        if not member.eof:
            raise EnvelopeError("gzip: ends early")
        frame = member.unused_data
        if not frame:
            return unfolded
    raise EnvelopeError("gzip: too many members")
