"""What the live view and the report show: each title over its own column, nothing where nothing was measured."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from greenroom.transport.load.exit_codes import BadInput
from greenroom.transport.load.figures import Figures, Moment, Trial
from greenroom.transport.load.live import LiveView
from greenroom.transport.load.plots import PlotLine, plot
from greenroom.transport.load.report import as_html, as_json
from greenroom.transport.load.samples import Totals
from greenroom.transport.load.target import Target, shown_url


def _moment(**fields: Any) -> Moment:
    given: dict[str, Any] = {
        "at_s": 3.0, "planned_per_s": 1234.0, "acked_per_s": 1230.0, "received_per_s": 123456.0, "failed_per_s": 2.0,
        "online": 5000, "in_flight": 3, "ack_ms": {"50": 1.25, "99": 12345.6, "100": 60000.1},
        "delivery_ms": {"50": 2.5, "99": 23456.7, "100": 60000.2}, "lag_p99_ms": 1.5, "harness_cpu_share": 0.5,
        "server_cpu_share": 1.5, "server_rss_bytes": 2**30,
    }  # fmt: skip
    return Moment(**{**given, **fields})


def _shown(moment: Moment, totals: Totals, *, columns: int) -> list[str]:
    console = Console(file=io.StringIO(), width=columns, height=40)
    view = LiveView(console, "greenroom load a-scenario-with-a-long-name")
    view.moment(moment, totals, of_s=30.0)
    console.print(view._render())
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("columns", [80, 90, 120])
def test_each_title_stands_over_its_column(columns: int) -> None:
    totals = Totals(planned=1_234_567, acked=1_234_500, received=123_456_789, failed=12, broken_connections=7)
    totals.errors = {"send: no answer in time " * 8: 12}
    lines = _shown(_moment(), totals, columns=columns)
    [head] = [line for line in lines if "highest" in line]
    [acked] = [line for line in lines if line.startswith("acked")]
    for title, value in (("now", "1230/s"), ("total", "1234500"), ("p50", "1.2 ms"), ("p99", "12345.6 ms"),
                         ("highest", "60000.1 ms")):  # fmt: skip
        assert head.index(title) + len(title) == acked.index(value) + len(value), (title, lines)
    assert "connections  5000 online, 7 broke off so far" in lines
    assert "harness      50% of a core, loop lag p99 1.5 ms" in lines
    assert "server       150% of a core, 1024 MiB" in lines
    assert max(map(len, lines)) <= columns
    assert lines[-1].startswith("12 x send: no answer in time")
    assert lines[-1].endswith("…")


def test_nothing_measured_is_a_dash() -> None:
    lines = _shown(_moment(ack_ms={}, delivery_ms={}), Totals(), columns=80)
    [acked] = [line for line in lines if line.startswith("acked")]
    assert acked.split() == ["acked", "1230/s", "0", "-", "-", "-"]


def test_error_of_a_server_cannot_move_the_cursor() -> None:
    lines = _shown(_moment(), Totals(errors={"\x1b[2J\rgone": 1}), columns=80)
    assert lines[-1] == "1 x  [2J gone"


def test_line_has_a_gap_where_nothing_was_measured() -> None:
    svg = plot("t", [PlotLine("a", [(1, 5.0), (2, None), (3, 6.0), (4, 7.0)])], x_label="x", y_label="y")
    assert svg.count("<polyline") == 2
    assert svg.count("<circle") == 3
    assert ": 0<" not in svg


def test_trials_are_points() -> None:
    svg = plot("t", [PlotLine("a", [(2, 5.0), (1, 6.0)])], x_label="x", y_label="y", is_joined=False)
    assert "<polyline" not in svg
    assert svg.count("<circle") == 2


def _figures(**fields: Any) -> Figures:
    return Figures(
        scenario="s", title="", run="r", began_at="", ws_url="", api_url="", users=2, devices=2, rate_per_s=1,
        mode="open", hold_s=1, seed=1, **fields,
    )  # fmt: skip


def test_report_of_a_search_has_one_point_for_each_trial() -> None:
    def trial(rate: float, *, held: bool, p99: float | None) -> Trial:
        return Trial(
            rate_per_s=rate, held=held, acked_per_s=rate, ack_p99_ms=p99, delivery_p99_ms=p99, failed=0, saturated=""
        )

    trials = [
        trial(100, held=True, p99=5), trial(200, held=False, p99=90), trial(200, held=False, p99=None),
        trial(150, held=True, p99=7),
    ]  # fmt: skip
    html = as_html(_figures(trials=trials, capacity_per_s=150.0, moments=[_moment(trial=1), _moment(trial=2)]))
    figure = html.partition("Latency at each rate that was tried")[2].partition("</figure>")[0]
    assert figure.count("<circle") == 2 * 3
    assert "<polyline" not in figure
    assert "Latency of acks and deliveries" not in html
    assert "<td>-</td>" in html


def test_report_of_a_run_that_measured_nothing() -> None:
    html = as_html(_figures(moments=[_moment(ack_ms={}, delivery_ms={})]))
    assert "0.0 ms</b><span>ack" not in html
    assert "-</b><span>ack, 99th percentile" in html
    assert as_json(_figures())


def test_password_in_a_url_is_not_shown() -> None:
    assert shown_url("wss://user:secret@host:1/path?token=secret#secret") == "wss://host:1/path"
    for ws_url in ("ws://user:secret@host:port", "secret://host"):
        with pytest.raises(BadInput, match="--ws is not a URL") as problem:
            Target(ws_url=ws_url, api_url="http://h", secret="s", admin_id="a")
        assert "secret" not in str(problem.value)
