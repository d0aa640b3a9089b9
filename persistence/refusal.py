"""Why a slice was not stored."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FirstAnswer", "Reason", "Refusal", "WriteRefused"]


class Reason:
    """Why a slice was refused (values of `Refusal.reason`)."""

    STALE_EPOCH = "stale-epoch"
    """The key belongs to a later opening of the store: this one must not write it any more."""
    KEY_TAKEN = "key-taken"
    TWIN_TAKEN = "twin-taken"
    """The `n_` conversation belongs to another key, or this key already has another one."""
    USER_EXISTS = "user-exists"
    REPEATED = "repeated"
    FAILED = "failed"
    """The store failed (disk, lock), or a write breaks another rule. After a failure the slice may still be stored."""


class FirstAnswer(NamedTuple):
    """The answer to the send that first stored the message."""

    seq: int
    server_msg_id: str
    send_time: int


class Refusal(NamedTuple):
    reason: str
    detail: str = ""
    """A text for logs, without content of messages."""
    write: int = -1
    """Index of the refused write in the slice; -1 if the refusal is not about one write."""
    first: FirstAnswer | None = None
    """With REPEATED: the answer to the first send."""


class WriteRefused(Exception):
    """A write breaks a rule of the store."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal
