"""The judge: does a history keep the promises of a chat server, and if not, where does it break them?

The order of the events of different devices does not matter; the events of one device are in the recorded order. Memory
is bounded, however long the history is (see `judge`): the events are written to tables on disk, sorted there, and read
once for each promise. The judge knows no other chat rule than these promises (`verdict.KINDS` names their breaches).
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from greenroom.transport.load.judge.evidence import explain
from greenroom.transport.load.judge.history_tables import HistoryTables
from greenroom.transport.load.judge.message_promises import check_messages
from greenroom.transport.load.judge.receipt_promises import check_receipts
from greenroom.transport.load.judge.recorder import History, Recorder, read
from greenroom.transport.load.judge.seq_promises import check_seqs
from greenroom.transport.load.judge.verdict import KINDS, UNSETTLED, Breaches, Counts, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from greenroom.transport.load.judge.events import Event

__all__ = ["MEMORY_LIMIT_BYTES", "VIOLATIONS_KEPT_PER_KIND", "judge"]

MEMORY_LIMIT_BYTES: Final = 256 * 1024 * 1024
VIOLATIONS_KEPT_PER_KIND: Final = 10
"""Maximum number of violations of a kind that are kept: a person will read the first few. The totals count all."""

NEED_THE_WHOLE: Final = ("phantom", "received_by_stranger", "received_outside_membership", "read_wrong")
"""Kinds of breach that a lost event also causes. They are not judged if a recorder was killed, because its last events
are lost, nor if a file of the history is missing."""


def judge(
    events: Iterable[Event],
    *,
    workdir: str | Path | None = None,
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
    keep_per_kind: int = VIOLATIONS_KEPT_PER_KIND,
    findings: Collection[str] = (),
) -> Verdict:
    """Judge a history.

    events: they are read a second time if there are violations to show. An iterator can be read only once, so its
        events are copied to disk during the first pass.
    workdir: a folder for the tables, which take about 80 bytes per event until the verdict. Default: the system's
        folder for temporary files. SQLite's sorts need as much space again, in SQLITE_TMPDIR or TMPDIR.
    memory_limit_bytes: the approximate limit, besides 16 bytes for each message of the largest conversation.
    keep_per_kind: maximum number of violations of a kind that are kept and shown; `totals` counts all.
    findings: kinds that are reported, but break no promise (see `verdict.FINDINGS`).
    """
    with TemporaryDirectory(prefix="greenroom-judge-", dir=workdir) as name:
        folder = Path(name)
        second_pass: Iterable[Event] = events
        if iter(events) is events:
            events, second_pass = _copied(events, folder / "copy"), read([folder / "copy"])
        tables = HistoryTables(folder, memory_limit_bytes=memory_limit_bytes)
        try:
            tables.load(events)
            torn = events.torn if isinstance(events, History) else []
            gaps = [*torn, *_missing_files(tables)]
            tables.derive(is_whole=not gaps)
            breaches = Breaches(
                keep_per_kind=keep_per_kind,
                ignored=NEED_THE_WHOLE if gaps else (),
                undecided=UNSETTLED if tables.was_growing else (),
            )
            counts = Counts()
            check_messages(tables, breaches)
            check_receipts(tables, breaches, counts)
            check_seqs(tables, breaches)
            _count(tables, counts)
            notes = [*gaps, *_notes(tables, counts)]
            if gaps:
                notes.append(f"a part of the history is lost, so these were not judged: {', '.join(NEED_THE_WHOLE)}")
        finally:
            tables.close()
        kept = breaches.kept()
        shown = explain(kept, second_pass) if kept else []
        totals = _ordered(breaches.totals, [kind for kind in KINDS if kind not in findings])
        return Verdict(
            ok=not totals,
            counts=counts,
            totals=totals,
            violations=[example for example in shown if example.kind not in findings],
            notes=notes,
            undecided=_ordered(breaches.undecided, KINDS),
            findings=_ordered(breaches.totals, findings),
            examples=[example for example in shown if example.kind in findings],
            conclusive=not notes and not breaches.undecided,
        )


def _ordered(totals: dict[str, int], kinds: Iterable[str]) -> dict[str, int]:
    return {kind: totals[kind] for kind in kinds if kind in totals}


def _missing_files(tables: HistoryTables) -> Iterator[str]:
    for part in tables.missing_parts:
        yield f"the history is not whole: its file number {part} (of --processes) was not given"


def _copied(events: Iterable[Event], path: Path) -> Iterator[Event]:
    with Recorder(path) as copy:
        for event in events:
            copy.record(event)
            yield event


def _count(tables: HistoryTables, counts: Counts) -> None:
    counts.events = tables.events
    counts.failed = tables.failed
    counts.conversations = tables.number(
        """SELECT count(*) FROM (SELECT conv FROM message UNION SELECT conv FROM claim UNION SELECT conv FROM span
        UNION SELECT conv FROM answered UNION SELECT conv FROM pulled)"""
    )
    counts.devices = tables.number("SELECT count(*) FROM device")
    counts.drained = tables.number("SELECT count(*) FROM device WHERE drained")
    counts.sent = tables.number("SELECT count(*) FROM message WHERE stored")
    counts.unstored_sent = tables.number("SELECT count(*) FROM message WHERE NOT stored")
    counts.acked = tables.number(
        """SELECT count(*) FROM message m WHERE stored
        AND EXISTS (SELECT 1 FROM acked a WHERE a.conv = m.conv AND a.msg = m.msg)"""
    )
    counts.stored = tables.number("SELECT count(*) FROM slot WHERE from_store")
    counts.seqs_answered = tables.number("SELECT count(*) FROM answered")


def _notes(tables: HistoryTables, counts: Counts) -> Iterator[str]:
    """What was not judged, because the history lacks the events for it."""
    if not counts.drained:
        yield "no device was there until the end of the drain: no loss on a device was judged"
    memberless = tables.number(
        """SELECT count(*) FROM (SELECT conv FROM message UNION SELECT conv FROM claim
        EXCEPT SELECT conv FROM span)"""
    )
    if memberless:
        yield f"{memberless} conversations without a member: no loss on a device was judged there"
    unpulled = tables.number("SELECT count(*) FROM (SELECT DISTINCT conv FROM message EXCEPT SELECT conv FROM pulled)")
    if unpulled:
        yield f"the stored messages of {unpulled} conversations were not pulled: gaps and storage were not judged there"
    unknown = tables.number("SELECT count(*) FROM (SELECT DISTINCT dev FROM sent EXCEPT SELECT dev FROM device)")
    if unknown:
        yield f"{unknown} devices send but have no DeviceStarted: it is not known what they had to receive"
