"""Gzip of whole frames. A frame is a complete gzip stream; this is not permessage-deflate.

Short frames are stored, not compressed: an ack or a push is mostly random ids, and deflate would make it a seventh
shorter for ten times the CPU. Longer frames are written by ISA-L, which is 1.5 times as fast as zlib at the same size.
All frames are read by zlib, which reads faster than ISA-L.
"""

from __future__ import annotations

import struct
import zlib
from zlib import crc32

from isal import isal_zlib

from greenroom.transport.envelope.request_response import EnvelopeError, FrameTooLarge

__all__ = ["DECOMPRESSED_LIMIT_BYTES", "compress", "decompress"]

DECOMPRESSED_LIMIT_BYTES = 1024 * 1024
"""Twenty times the largest frame on the wire, and the official client's own limit."""

_GZIP_WINDOW_BITS = 31
# Level 0 is faster still, but its output can be longer than its input.
_FAST_LEVEL = 1
# Clients write one member. A frame that consists of empty members would cost far more to read than to send.
_MEMBERS_LIMIT = 16

_STORED_LIMIT_BYTES = 512
# The header of a gzip member (no time, no name, unknown system), and of its only deflate block (final, stored).
_STORED_HEAD = bytes.fromhex("1f8b08000000000000ff 01")
_stored_lengths = struct.Struct("<HH").pack
_stored_tail = struct.Struct("<II").pack


def compress(data: bytes) -> bytes:
    """Write a frame as one gzip member. It contains no timestamp, so equal data gives equal bytes."""
    size = len(data)
    if size < _STORED_LIMIT_BYTES:
        return b"".join((_STORED_HEAD, _stored_lengths(size, size ^ 0xFFFF), data, _stored_tail(crc32(data), size)))
    compressed: bytes = isal_zlib.compress(data, _FAST_LEVEL, _GZIP_WINDOW_BITS)
    return compressed


def decompress(frame: bytes, *, limit_bytes: int) -> bytes:
    """Read a frame of one or more gzip members.

    Raises FrameTooLarge as soon as the data exceeds the limit, and EnvelopeError if the frame is not gzip, is cut
    short, or has other bytes after its last member.
    """
    data = b""
    for _ in range(_MEMBERS_LIMIT):
        member = zlib.decompressobj(_GZIP_WINDOW_BITS)
        try:
            part = member.decompress(frame, limit_bytes - len(data) + 1)
        except zlib.error:
            raise EnvelopeError("gzip: not a gzip stream") from None
        data = data + part if data else part
        if len(data) > limit_bytes:
            raise FrameTooLarge(f"gzip: holds more than {limit_bytes} bytes")
        if not member.eof:
            raise EnvelopeError("gzip: ends early")
        frame = member.unused_data
        if not frame:
            return data
    raise EnvelopeError("gzip: too many members")
