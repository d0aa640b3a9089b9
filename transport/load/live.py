"""The progress of a load: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from greenroom.transport.client.printable import printable
from greenroom.transport.load.latency import shown_ms

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import RenderableType

    from greenroom.transport.load.figures import Moment
    from greenroom.transport.load.samples import Totals

__all__ = ["LiveView", "PlainView", "View", "view_for"]

PHASE_INTERVAL_S = 1.0
ERRORS_SHOWN = 3
BAR_COLUMNS = 60
NAME_COLUMNS = 11
"""Width of the first column of both tables, so that they stand below each other."""


class View(Protocol):
    """Where a run reports its progress."""

    def phase(self, text: str, done: int = 0, of: int = 0) -> None: ...

    def moment(self, moment: Moment, totals: Totals, *, of_s: float) -> None: ...


def view_for(console: Console, title: str) -> LiveView | PlainView:
    """A live table on a terminal, plain lines elsewhere."""
    return LiveView(console, title) if console.is_terminal else PlainView(console)


class PlainView:
    """At most one line a second, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ("", 0.0)

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def phase(self, text: str, done: int = 0, of: int = 0) -> None:
        now = time.monotonic()
        if text != self._last[0] or now - self._last[1] > PHASE_INTERVAL_S or (of and done == of):
            self._last = (text, now)
            self._write(f"{text}{f' {done}/{of}' if of else ''}")

    def moment(self, moment: Moment, totals: Totals, *, of_s: float) -> None:
        self._write(
            f"{moment.at_s:6.1f}/{of_s:g} s  "
            f"{moment.acked_per_s:8.1f} acked/s  {moment.received_per_s:9.1f} received/s  "
            f"ack p50 {shown_ms(moment.ack_ms, '50')} p99 {shown_ms(moment.ack_ms, '99')}  "
            f"delivery p99 {shown_ms(moment.delivery_ms, '99')}  failed {totals.failed}  "
            f"online {moment.online}  lag p99 {moment.lag_p99_ms:.1f} ms"
        )

    def _write(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class LiveView:
    """One table that changes in place."""

    def __init__(self, console: Console, title: str) -> None:
        self._title = title
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._phase = ""
        self._moment: Moment | None = None
        self._totals: Totals | None = None
        self._of_s = 0.0
        self._progress = (0.0, 0.0)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def phase(self, text: str, done: int = 0, of: int = 0) -> None:
        self._phase = f"{text}{f' {done}/{of}' if of else ''}"
        self._progress = (float(done), float(of))
        self._live.update(self._render())

    def moment(self, moment: Moment, totals: Totals, *, of_s: float) -> None:
        self._phase = f"load: {moment.at_s:.0f} of {of_s:g} s"
        self._progress = (moment.at_s, of_s)
        self._moment, self._totals, self._of_s = moment, totals, of_s
        self._live.update(self._render())

    def _render(self) -> RenderableType:
        rows: list[RenderableType] = [_line(self._title, style="bold"), _line(self._phase)]
        done, of = self._progress
        if of:
            bar = Table.grid()  # A bar alone does not end its line.
            bar.add_row(ProgressBar(total=of, completed=min(done, of), width=BAR_COLUMNS))
            rows.append(bar)
        if self._moment is not None and self._totals is not None:
            rows.append(_messages(self._moment, self._totals))
            rows.append(_machines(self._moment, self._totals))
            rows.extend(
                _line(f"{count} x {reason}", style="red")
                for reason, count in self._totals.frequent_errors(ERRORS_SHOWN).items()
            )
        return Group(*rows)


def _line(text: str, *, style: str = "") -> Text:
    """One line, cut at the edge of the terminal. Error texts of a server stay text, whatever characters they have."""
    return Text(printable(text), style=style, overflow="ellipsis", no_wrap=True)


def _messages(moment: Moment, totals: Totals) -> Table:
    """What is counted each second, and the latencies of this second from the planned times."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "now", "total", "p50", "p99", "highest"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True, min_width=NAME_COLUMNS * (not name))
    failed = Text(f"{totals.failed}", style="red" if totals.failed else "")
    table.add_row("planned", f"{moment.planned_per_s:.0f}/s", f"{totals.planned}")
    table.add_row("acked", f"{moment.acked_per_s:.0f}/s", f"{totals.acked}", *_latencies(moment.ack_ms))
    table.add_row("received", f"{moment.received_per_s:.0f}/s", f"{totals.received}", *_latencies(moment.delivery_ms))
    table.add_row("failed", f"{moment.failed_per_s:.0f}/s", failed)
    return table


def _machines(moment: Moment, totals: Totals) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, min_width=NAME_COLUMNS)
    table.add_column(overflow="ellipsis", no_wrap=True)
    broken = totals.broken_connections
    table.add_row("connections", f"{moment.online} online{f', {broken} broke off so far' if broken else ''}")
    harness = f"{moment.harness_cpu_share:.0%} of a core, loop lag p99 {moment.lag_p99_ms:.1f} ms"
    table.add_row("harness", harness)
    if moment.server_cpu_share is not None and moment.server_rss_bytes is not None:
        server = f"{moment.server_cpu_share:.0%} of a core, {moment.server_rss_bytes / 2**20:.0f} MiB"
        table.add_row("server", server)
    return table


def _latencies(ladder: dict[str, float]) -> list[str]:
    return [shown_ms(ladder, percentile) for percentile in ("50", "99", "100")]
