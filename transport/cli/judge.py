"""`greenroom judge`: print the verdict on a recorded history, for a person or as JSON."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import msgspec

from greenroom.transport.cli.options import CommandFailed
from greenroom.transport.load.exit_codes import Exit
from greenroom.transport.load.judge.judging import judge
from greenroom.transport.load.judge.recorder import HistoryUnreadable, read
from greenroom.transport.load.judge.verdict import FINDINGS, KINDS, Counts, Verdict, Violation

__all__ = ["judge_files", "verdict_lines"]

BAD_DATA, NO_INPUT, NO_ROOM = 65, 66, 74
"""As in sysexits.h: the file is not a history; it does not exist; the disk is full or cannot be written."""
_SHOWN_PER_KIND = 3


def judge_files(files: list[Path], *, as_json: bool, workdir: Path | None, strict: bool = False) -> int:
    """Print the verdict on the history in these files; returns the exit code. Raises CommandFailed.

    strict: findings are violations, too.
    """
    for file in files:
        if not file.is_file():
            what = "is not a file" if file.exists() else "is not there"
            raise CommandFailed(f"judge: {file} {what}", exit_code=NO_INPUT)
    if workdir is not None and not workdir.is_dir():
        raise CommandFailed(f"judge: --workdir {workdir} is not a folder", exit_code=NO_INPUT)
    started_at = perf_counter()
    try:
        verdict = judge(read(dict.fromkeys(files)), workdir=workdir, findings=() if strict else FINDINGS)
    except HistoryUnreadable as problem:
        raise CommandFailed(f"judge: {problem}", exit_code=BAD_DATA) from None
    except (sqlite3.Error, OSError) as problem:
        raise CommandFailed(f"judge: its tables cannot be written: {problem}", exit_code=NO_ROOM) from None
    if as_json:
        print(verdict.to_json().decode())
    else:
        print("\n".join(verdict_lines(verdict)))
        print(f"judged in {perf_counter() - started_at:.1f} s", file=sys.stderr)
    if not verdict.ok:
        return Exit.INCORRECT
    return Exit.HELD if verdict.conclusive else Exit.INCONCLUSIVE


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """The verdict for a person: the counts, the broken promises, and the events that show each breach."""
    yield from _count_lines(verdict.counts)
    for note in verdict.notes:
        yield f"note: {note}"
    if not verdict.ok:
        yield f"VIOLATED: {_number(sum(verdict.totals.values()), 'violation')}"
        yield from _kind_lines(verdict.totals)
    elif verdict.conclusive:
        yield "clean: no promise was broken"
    else:
        yield "INCONCLUSIVE: no broken promise was found, but not all could be judged"
    if verdict.undecided:
        yield "undecided, because the server was still storing messages when the drain ended:"
        yield from _kind_lines(verdict.undecided)
    if verdict.findings:
        yield "findings that break no promise (--strict counts them as violations):"
        yield from _kind_lines(verdict.findings)
    shown: dict[str, int] = {}
    for violation in (*verdict.violations, *verdict.examples):
        shown[violation.kind] = shown.get(violation.kind, 0) + 1
        if shown[violation.kind] <= _SHOWN_PER_KIND:
            yield ""
            yield from _violation_lines(violation)


def _kind_lines(totals: dict[str, int]) -> Iterator[str]:
    width = max(map(len, totals))
    for kind, total in totals.items():
        yield f"  {kind:{width}}  {total:>9,}  {KINDS[kind]}"


def _count_lines(counts: Counts) -> Iterator[str]:
    yield (
        f"{_number(counts.events, 'event')}: {_number(counts.conversations, 'conversation')}, "
        f"{_number(counts.devices, 'device')}, {counts.drained:,} of them to the end of the drain"
    )
    yield (
        f"{_number(counts.sent, 'message')} sent, {counts.acked:,} acked, {counts.stored:,} seen in the store; "
        f"{_number(counts.received, 'receipt')}, {counts.required:,} required"
    )
    if counts.unstored_sent or counts.unstored_received:
        yield (
            f"not stored by their options: {_number(counts.unstored_sent, 'message')} sent, "
            f"{_number(counts.unstored_received, 'receipt')}"
        )


def _violation_lines(violation: Violation) -> Iterator[str]:
    where = [violation.conversation_id]
    if violation.seq:
        where.append(f"seq {violation.seq}")
    if violation.client_msg_id:
        where.append(f"message {violation.client_msg_id}")
    if violation.device:
        where.append(f"device {violation.device}")
    elif violation.user_id:
        where.append(f"user {violation.user_id}")
    yield f"{violation.kind}: {', '.join(where)}: {violation.detail}"
    times = [event.at for event in violation.around if hasattr(event, "at")]
    start = min(times, default=0)
    for event in violation.around:
        fields = msgspec.structs.asdict(event)
        fields.pop("conversation_id", None)
        at = fields.pop("at", None)
        since = "" if at is None else f"+{(at - start) / 1e6:.3f} ms"
        shown = " ".join(f"{name}={value}" for name, value in fields.items() if _is_telling(name, value))
        yield f"  {since:>15}  {type(event).__name__:<15} {shown}"


def _is_telling(name: str, value: object) -> bool:
    return not (name == "foreign" and value is False) and not (name.startswith("maybe_") and value == -1)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
