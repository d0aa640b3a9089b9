"""The promises to each device in each conversation: it received all messages that it had to, once and in order, and no
message from a conversation without its user. One pass through the receipts, sorted by conversation, device and seq.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from greenroom.transport.load.judge.history_tables import FOREVER
from greenroom.transport.load.judge.verdict import Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenroom.transport.load.judge.history_tables import HistoryTables
    from greenroom.transport.load.judge.verdict import Breaches, Counts

__all__ = ["check_receipts"]

_RECEIPTS = "SELECT conv, dev, seq, n, msg FROM received ORDER BY conv, dev, seq, n"

_MEMBERSHIPS = """SELECT s.conv, d.dev, d.user, d.drained, d.hears_itself, d.from_start, d.at,
        s.must_from, s.must_to, s.may_from, s.may_to
    FROM span s JOIN device d ON d.user = s.user ORDER BY s.conv, d.dev"""

_SLOTS = """SELECT seq, msg, n, acked, sent_dev, sent_at FROM slot
    WHERE conv = ? AND seq BETWEEN ? AND ? AND required ORDER BY seq"""


class _Membership(NamedTuple):
    """A device, and one membership of its user."""

    conv: int
    dev: int
    user: int
    drained: int
    hears_itself: int
    from_start: int
    at: int
    must_from: int
    must_to: int
    may_from: int
    may_to: int


class _Receipts:
    """The messages of one conversation that one device received: each seq once, ascending, and the number of its event
    in the history (`ns`)."""

    __slots__ = ("conv", "dev", "ns", "seqs", "unstored")

    def __init__(self, conv: int, dev: int) -> None:
        self.conv = conv
        self.dev = dev
        self.seqs = array("q")
        self.ns = array("q")
        self.unstored: list[tuple[int, int]] = []
        """The messages without a seq, each with the number of its event."""


class _SortedRows:
    """Sorted rows, read in step with ascending keys. The first columns of a row are its key."""

    def __init__(self, rows: Iterator[Any], columns: int) -> None:
        self._rows = rows
        self._columns = columns
        self.row: Any = next(rows, None)

    def take(self, key: tuple[int, ...]) -> list[Any]:
        """The rows with this key. Rows with smaller keys are skipped."""
        columns, found = self._columns, []
        while self.row is not None and self.row[:columns] < key:
            self.row = next(self._rows, None)
        while self.row is not None and self.row[:columns] == key:
            found.append(self.row)
            self.row = next(self._rows, None)
        return found


def check_receipts(tables: HistoryTables, breaches: Breaches, counts: Counts) -> None:
    judge = _Judge(tables, breaches, counts)
    memberships = _SortedRows(tables.rows(_MEMBERSHIPS), 2)
    for receipts in _grouped(tables, breaches):
        key = (receipts.conv, receipts.dev)
        while memberships.row is not None and memberships.row[:2] < key:
            without_receipts = memberships.row[:2]
            judge.device(_Receipts(*without_receipts), memberships.take(without_receipts))
        judge.device(receipts, memberships.take(key))
    while memberships.row is not None:
        without_receipts = memberships.row[:2]
        judge.device(_Receipts(*without_receipts), memberships.take(without_receipts))


def _grouped(tables: HistoryTables, breaches: Breaches) -> Iterator[_Receipts]:
    """The receipts of each device in each conversation. Duplicates and receipts in the wrong order are reported."""
    group: _Receipts | None = None
    last_conv = last_dev = last_seq = last_n = 0
    same: set[int] = set()
    for conv, dev, seq, n, msg in tables.rows(_RECEIPTS):
        if group is None or conv != last_conv or dev != last_dev:
            if group is not None:
                yield group
            group = _Receipts(conv, dev)
            add_seq, add_n = group.seqs.append, group.ns.append
            last_conv, last_dev, last_seq, last_n = conv, dev, 0, 0
            same = set()
        if seq > last_seq:
            if n < last_n:
                detail = f"seq {seq} was received before seq {last_seq}"
                breaches.add(Breach("out_of_order", last_n, conv, dev, None, seq, msg, detail))
            add_seq(seq)
            add_n(n)
            last_seq, last_n = seq, n
            same = {msg}
        elif seq <= 0:
            if msg in same:
                breaches.add(Breach("unstored_twice", n, conv, dev, message=msg))
            elif msg:
                same.add(msg)
            group.unstored.append((msg, n))
        elif msg in same:
            breaches.add(Breach("received_twice", n, conv, dev, seq=seq, message=msg))
        else:
            same.add(msg)
    if group is not None:
        yield group


class _Judge:
    def __init__(self, tables: HistoryTables, breaches: Breaches, counts: Counts) -> None:
        self._tables = tables
        self._breaches = breaches
        self._counts = counts
        self._slots = _SortedRows(
            tables.rows("SELECT conv, count(*), sum(required) FROM slot GROUP BY conv ORDER BY conv"), 1
        )
        self._members = _SortedRows(tables.rows("SELECT DISTINCT conv FROM span ORDER BY conv"), 1)
        self._conv: int | None = None
        self._total = self._required = 0
        self._has_members = False

    def device(self, receipts: _Receipts, membership_rows: list[Any]) -> None:
        """Judge one device in one conversation. Must be called in ascending order of the conversations."""
        if receipts.conv != self._conv:
            self._conv = receipts.conv
            rows = self._slots.take((receipts.conv,))
            self._total, self._required = rows[0][1:] if rows else (0, 0)
            self._has_members = bool(self._members.take((receipts.conv,)))
        self._counts.received += len(receipts.seqs)
        self._counts.unstored_received += len(receipts.unstored)
        memberships = [_Membership(*row) for row in membership_rows]
        if not memberships:
            if self._has_members:
                self._stranger(receipts)
            return
        self._check_memberships(receipts, memberships)
        if memberships[0].drained:
            for membership in memberships:
                self._completeness(receipts, membership)

    def _stranger(self, receipts: _Receipts) -> None:
        known = self._tables.one("SELECT user FROM device WHERE dev = ?", receipts.dev)
        if known is None:
            return
        for seq, n in zip(receipts.seqs, receipts.ns, strict=True):
            self._outside("received_by_stranger", receipts, known[0], seq, n, self._message_at(seq), "")
        for msg, n in receipts.unstored:
            self._outside("received_by_stranger", receipts, known[0], 0, n, msg, "")

    def _check_memberships(self, receipts: _Receipts, memberships: list[_Membership]) -> None:
        if not receipts.seqs:
            return
        first, last = receipts.seqs[0], receipts.seqs[-1]
        if any(membership.may_from <= first and last <= membership.may_to for membership in memberships):
            return
        allowed = " and ".join(
            f"from {each.may_from}" if each.may_to == FOREVER else f"{each.may_from} to {each.may_to}"
            for each in memberships
        )
        for seq, n in zip(receipts.seqs, receipts.ns, strict=True):
            if not any(membership.may_from <= seq <= membership.may_to for membership in memberships):
                self._outside(
                    "received_outside_membership", receipts, memberships[0].user, seq, n, self._message_at(seq),
                    f"seq {seq}; its user may have seqs {allowed}",
                )  # fmt: skip

    def _outside(
        self, kind: str, receipts: _Receipts, user: int, seq: int, n: int, message: int | None, detail: str
    ) -> None:
        self._breaches.add(Breach(kind, n, receipts.conv, receipts.dev, user, seq, message, detail))

    def _message_at(self, seq: int) -> int | None:
        found = self._tables.one("SELECT msg FROM slot WHERE conv = ? AND seq = ?", self._conv or 0, seq)
        return None if found is None else int(found[0])

    def _completeness(self, receipts: _Receipts, membership: _Membership) -> None:
        is_always_member = membership.must_from <= 1 and membership.must_to == FOREVER
        needs_all = membership.from_start and membership.hears_itself and is_always_member
        if needs_all and len(receipts.seqs) == self._total:
            self._counts.required += self._required
            return
        seqs, at, have = receipts.seqs, 0, len(receipts.seqs)
        for seq, msg, n, acked, sent_dev, sent_at in self._tables.rows(
            _SLOTS, receipts.conv, membership.must_from, membership.must_to
        ):
            if not membership.hears_itself and sent_dev == membership.dev:
                continue
            if not membership.from_start and sent_at <= membership.at:
                continue
            self._counts.required += 1
            while at < have and seqs[at] < seq:
                at += 1
            if at >= have or seqs[at] != seq:
                kind = "lost" if acked else "lost_unacked"
                self._breaches.add(Breach(kind, n, receipts.conv, receipts.dev, membership.user, seq, msg))
