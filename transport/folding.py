"""Whole-frame gzip, both ways. A frame is a complete gzip stream; this is not permessage-deflate.

ISA-L writes, because it is half again as fast as zlib at the same size; zlib reads, where it is the faster.
"""

from __future__ import annotations

import zlib

from isal import isal_zlib

from greenroom.transport.frames import EnvelopeError, FrameTooLarge

__all__ = ["UNFOLDED_LIMIT_BYTES", "fold", "unfold"]

UNFOLDED_LIMIT_BYTES = 1024 * 1024
"""Twenty times the largest frame on the wire, and the official client's own limit."""

_GZIP_WINDOW_BITS = 31
# Level 0 is faster still, but makes short frames longer than they were.
_FAST_LEVEL = 1
# Clients write one member. A frame of nothing but empty members costs far more to read than to send.
_MEMBERS_LIMIT = 16


def fold(data: bytes) -> bytes:
    """Compress into one gzip member without a time, so equal data gives equal bytes."""
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
