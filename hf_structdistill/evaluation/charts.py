"""Small line charts as inline SVG: no script, no image, and they follow the page's light or dark colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from markupsafe import Markup

WIDTH, HEIGHT = 320, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 26
MAX_POINTS = 240  # about one a pixel: more cannot be seen

Series = Sequence[tuple[float, float]]


def line_chart(series: Sequence[Series], label: str, *, y_range: tuple[float, float] | None = None) -> Markup:
    """Draw one line a series; the colours are the CSS classes `s0`, `s1`, … in the order given.

    Args:
        series: (x, y) points of each run; points that are not finite are left out.
        label: what the chart shows, for screen readers.
        y_range: least and largest value of the vertical axis; by default, those of the points.
    """
    series = [thin([(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]) for points in series]
    points = [point for line in series for point in line]
    if not points:
        return Markup("<p class='empty'>no values were logged</p>")
    x_ticks = ticks(min(x for x, _ in points), max(x for x, _ in points), 4)
    y_low, y_high = y_range or (min(y for _, y in points), max(y for _, y in points))
    y_ticks = ticks(y_low, y_high, 4)
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = y_ticks[0], y_ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / ((x_high - x_low) or 1)
        up = (y - y_low) / ((y_high - y_low) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">']
    for value in y_ticks:
        _, y = place(x_low, value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{number(value)}</text>')
    for value in (tick for tick in x_ticks if x_low <= tick <= x_high):
        x, _ = place(value, y_low)
        anchor = "end" if x > WIDTH - RIGHT - 12 else "middle"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 9}" text-anchor="{anchor}">{number(value)}</text>')
    for index, line in enumerate(series):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        if len(line) == 1:
            x, y = place(*line[0])
            parts.append(f'<circle class="dot s{index}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        elif line:
            parts.append(f'<polyline class="line s{index}" points="{path}"/>')
    parts.append("</svg>")
    return Markup("".join(parts))


def thin(points: Series) -> list[tuple[float, float]]:
    """At most `MAX_POINTS` points, the last one kept."""
    step = max(1, math.ceil(len(points) / MAX_POINTS))
    kept = list(points[::step])
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def ticks(low: float, high: float, count: int) -> list[float]:
    """Round values from at or below `low` to at or above `high`, about `count` of them."""
    if low == high:
        low, high = low - (abs(low) or 1) * 0.5, high + (abs(high) or 1) * 0.5
    raw = (high - low) / count
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def number(value: float) -> str:
    """A tick label: short, without a tail of zeros."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000 or abs(value) < 0.001:
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
    return f"{value:.4g}"
