"""Why a slice was not stored."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FirstAnswer", "Reason", "Refusal", "WriteRefused"]


class Reason:
    """Why a slice was refused (values of `Refusal.reason`)."""

    STALE_EPOCH = "stale-epoch"
    """A later opening owns the key: this one must stop writing it."""
    KEY_TAKEN = "key-taken"
    USER_EXISTS = "user-exists"
    REPEATED = "repeated"
    FAILED = "failed"
    """The store could not do it (disk, lock, a broken rule). The slice may be stored nevertheless."""


class FirstAnswer(NamedTuple):
    """What was answered when the message was first stored."""

    seq: int
    server_msg_id: str
    send_time: int


class Refusal(NamedTuple):
    reason: str
    detail: str = ""
    """For logs; holds no content of messages."""
    write: int = -1
    """Index of the refused write in the slice, -1 if it was none in particular."""
    first: FirstAnswer | None = None
    """With REPEATED: the first answer."""


class WriteRefused(Exception):
    """A write breaks a rule of the store."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal
