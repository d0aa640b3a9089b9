"""The judge's result: its counts, the broken promises, and the events that show each breach."""

from __future__ import annotations

from heapq import heappush, heappushpop
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from greenroom.transport.load.judge.events import Event

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["FINDINGS", "KINDS", "UNSETTLED", "Breach", "Breaches", "Counts", "Verdict", "Violation"]

KINDS: Final[dict[str, str]] = {
    "acked_not_stored": "acked, but not stored",
    "acked_never_seen": "acked, but never received by any device of a member",
    "lost": "acked and stored, but never received by a member's device",
    "lost_unacked": "stored without an ack, but never received by a member's device",
    "received_not_stored": "received with a seq at which no message is stored",
    "received_twice": "received by a device more than once",
    "unstored_twice": "not to be stored, and received by a device more than once",
    "out_of_order": "a device received a higher seq before a lower one",
    "seq_gap": "a seq has no message",
    "seq_reused": "a seq has more than one message",
    "stored_twice": "one message has more than one seq",
    "differs": "the received message differs from the stored one (ids, sender or time)",
    "answers_differ": "the same message was acked with different ids or times",
    "ack_differs": "its ack has another id or time than the message",
    "time_back": "sendTime decreases while the seq increases",
    "phantom": "no device sent it",
    "wrong_sender": "its sender is a user who did not send it",
    "wrong_storage": "stored, or not stored, against its options",
    "received_by_stranger": "received by a device of a user who was never a member",
    "received_outside_membership": "received, but sent before the device's user joined or after they left",
    "max_seq_low": "1006 was answered with a newest seq below one that was already acked",
    "max_seq_high": "1006 was answered with a newest seq that no message has",
    "max_seq_back": "1006 was answered with a lower newest seq than before",
    "read_past_max": "1006 was answered with a read seq above the newest seq",
    "read_back": "1006 was answered with a lower read seq than before",
    "read_wrong": "1006 was answered with a read seq below the marked one, or one never reached",
}
"""Each kind of violation, and what it means."""

FINDINGS: Final = ("time_back",)
"""Kinds that the commands report, but do not count as violations unless told to: OpenIM's own server stamps a message
before it orders it, so nearly every run on it has some, and no message is lost by them."""

UNSETTLED: Final = (
    "acked_not_stored", "acked_never_seen", "lost", "lost_unacked", "received_not_stored", "seq_gap", "max_seq_low",
)  # fmt: skip
"""Kinds that are undecided if the server was still storing messages when the drain ended."""


class Violation(msgspec.Struct, frozen=True):
    kind: str
    """One of KINDS."""
    conversation_id: str
    device: str = ""
    user_id: str = ""
    seq: int = 0
    """For request 1006: the seq in its answer."""
    client_msg_id: str = ""
    detail: str = ""
    """One line for a person."""
    around: tuple[Event, ...] = ()
    """The few events that show it, in the order of the history."""


class Counts(msgspec.Struct):
    """Messages are counted by client_msg_id, receipts by device."""

    events: int = 0
    conversations: int = 0
    devices: int = 0
    drained: int = 0
    """Devices that had to receive all messages."""
    sent: int = 0
    """Messages that were to be stored."""
    acked: int = 0
    failed: int = 0
    """Sends that were refused or not answered."""
    stored: int = 0
    """Messages found in the store."""
    received: int = 0
    """Receipts of messages with a seq."""
    required: int = 0
    """Receipts that must exist: one for each stored message and each device that had to receive it."""
    unstored_sent: int = 0
    unstored_received: int = 0
    seqs_answered: int = 0


class Verdict(msgspec.Struct):
    ok: bool
    counts: Counts
    totals: dict[str, int]
    """Kind -> number of violations, in the order of KINDS, without kinds that do not occur."""
    violations: list[Violation]
    """The first few of each kind, in the order of the history."""
    notes: list[str] = []
    """What was not judged, because the history lacks the events for it."""
    undecided: dict[str, int] = {}
    """Kind -> number of cases that are no violation if the server stored the message after the end of the history."""
    findings: dict[str, int] = {}
    """Kind -> number of cases that were reported, but break no promise."""
    examples: list[Violation] = []
    """The first few findings of each kind."""
    conclusive: bool = True
    """False: something could not be judged, so `ok` only says that no violation was found."""

    def to_json(self) -> bytes:
        """One JSON object. Each event has its type and its fields."""
        plain = msgspec.to_builtins(self)
        for name in ("violations", "examples"):
            for violation, written in zip(getattr(self, name), plain[name], strict=True):
                written["around"] = [
                    {"event": type(event).__name__, **msgspec.structs.asdict(event)} for event in violation.around
                ]
        return msgspec.json.encode(plain)


class Breach(NamedTuple):
    """A violation in numbers: ids are hashes, until the second reading of the history finds their names."""

    kind: str
    n: int
    """The number of its main event in the history."""
    conversation: int
    device: int | None = None
    user: int | None = None
    seq: int = 0
    message: int | None = None
    detail: str = ""


class Breaches:
    """Counts all breaches and keeps the first few of each kind.

    ignored: kinds that are not judged. undecided: kinds that are only counted.
    """

    def __init__(
        self, *, keep_per_kind: int, ignored: Collection[str] = (), undecided: Collection[str] = ()
    ) -> None:
        self._ignored = ignored
        self._undecided = undecided
        self.totals: dict[str, int] = {}
        self.undecided: dict[str, int] = {}
        self._keep = keep_per_kind
        self._kept: dict[str, list[tuple[int, int, Breach]]] = {}

    def add(self, breach: Breach) -> None:
        if breach.kind in self._ignored:
            return
        if breach.kind in self._undecided:
            self.undecided[breach.kind] = self.undecided.get(breach.kind, 0) + 1
            return
        total = self.totals[breach.kind] = self.totals.get(breach.kind, 0) + 1
        kept = self._kept.setdefault(breach.kind, [])
        entry = (-breach.n, -total, breach)
        if len(kept) < self._keep:
            heappush(kept, entry)
        else:
            heappushpop(kept, entry)

    def kept(self) -> list[Breach]:
        order = {kind: number for number, kind in enumerate(KINDS)}
        found = [entry[2] for kept in self._kept.values() for entry in kept]
        return sorted(found, key=lambda breach: (breach.n, order[breach.kind]))
