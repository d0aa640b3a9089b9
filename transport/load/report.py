"""The report of a run: one self-contained HTML file, and the same figures as JSON."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.transport.load.exit_codes import Exit
from greenroom.transport.load.latency import LADDER, shown_ms
from greenroom.transport.load.plots import PlotLine, ladder_plot, plot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from greenroom.transport.load.figures import Figures, Moment, Trial

__all__ = ["VERDICTS", "as_html", "as_json"]

VERDICTS = {
    0: "The thresholds hold, and nothing was lost",
    1: "The thresholds do not hold",
    2: "Correctness was violated",
    3: "The harness was the bottleneck",
    4: "Inconclusive: no broken promise was found, but not all could be judged",
    5: "Interrupted: no broken promise was found up to then",
}
VIOLATIONS_SHOWN = 20
_STYLE = files("greenroom.transport.load").joinpath("report.css").read_text()


def as_json(figures: Figures) -> bytes:
    return msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n"


def as_html(figures: Figures) -> str:
    code = figures.exit_code
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>greenroom load {escape(figures.scenario)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(figures.scenario)}: {escape(figures.title)}</h1>",
        f'<p class="soft">{escape(_setting(figures))}</p>',
        f'<p class="verdict {"good" if code == 0 else "bad"}">{escape(_headline(figures))}</p>',
        *(f"<p>{escape(reason)}</p>" for reason in figures.reasons),
        _cards(figures),
        f'<div class="plots">{"".join(_plots(figures))}</div>',
        *_tables(figures),
        "</body></html>",
    ]
    return "".join(parts)


def _headline(figures: Figures) -> str:
    text = VERDICTS.get(figures.exit_code, "")
    if figures.interrupted and figures.exit_code != Exit.CUT_SHORT:
        return f"{text} (interrupted: these are the results up to then)"
    return text


def _setting(figures: Figures) -> str:
    pace = f"{figures.rate_per_s:g} messages/s planned" if figures.rate_per_s else figures.mode
    return (
        f"{figures.began_at} · {figures.ws_url} · {figures.users} users, {figures.devices} devices · {pace} · "
        f"{figures.hold_s:g} s · seed {figures.seed} · run {figures.run}"
    )


def _cards(figures: Figures) -> str:
    counts = figures.counts
    cards = [
        (f"{figures.acked_per_s:,.0f}/s", "acked"),
        (f"{figures.received_per_s:,.0f}/s", "received by devices"),
        (shown_ms(figures.ack_ms, "99"), "ack, 99th percentile"),
        (shown_ms(figures.delivery_ms, "99"), "delivery, 99th percentile"),
        (f"{counts.get('failed', 0):,}", f"failed of {counts.get('planned', 0):,} planned"),
        (f"{figures.connections:,}", "connections at most"),
    ]
    if figures.capacity_per_s is not None:
        cards.insert(0, (f"{figures.capacity_per_s:,.0f}/s", "capacity: highest rate that held"))
    if figures.server_rss_peak_bytes is not None:
        cards.append((f"{figures.server_rss_peak_bytes / 2**20:,.0f} MiB", "memory of the server at most"))
    if figures.harness is not None:
        cards.append((f"{figures.harness.cpu_us_per_message:.0f} µs", "CPU of the harness for each message"))
        cards.append((f"{figures.harness.lag_p99_ms:.1f} ms", "loop lag of the harness, 99th percentile"))
    shown = "".join(
        f'<div class="card"><b>{escape(figure)}</b><span>{escape(name)}</span></div>' for figure, name in cards
    )
    return f'<div class="cards">{shown}</div>'


def _plots(figures: Figures) -> Iterable[str]:
    moments = figures.moments
    if not moments:
        return
    if figures.trials:
        yield from _search_plots(figures)
        return
    over = "seconds since the start"

    def line(name: str, pick: Callable[[Moment], float | None]) -> PlotLine:
        return PlotLine(name, [(moment.at_s, pick(moment)) for moment in moments])

    yield plot(
        "Latency of acks and deliveries",
        [
            line("ack p50", lambda m: m.ack_ms.get("50")),
            line("ack p99", lambda m: m.ack_ms.get("99")),
            line("delivery p50", lambda m: m.delivery_ms.get("50")),
            line("delivery p99", lambda m: m.delivery_ms.get("99")),
        ],
        x_label=over,
        y_label="ms from the planned time",
    )
    yield ladder_plot("Percentile ladder", [("ack", figures.ack_ms), ("delivery", figures.delivery_ms)], y_label="ms")
    yield plot(
        "Throughput",
        [
            line("planned", lambda m: m.planned_per_s),
            line("acked", lambda m: m.acked_per_s),
            line("received", lambda m: m.received_per_s),
            line("failed", lambda m: m.failed_per_s),
        ],
        x_label=over,
        y_label="messages/s",
    )
    yield plot("Connections", [line("online", lambda m: m.online)], x_label=over, y_label="devices")
    if moments[-1].server_rss_bytes is not None:
        yield plot(
            "CPU of the server",
            [line("server", lambda m: (m.server_cpu_share or 0) * 100)],
            x_label=over,
            y_label="% of one core",
        )
        yield plot(
            "Memory of the server",
            [line("resident", lambda m: (m.server_rss_bytes or 0) / 2**20)],
            x_label=over,
            y_label="MiB",
        )
    yield plot(
        "The harness itself",
        [
            line("CPU, % of one core", lambda m: m.harness_cpu_share * 100),
            line("loop lag p99, ms", lambda m: m.lag_p99_ms),
        ],
        x_label=over,
        y_label="% and ms",
    )


def _search_plots(figures: Figures) -> Iterable[str]:
    """One point for each trial. Trials follow each other in time, but not in their rates, so no line joins them."""
    trials = figures.trials
    over = "messages/s planned"

    def points(name: str, pick: Callable[[Trial], float | None]) -> PlotLine:
        return PlotLine(name, [(trial.rate_per_s, pick(trial)) for trial in trials])

    yield plot(
        "Latency at each rate that was tried",
        [
            points("ack p99, held", lambda t: t.ack_p99_ms if t.held else None),
            points("ack p99, did not hold", lambda t: None if t.held else t.ack_p99_ms),
            points("delivery p99, held", lambda t: t.delivery_p99_ms if t.held else None),
            points("delivery p99, did not hold", lambda t: None if t.held else t.delivery_p99_ms),
        ],
        x_label=over,
        y_label="ms from the planned time",
        is_joined=False,
    )
    yield ladder_plot(
        "Percentile ladder at the capacity", [("ack", figures.ack_ms), ("delivery", figures.delivery_ms)], y_label="ms"
    )
    yield plot(
        "Throughput at each rate that was tried",
        [points("planned", lambda t: t.rate_per_s), points("acked", lambda t: t.acked_per_s)],
        x_label=over,
        y_label="messages/s",
        is_joined=False,
    )


def _tables(figures: Figures) -> Iterable[str]:
    yield "<h2>Thresholds</h2>" + _table(
        ("", "limit", "found", ""),
        [
            (m.name, f"{m.limit:g}", "not measured", "")
            if m.found is None
            else (m.name, f"{m.limit:g}", f"{m.found:.4g}", "holds" if m.holds else "does not hold")
            for m in figures.measures
        ],
    )
    if figures.trials:
        yield "<h2>Capacity search</h2>" + _table(
            ("messages/s", "ack p99 ms", "delivery p99 ms", "failed", ""),
            [
                (
                    f"{t.rate_per_s:.4g}",
                    "-" if t.ack_p99_ms is None else f"{t.ack_p99_ms:.1f}",
                    "-" if t.delivery_p99_ms is None else f"{t.delivery_p99_ms:.1f}",
                    f"{t.failed}",
                    "held" if t.held else t.saturated or "did not hold",
                )
                for t in figures.trials
            ],
        )
    ladders = (("ack", figures.ack_ms), ("delivery", figures.delivery_ms), ("login", figures.login_ms))
    yield "<h2>Latency, ms</h2>" + _table(
        ("percentile", *(f"{percentile:g}" for percentile in LADDER)),
        [(name, *([f"{ms:.2f}" for ms in ladder.values()] or ["-"])) for name, ladder in ladders],
    )
    counts = [(name.replace("_", " "), f"{count:,}") for name, count in figures.counts.items()]
    yield "<h2>Counts</h2>" + _table(("", ""), counts)
    if figures.errors:
        yield "<h2>Errors</h2>" + _table(("", "times"), [(name, f"{n:,}") for name, n in figures.errors.items()])
    yield "<h2>The judge</h2>" + _judged(figures)
    harness = figures.harness
    if harness is not None:
        yield "<h2>The harness</h2>" + _table(
            ("", ""),
            [
                ("processes", f"{harness.processes}"),
                ("CPU during the load", f"{harness.cpu_s:.2f} s"),
                ("CPU for each message sent or received", f"{harness.cpu_us_per_message:.1f} µs"),
                ("its busiest process", f"{harness.busiest_cpu_share:.0%} of a core"),
                ("loop lag p50", f"{harness.lag_p50_ms:.2f} ms"),
                ("loop lag p99", f"{harness.lag_p99_ms:.2f} ms"),
                ("loop lag, highest", f"{harness.lag_max_ms:.2f} ms"),
            ],
        )


def _judged(figures: Figures) -> str:
    verdict: dict[str, Any] | None = msgspec.json.decode(figures.verdict)
    if verdict is None:
        return "<p>Nothing was judged.</p>"
    counts = _table(("", ""), [(name.replace("_", " "), f"{count:,}") for name, count in verdict["counts"].items()])
    notes = "".join(f'<p class="soft">{escape(note)}</p>' for note in verdict["notes"])
    head = ""
    if verdict["ok"] and verdict["conclusive"]:
        head = '<p class="good">Every promise was kept.</p>'
    elif verdict["ok"]:
        head = "<p>No broken promise was found, but not all could be judged.</p>"
    totals = "".join(
        _table((name, "times"), [(kind, f"{count:,}") for kind, count in verdict[key].items()])
        for name, key in (("violation", "totals"), ("undecided", "undecided"), ("finding", "findings"))
        if verdict[key]
    )
    shown = "".join(
        f"<pre>{escape(msgspec.json.format(msgspec.json.encode(violation), indent=1).decode())}</pre>"
        for violation in [*verdict["violations"], *verdict["examples"]][:VIOLATIONS_SHOWN]
    )
    return f"{head}{totals}{notes}{shown}{counts}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head) if any(head) else ""
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{f"<tr>{top}</tr>" if top else ""}{body}</table></div>'
