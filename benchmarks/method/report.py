"""Tables and plots of a study."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .statistics import MAIN_MEASURES, MEASURES, Estimate, by_arm, estimate


def tables(rows: Iterable[Mapping[str, Any]], arms: Sequence[str], baseline: str, times: bool = False) -> str:
    """Markdown, two tables: what students are for (and the training times), and what else was measured."""
    rows = list(rows)
    rest = [measure for measure in MEASURES if measure not in MAIN_MEASURES]
    return "\n\n".join(
        (_table(rows, arms, baseline, MAIN_MEASURES, times), _table(rows, arms, baseline, rest, times=False))
    )


def _table(
    rows: Sequence[Mapping[str, Any]], arms: Sequence[str], baseline: str, measures: Sequence[str], times: bool
) -> str:
    """An arm a line; the mean, and in brackets the paired difference with its interval; bold where clear.

    A measure that none of these runs has is left out.
    """
    scores = by_arm(rows)
    shown = {arm: [estimate(scores[arm], scores.get(baseline), m) for m in measures] for arm in arms if arm in scores}
    kept = [n for n in range(len(measures)) if any(found[n].mean == found[n].mean for found in shown.values())]
    heads = ["arm", "seeds", *(MEASURES[measures[n]] for n in kept), *["training time"] * times]
    lines = [
        [arm, str(len(scores[arm])), *(_cell(found[n]) for n in kept), *[_slowdown(scores, arm, baseline)] * times]
        for arm, found in shown.items()
    ]
    return markdown(heads, lines)


def markdown(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    marks = "|---" * len(heads) + "|"
    first, *rest = ["| " + " | ".join(cells) + " |" for cells in (heads, *lines)]
    return "\n".join([first, marks, *rest])


def _cell(found: Estimate) -> str:
    if found.mean != found.mean:
        return "none"
    text = f"{found.mean:.3f}"
    if found.difference is not None:
        text += f" ({found.difference:+.3f}, {found.low:+.3f} to {found.high:+.3f})"
    return f"**{text}**" if found.clear else text


def _slowdown(scores: Mapping[str, Mapping[int, Mapping[str, Any]]], arm: str, baseline: str) -> str:
    shared = sorted(set(scores[arm]) & set(scores.get(baseline, {})))
    ratios = [scores[arm][seed]["train_seconds"] / scores[baseline][seed]["train_seconds"] for seed in shared]
    return f"{statistics.median(ratios):.2f}x" if ratios else ""


def plot(rows: Iterable[Mapping[str, Any]], arms: Sequence[str], baseline: str, file: Path) -> None:
    """Paired differences from the baseline with their intervals: an arm a line, a measure a panel."""
    from matplotlib.figure import Figure

    scores = by_arm(rows)
    shown = [arm for arm in arms if arm in scores and arm != baseline]
    figure = Figure(figsize=(3 * len(MAIN_MEASURES), 1 + 0.4 * len(shown)), layout="constrained")
    axes = figure.subplots(1, len(MAIN_MEASURES), sharey=True)
    for axis, measure in zip(axes, MAIN_MEASURES, strict=True):
        axis.axvline(0, color="0.6", linewidth=1)
        for place, arm in enumerate(shown):
            found = estimate(scores[arm], scores.get(baseline), measure)
            if found.difference is not None and found.low is not None and found.high is not None:
                reach = [[found.difference - found.low], [found.high - found.difference]]
                axis.errorbar(found.difference, place, xerr=reach, fmt="o", color="C0" if found.clear else "0.5")
        axis.margins(y=0.2)
        axis.set_title(MEASURES[measure], fontsize=10)
        axis.set_yticks(range(len(shown)), shown)
    axes[0].invert_yaxis()
    figure.supxlabel(f"difference from {baseline}, paired by seed, 95% interval", fontsize=9)
    figure.savefig(file, dpi=150)
