"""The promises about the seqs in answers to request 1006: the newest seq, and the seq up to which the user has read.

An answer must count all messages that were acked before its request was sent. Two answers are compared only if one
request was sent after the other answer had arrived.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from greenroom.transport.load.judge.verdict import Breach

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from greenroom.transport.load.judge.history_tables import HistoryTables
    from greenroom.transport.load.judge.verdict import Breaches

__all__ = ["check_seqs"]

_TIMELINE = """SELECT conv, at, 0 AS is_ack, n, user, max_seq FROM answered
    UNION ALL
    SELECT s.conv, a.at, 1, a.n, 0, s.seq FROM acked a JOIN slot s ON s.conv = a.conv AND s.msg = a.msg
        WHERE a.conv IN (SELECT conv FROM answered)
    ORDER BY conv, at, is_ack"""
"""A message that was acked at the same time as a request was sent need not be in the answer."""

_READS = """SELECT conv, user, at, 0 AS is_mark, n, answered_at, max_seq, read_seq FROM answered
    UNION ALL
    SELECT conv, user, answered_at, 1, n, at, 0, seq FROM marked WHERE answered_at > 0
    ORDER BY conv, user, at, is_mark"""
"""A mark counts once it has been answered. At the same time as a request, it does not count yet."""


def check_seqs(tables: HistoryTables, breaches: Breaches) -> None:
    _check_newest(tables, breaches)
    for (conv, user), rows in groupby(tables.rows(_READS), key=itemgetter(0, 1)):
        _check_reader(tables, breaches, conv, user, rows)


def _check_newest(tables: HistoryTables, breaches: Breaches) -> None:
    """Compare newest seqs with the messages acked before, with all messages seen, and with the messages stored at the
    end."""
    for conv, rows in groupby(tables.rows(_TIMELINE), key=itemgetter(0)):
        newest = tables.one("SELECT max(seq) FROM slot WHERE conv = ?", conv)[0] or 0
        stored = tables.one("SELECT max(seq) FROM slot WHERE conv = ? AND from_store", conv)[0] or 0
        is_pulled = tables.one("SELECT 1 FROM pulled WHERE conv = ?", conv) is not None
        has_members = tables.one("SELECT 1 FROM span WHERE conv = ?", conv) is not None
        acked = 0
        for _, at, is_ack, n, user, seq in rows:
            if is_ack:
                acked = max(acked, seq)
                continue
            known = acked
            if is_pulled and 0 <= tables.last_drain_at <= at:
                known = max(known, stored)
            if seq < known and has_members:
                known = _within_membership(tables, conv, user, known)
            if seq < known:
                detail = f"answered {seq}, the newest is {known}"
                breaches.add(Breach("max_seq_low", n, conv, user=user, seq=seq, detail=detail))
            elif seq > newest and is_pulled:
                detail = f"answered {seq}, the newest is {newest}"
                breaches.add(Breach("max_seq_high", n, conv, user=user, seq=seq, detail=detail))


def _within_membership(tables: HistoryTables, conv: int, user: int, seq: int) -> int:
    """The highest seq, up to this one, that the user is entitled to; 0 if there is no such seq."""
    found = tables.one(
        "SELECT max(min(must_to, ?)) FROM span WHERE conv = ? AND user = ? AND must_from <= ?",
        seq, conv, user, seq,
    )  # fmt: skip
    return int(found[0] or 0)


def _check_reader(tables: HistoryTables, breaches: Breaches, conv: int, user: int, rows: Iterator[Any]) -> None:
    """Judge the answers to one user about one conversation, in the order of the requests."""
    open_answers: list[tuple[int, int, int]] = []
    """Answers that were still pending when the latest request was sent: time of arrival, newest seq, read seq."""
    newest = read = marked = 0
    for _, _, at, is_mark, n, answered_at, max_seq, read_seq in rows:
        if is_mark:
            marked = max(marked, read_seq)
            continue
        while open_answers and open_answers[0][0] <= at:
            _, earlier_newest, earlier_read = heappop(open_answers)
            newest, read = max(newest, earlier_newest), max(read, earlier_read)
        heappush(open_answers, (answered_at, max_seq, read_seq))

        def add(kind: str, seq: int, detail: str, n: int = n) -> None:
            breaches.add(Breach(kind, n, conv, user=user, seq=seq, detail=detail))

        if max_seq < newest:
            add("max_seq_back", max_seq, f"answered {max_seq}, before it {newest}")
        if read_seq > max_seq:
            add("read_past_max", read_seq, f"answered read seq {read_seq}, newest seq {max_seq}")
        if read_seq < read:
            add("read_back", read_seq, f"answered read seq {read_seq}, before it {read}")
        elif read_seq < marked:
            add("read_wrong", read_seq, f"answered read seq {read_seq}, marked as read up to {marked}")
        elif read_seq > marked and not _may_have_read(tables, conv, user, read_seq, answered_at):
            add("read_wrong", read_seq, f"answered read seq {read_seq}, which the user never reached")


def _may_have_read(tables: HistoryTables, conv: int, user: int, seq: int, answered_at: int) -> bool:
    """Whether a read seq has a cause: a mark that was sent before the answer, or a message that the user sent. Always
    true for a user without marks."""
    causes = tables.one(
        """SELECT NOT EXISTS (SELECT 1 FROM marked WHERE conv = ?1 AND user = ?2)
            OR EXISTS (SELECT 1 FROM marked WHERE conv = ?1 AND user = ?2 AND seq = ?3 AND at <= ?4)
            OR EXISTS (SELECT 1 FROM slot WHERE conv = ?1 AND seq = ?3 AND sender = ?2)""",
        conv, user, seq, answered_at,
    )  # fmt: skip
    return bool(causes[0])
