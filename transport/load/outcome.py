"""The exit code of a run, and the reasons for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.transport.load.exit_codes import Exit
from greenroom.transport.load.judge.verdict import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenroom.transport.load.figures import Figures
    from greenroom.transport.load.judge.verdict import Verdict

__all__ = ["choose_exit_code", "remarks"]


def choose_exit_code(figures: Figures, verdict: Verdict, *, is_search: bool, talks: bool, pulled: int) -> None:
    """Set the exit code of the figures, and add its reasons.

    talks: whether the scenario sends messages. pulled: number of conversations whose stored messages were pulled.
    """
    saturated = figures.harness.saturated if figures.harness is not None else ""
    broken = [
        f"{each.name} is {each.found:.4g}, more than {each.limit:g}" for each in figures.measures if not each.holds
    ]
    gaps = list(_gaps(figures, verdict, talks=talks))
    if not verdict.ok:
        code, reasons = Exit.INCORRECT, [f"{kind}: {count}" for kind, count in verdict.totals.items()]
    elif figures.interrupted:
        code, reasons = Exit.CUT_SHORT, ["the run was cut short: its thresholds were not judged", *gaps]
    elif is_search:
        code, reasons = _of_search(figures)
    elif saturated:
        code = Exit.HARNESS
        reasons = [f"the harness was the bottleneck: {saturated}; the server is not to blame"]
    elif broken:
        code, reasons = Exit.NOT_HELD, broken
    else:
        code, reasons = Exit.HELD, []
    if talks and figures.counts["sent"] and not pulled and code in (Exit.HELD, Exit.NOT_HELD):
        code = Exit.NOT_HELD
        reasons.append("at the end the server answered no question about what it has stored, so no loss was judged")
    if code == Exit.HELD and gaps:
        code, reasons = Exit.INCONCLUSIVE, gaps
    figures.exit_code = code
    figures.reasons += reasons


def _of_search(figures: Figures) -> tuple[Exit, list[str]]:
    code, reasons = Exit.HELD, []
    if not figures.capacity_per_s:
        code, reasons = Exit.NOT_HELD, ["the thresholds held at no rate that was tried"]
    above = [trial for trial in figures.trials if not trial.held and trial.rate_per_s > (figures.capacity_per_s or 0)]
    if above and (lowest := min(above, key=lambda trial: trial.rate_per_s)).saturated:
        code = Exit.HARNESS
        reasons.append(
            f"the search ended because the harness was the bottleneck: {lowest.saturated}; the server can do more"
        )
    return code, reasons


def _gaps(figures: Figures, verdict: Verdict, *, talks: bool) -> Iterator[str]:
    """Why nobody can say that all went well."""
    if talks and not figures.counts["sent"]:
        yield "no message was sent, so nothing was measured and nothing was judged"
    elif talks and not figures.interrupted and not figures.ack_ms:
        yield "no latency was measured: only messages that are acked after the ramp count"
    yield from _undecided(verdict)
    yield from verdict.notes
    absent = verdict.counts.devices - verdict.counts.drained
    if absent and verdict.counts.drained:
        yield f"{absent} of {verdict.counts.devices} devices were not there at the end: no loss on them was judged"


def remarks(verdict: Verdict) -> list[str]:
    """What the judge found that breaks no promise, and what it could not judge, one line each."""
    found = [f"{kind}: {count}: {KINDS[kind]}; no message is lost by it" for kind, count in verdict.findings.items()]
    return [*found, *_undecided(verdict), *verdict.notes]


def _undecided(verdict: Verdict) -> list[str]:
    why = "the server was still storing messages when the drain ended"
    return [f"{kind}: {count} undecided: {why}" for kind, count in verdict.undecided.items()]
