"""The exit code of each kind of run: what goes before what, and that nothing passes by default."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.transport.load.exit_codes import Exit
from greenroom.transport.load.figures import Figures, Harness, Trial
from greenroom.transport.load.judge.verdict import Counts, Verdict
from greenroom.transport.load.outcome import choose_exit_code, remarks
from greenroom.transport.load.thresholds import Measure

BROKEN = Measure("ack_p99_ms", 1, 2)
TIME_BACK = {"time_back": 5}


def _figures(*, sent: int = 10, saturated: str = "", **fields: Any) -> Figures:
    harness = Harness(
        processes=1, cpu_s=1, cpu_us_per_message=1, busiest_cpu_share=0.1, rss_bytes=1, lag_p50_ms=1, lag_p99_ms=1,
        lag_max_ms=1, saturated=saturated,
    )  # fmt: skip
    return Figures(
        scenario="s", title="", run="r", began_at="", ws_url="", api_url="", users=2, devices=2, rate_per_s=1,
        mode="open", hold_s=1, seed=1, counts={"sent": sent}, harness=harness,
        **{"ack_ms": {"99": 1.0}, **fields},
    )  # fmt: skip


def _verdict(*, drained: int = 2, totals: dict[str, int] | None = None, **fields: Any) -> Verdict:
    conclusive = not fields.get("notes") and not fields.get("undecided")
    counts = Counts(devices=2, drained=drained)
    return Verdict(
        ok=not totals, counts=counts, totals=totals or {}, violations=[], conclusive=conclusive, **fields
    )  # fmt: skip


def _code(figures: Figures, verdict: Verdict, *, is_search: bool = False, talks: bool = True, pulled: int = 1) -> int:
    choose_exit_code(figures, verdict, is_search=is_search, talks=talks, pulled=pulled)
    return figures.exit_code


def test_all_is_well() -> None:
    figures = _figures()
    assert _code(figures, _verdict()) == Exit.HELD
    assert not figures.reasons


@pytest.mark.parametrize(
    ("figures", "verdict", "code"),
    [
        ({"saturated": "busy", "interrupted": True, "measures": [BROKEN]}, {"totals": {"lost": 1}}, Exit.INCORRECT),
        ({"saturated": "busy", "interrupted": True, "measures": [BROKEN]}, {}, Exit.CUT_SHORT),
        ({"interrupted": True, "sent": 0}, {"notes": ["torn"]}, Exit.CUT_SHORT),
        ({"saturated": "busy", "measures": [BROKEN]}, {}, Exit.HARNESS),
        ({"measures": [BROKEN]}, {"undecided": {"lost": 1}}, Exit.NOT_HELD),
        ({}, {"undecided": {"lost": 1}}, Exit.INCONCLUSIVE),
        ({}, {"notes": ["torn"]}, Exit.INCONCLUSIVE),
        ({}, {"drained": 1}, Exit.INCONCLUSIVE),
        ({}, {"findings": TIME_BACK}, Exit.HELD),
        ({"sent": 0}, {}, Exit.INCONCLUSIVE),
        ({"ack_ms": {}}, {}, Exit.INCONCLUSIVE),
    ],
)
def test_what_goes_before_what(figures: dict[str, Any], verdict: dict[str, Any], code: Exit) -> None:
    run = _figures(**figures)
    assert _code(run, _verdict(**verdict)) == code
    assert bool(run.reasons) == (code != Exit.HELD)


def test_server_that_could_not_be_asked() -> None:
    figures = _figures()
    assert _code(figures, _verdict(drained=0, notes=["nothing was pulled"]), pulled=0) == Exit.NOT_HELD
    assert "answered no question" in figures.reasons[0]


def test_idle_load_sends_nothing_and_may_pass() -> None:
    assert _code(_figures(sent=0, ack_ms={}), _verdict(), talks=False, pulled=0) == Exit.HELD


def _trial(rate: float, *, held: bool, saturated: str = "") -> Trial:
    return Trial(
        rate_per_s=rate, held=held, acked_per_s=rate, ack_p99_ms=1, delivery_p99_ms=1, failed=0, saturated=saturated
    )


def test_search() -> None:
    trials = [_trial(100, held=True), _trial(200, held=False, saturated="busy"), _trial(200, held=True)]
    assert _code(_figures(trials=trials, capacity_per_s=200.0), _verdict(), is_search=True) == Exit.HELD
    trials = [_trial(100, held=True), *[_trial(200, held=False, saturated="busy")] * 2]
    assert _code(_figures(trials=trials, capacity_per_s=100.0), _verdict(), is_search=True) == Exit.HARNESS
    trials = [_trial(100, held=False)] * 2
    assert _code(_figures(trials=trials, capacity_per_s=0.0), _verdict(), is_search=True) == Exit.NOT_HELD


def test_remarks() -> None:
    [finding, undecided, note] = remarks(_verdict(findings=TIME_BACK, undecided={"lost": 2}, notes=["a note"]))
    assert finding.startswith("time_back: 5: ")
    assert undecided.startswith("lost: 2 undecided: ")
    assert note == "a note"
