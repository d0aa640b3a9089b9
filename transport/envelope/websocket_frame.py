"""WebSocket frames of the server, built once as bytes: one header, the payload, no mask (RFC 6455, 5.2)."""

from __future__ import annotations

__all__ = ["PING", "binary_frame", "pong_frame", "text_frame"]

PING = b"\x89\x00"
"""A ping without a payload."""


def binary_frame(payload: bytes) -> bytes:
    """A whole message in one BINARY frame."""
    return _header(0x82, len(payload)) + payload


def text_frame(payload: bytes) -> bytes:
    """A whole message in one TEXT frame; `payload` is UTF-8."""
    return _header(0x81, len(payload)) + payload


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping with this payload, which has at most 125 bytes."""
    return _header(0x8A, len(payload)) + payload


def _header(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return bytes((first, 126, size >> 8, size & 255))
    return bytes((first, 127)) + size.to_bytes(8, "big")
