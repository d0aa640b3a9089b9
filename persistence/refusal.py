"""Refusals: the store's answers for slices that were not stored."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FirstAnswer", "Reason", "Refusal", "Refused"]


class Reason:
    """Why a slice was refused (values of `Refusal.reason`)."""

    STALE_EPOCH = "stale-epoch"
    """A later epoch owns the key: the writer must stop."""
    KEY_TAKEN = "key-taken"
    USER_EXISTS = "user-exists"
    REPEATED = "repeated"
    FAILED = "failed"
    """The store could not write it (disk, lock, a broken rule). The outcome may be unknown."""


class FirstAnswer(NamedTuple):
    """The answer that was given when the message was first stored."""

    seq: int
    server_msg_id: str
    send_time: int


class Refusal(NamedTuple):
    reason: str
    detail: str = ""
    """For logs. Holds no content of messages."""
    write: int = -1
    """Index of the write that was refused; -1 if the refusal is about the whole slice."""
    first: FirstAnswer | None = None
    """The first answer, with REPEATED."""


class Refused(Exception):
    """A write breaks a rule of the store."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal
