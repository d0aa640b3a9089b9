"""Line plots as SVG text, which loads no script, font or image."""

from __future__ import annotations

import math
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["PlotLine", "ladder_plot", "plot"]

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 28, 14, 40
TICKS = 5
DOTS_LIMIT = 120
"""A line with more points has no dots."""
COLOURS = ("c0", "c1", "c2", "c3")


class PlotLine(NamedTuple):
    name: str
    points: Sequence[tuple[float, float | None]]
    """A value of None was not measured: the line has a gap there."""


def plot(
    title: str,
    lines: Sequence[PlotLine],
    *,
    x_label: str,
    y_label: str,
    name_y: Callable[[float], str] | None = None,
    is_joined: bool = True,
) -> str:
    """Lines over a common linear x axis; the y axis begins at 0. If they are not joined, they are points."""
    xs = [x for line in lines for x, _ in line.points] or [0.0]
    ticks = [(x, f"{x:g}") for x in _round_steps(min(0.0, min(xs)), max(xs))]
    x_range = (min(0.0, min(xs)), max(xs))
    return _draw(title, lines, ticks, x_range, x_label, y_label, name_y or _short, is_joined=is_joined)


def ladder_plot(title: str, ladders: Sequence[tuple[str, dict[str, float]]], *, y_label: str) -> str:
    """Latency by percentile, on an axis where 90 to 99 is as wide as 99 to 99.9."""
    lines = [
        PlotLine(
            name,
            [(_nines(float(at)), ms) for at, ms in ladder.items() if float(at) <= 99.99],
        )
        for name, ladder in ladders
    ]
    ticks = [(_nines(at), f"{at:g}%") for at in (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)]
    return _draw(title, lines, ticks, (0.0, _nines(99.99)), "percentile", y_label, _short)


def _nines(percentile: float) -> float:
    return -math.log10(max(1e-5, 1 - percentile / 100))


def _round_steps(low: float, high: float) -> list[float]:
    """Round numbers that divide low..high into a few steps."""
    span = high - low
    if span <= 0:
        return [low]
    rough = span / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [round(step * at, 10) for at in range(first, math.floor(high / step + 1e-9) + 1)]


def _draw(
    title: str,
    lines: Sequence[PlotLine],
    x_ticks: Sequence[tuple[float, str]],
    x_range: tuple[float, float],
    x_label: str,
    y_label: str,
    name_y: Callable[[float], str],
    *,
    is_joined: bool = True,
) -> str:
    top = max((y for line in lines for _, y in line.points if y is not None), default=0.0) or 1.0
    y_ticks = _round_steps(0.0, top * 1.08)
    y_max = max(top * 1.08, y_ticks[-1])
    low, high = x_range
    span = (high - low) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (x - low) / span * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y / y_max * (HEIGHT - TOP - BOTTOM),
        )

    parts = [
        f"<figure><figcaption>{escape(title)}</figcaption>",
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
    ]
    for y in y_ticks:
        _, at = place(low, y)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_text("tick", f'x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end"', name_y(y)))
    for x, name in x_ticks:
        at, _ = place(x, 0)
        parts.append(_text("tick", f'x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle"', name))
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    centre = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text("label", f'x="{centre}" y="{HEIGHT - 6}" text-anchor="middle"', x_label))
    turned = f'transform="translate(13 {middle}) rotate(-90)" text-anchor="middle"'
    parts.append(_text("label", turned, y_label))
    for line, colour in zip(lines, COLOURS, strict=False):
        for run in _runs(line.points) if is_joined else ():
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in run))
            parts.append(f'<polyline class="line {colour}" points="{path}"/>')
        for x_value, y_value in line.points if len(line.points) <= DOTS_LIMIT or not is_joined else ():
            if y_value is not None:
                x, y = place(x_value, y_value)
                parts.append(
                    f'<circle class="dot {colour}" cx="{x:.1f}" cy="{y:.1f}" r="{2.5 if is_joined else 4}">'
                    f"<title>{escape(line.name)}: {escape(name_y(y_value))}</title></circle>"
                )
    parts.append("</svg>")
    if len(lines) > 1:
        keys = "".join(
            f'<span class="key"><i class="{colour}"></i>{escape(line.name)}</span>'
            for line, colour in zip(lines, COLOURS, strict=False)
        )
        parts.append(f'<div class="keys">{keys}</div>')
    parts.append("</figure>")
    return "".join(parts)


def _runs(points: Sequence[tuple[float, float | None]]) -> Iterator[list[tuple[float, float]]]:
    """The stretches of a line between the places where nothing was measured."""
    for is_measured, run in groupby(points, key=lambda point: point[1] is not None):
        if is_measured:
            yield [(x, y) for x, y in run if y is not None]


def _text(kind: str, place: str, words: str) -> str:
    return f'<text class="{kind}" {place}>{escape(words)}</text>'


def _short(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:.4g}"
