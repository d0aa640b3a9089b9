"""The report of a run: one HTML file that loads nothing from elsewhere, and the same as JSON."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.transport.load.plots import Line, ladder_plot, plot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom.transport.load.outcome import Outcome

__all__ = ["VERDICTS", "as_html", "as_json"]

VERDICTS = {
    0: "The thresholds hold, and nothing was lost",
    1: "The thresholds do not hold",
    2: "Correctness was violated",
    3: "The harness was the bottleneck",
}
VIOLATIONS_SHOWN = 20

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2321; --soft: #66706c; --line: #d9dedb; --page: #fbfcfb; --card: #fff;
  --c0: #1d6fb8; --c1: #c2571a; --c2: #2f8f4e; --c3: #8a4fbf; --good: #23763c; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebe8; --soft: #9aa5a0; --line: #38413d; --page: #151917;
  --card: #1d2321; --c0: #6cb2f0; --c1: #f09a5e; --c2: #74cf92; --c3: #c39bf0; --good: #74cf92; --bad: #ff8a80; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0 auto; max-width: 1120px;
  padding: 24px; }
h1 { font-size: 22px; margin: 0 } h2 { font-size: 17px; margin: 28px 0 8px } p { margin: 4px 0 }
.soft { color: var(--soft) } .verdict { font-size: 17px; font-weight: 600; margin: 14px 0 4px }
.good { color: var(--good) } .bad { color: var(--bad) }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 14px 0 }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px }
.card b { display: block; font-size: 20px; font-weight: 600; font-variant-numeric: tabular-nums } .card span { color: var(--soft); font-size: 13px }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 14px }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px }
figcaption { font-weight: 600; margin-bottom: 4px } svg { width: 100%; height: auto; display: block }
.grid { stroke: var(--line) } .tick, .label { fill: var(--soft); font-size: 11px } .line { fill: none; stroke-width: 2 }
.keys { font-size: 13px; color: var(--soft) } .key { margin-right: 14px } .key i { display: inline-block; width: 10px; height: 10px;
  border-radius: 3px; margin-right: 5px }
.line.c0, .dot.c0 { stroke: var(--c0) } .line.c1, .dot.c1 { stroke: var(--c1) } .line.c2, .dot.c2 { stroke: var(--c2) }
.line.c3, .dot.c3 { stroke: var(--c3) } .dot { fill: var(--card) }
i.c0 { background: var(--c0) } i.c1 { background: var(--c1) } i.c2 { background: var(--c2) } i.c3 { background: var(--c3) }
table { border-collapse: collapse; background: var(--card); border: 1px solid var(--line); border-radius: 8px }
td, th { padding: 5px 12px; border-bottom: 1px solid var(--line); text-align: right; font-variant-numeric: tabular-nums }
td:first-child, th:first-child { text-align: left } pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; padding: 10px; font-size: 13px } .scroll { overflow-x: auto }
"""


def as_json(outcome: Outcome) -> bytes:
    return msgspec.json.format(msgspec.json.encode(outcome), indent=1) + b"\n"


def as_html(outcome: Outcome) -> str:
    code = outcome.exit_code
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>greenroom load {escape(outcome.scenario)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(outcome.scenario)}: {escape(outcome.title)}</h1>",
        f'<p class="soft">{escape(_setting(outcome))}</p>',
        f'<p class="verdict {"good" if code == 0 else "bad"}">{escape(_headline(outcome))}</p>',
        *(f"<p>{escape(reason)}</p>" for reason in outcome.reasons),
        _cards(outcome),
        f'<div class="plots">{"".join(_plots(outcome))}</div>',
        *_tables(outcome),
        "</body></html>",
    ]
    return "".join(parts)


def _headline(outcome: Outcome) -> str:
    text = VERDICTS.get(outcome.exit_code, "")
    return f"{text} (interrupted: this is what was done until then)" if outcome.interrupted else text


def _setting(outcome: Outcome) -> str:
    pace = f"{outcome.rate_per_s:g} messages/s planned" if outcome.rate_per_s else outcome.mode
    return (
        f"{outcome.began_at} · {outcome.ws_url} · {outcome.users} users, {outcome.devices} devices · {pace} · "
        f"{outcome.hold_s:g} s · seed {outcome.seed} · run {outcome.run}"
    )


def _cards(outcome: Outcome) -> str:
    counts = outcome.counts
    cards = [
        (f"{outcome.acked_per_s:,.0f}/s", "acked"),
        (f"{outcome.received_per_s:,.0f}/s", "received by devices"),
        (f"{outcome.ack_ms.get('99', 0):.1f} ms", "ack, 99th percentile"),
        (f"{outcome.delivery_ms.get('99', 0):.1f} ms", "delivery, 99th percentile"),
        (f"{counts.get('failed', 0):,}", f"failed of {counts.get('planned', 0):,} planned"),
        (f"{outcome.connections:,}", "connections at most"),
    ]
    if outcome.capacity_per_s is not None:
        cards.insert(0, (f"{outcome.capacity_per_s:,.0f}/s", "capacity: highest rate that held"))
    if outcome.server_rss_peak_bytes is not None:
        cards.append((f"{outcome.server_rss_peak_bytes / 2**20:,.0f} MiB", "memory of the server at most"))
    if outcome.harness is not None:
        cards.append((f"{outcome.harness.cpu_us_per_message:.0f} µs", "CPU of the harness for each message"))
        cards.append((f"{outcome.harness.lag_p99_ms:.1f} ms", "loop lag of the harness, 99th percentile"))
    shown = "".join(f'<div class="card"><b>{escape(figure)}</b><span>{escape(name)}</span></div>' for figure, name in cards)
    return f'<div class="cards">{shown}</div>'


def _plots(outcome: Outcome) -> Iterable[str]:
    moments = outcome.moments
    if not moments:
        return
    over = "seconds since the start"

    def line(name: str, pick: Any) -> Line:
        return Line(name, [(moment.at_s, float(pick(moment))) for moment in moments])

    yield plot(
        "Latency of acks and deliveries",
        [
            line("ack p50", lambda m: m.ack_ms["50"]),
            line("ack p99", lambda m: m.ack_ms["99"]),
            line("delivery p50", lambda m: m.delivery_ms["50"]),
            line("delivery p99", lambda m: m.delivery_ms["99"]),
        ],
        x_label=over,
        y_label="ms from the planned time",
    )
    yield ladder_plot(
        "Percentile ladder", [("ack", outcome.ack_ms), ("delivery", outcome.delivery_ms)], y_label="ms"
    )
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


def _tables(outcome: Outcome) -> Iterable[str]:
    yield "<h2>Thresholds</h2>" + _table(
        ("", "limit", "found", ""),
        [(m.name, f"{m.limit:g}", f"{m.found:.4g}", "holds" if m.holds else "does not hold") for m in outcome.measures],
    )
    if outcome.trials:
        yield "<h2>Capacity search</h2>" + _table(
            ("messages/s", "ack p99 ms", "delivery p99 ms", "failed", ""),
            [
                (
                    f"{t.rate_per_s:.4g}",
                    f"{t.ack_p99_ms:.1f}",
                    f"{t.delivery_p99_ms:.1f}",
                    f"{t.failed}",
                    "held" if t.held else t.saturated or "did not hold",
                )
                for t in outcome.trials
            ],
        )
    yield "<h2>Latency, ms</h2>" + _table(
        ("percentile", *outcome.ack_ms),
        [
            (name, *(f"{ms:.2f}" for ms in ladder.values()))
            for name, ladder in (("ack", outcome.ack_ms), ("delivery", outcome.delivery_ms), ("login", outcome.login_ms))
        ],
    )
    yield "<h2>Counts</h2>" + _table(("", ""), [(name, f"{count:,}") for name, count in outcome.counts.items()])
    if outcome.errors:
        yield "<h2>Errors</h2>" + _table(("", "times"), [(name, f"{n:,}") for name, n in outcome.errors.items()])
    yield "<h2>The judge</h2>" + _judged(outcome)
    harness = outcome.harness
    if harness is not None:
        yield "<h2>The harness</h2>" + _table(
            ("", ""),
            [
                ("processes", f"{harness.processes}"),
                ("CPU during the load", f"{harness.cpu_s:.2f} s"),
                ("CPU for each message sent or received", f"{harness.cpu_us_per_message:.1f} µs"),
                ("its busiest process", f"{harness.busiest_cpu_share:.0%} of a core"),
                ("loop lag p50, p99, highest", f"{harness.lag_p50_ms:.2f}, {harness.lag_p99_ms:.2f}, {harness.lag_max_ms:.1f} ms"),
            ],
        )


def _judged(outcome: Outcome) -> str:
    verdict: dict[str, Any] | None = msgspec.json.decode(outcome.verdict)
    if verdict is None:
        return "<p>Nothing was judged.</p>"
    counts = _table(("", ""), [(name.replace("_", " "), f"{count:,}") for name, count in verdict["counts"].items()])
    notes = "".join(f'<p class="soft">{escape(note)}</p>' for note in verdict["notes"])
    if verdict["ok"]:
        return f'<p class="good">Every promise was kept.</p>{notes}{counts}'
    totals = _table(("violation", "times"), [(kind, f"{count:,}") for kind, count in verdict["totals"].items()])
    shown = "".join(
        f"<pre>{escape(msgspec.json.format(msgspec.json.encode(violation), indent=1).decode())}</pre>"
        for violation in verdict["violations"][:VIOLATIONS_SHOWN]
    )
    return f"{totals}{notes}{shown}{counts}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head) if any(head) else ""
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{f"<tr>{top}</tr>" if top else ""}{body}</table></div>'
