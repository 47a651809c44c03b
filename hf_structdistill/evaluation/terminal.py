"""The score table of a report for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from . import summary
from .compare import Comparison, compare_all
from .results import EvaluationResult


def results_table(results: Sequence[EvaluationResult]) -> Iterator[Any]:
    """Yield what rich should print: the headline, the table of scores, and the counts."""
    from rich.table import Table
    from rich.text import Text

    comparisons = compare_all(results)
    names = [result.name for result in results]
    yield Text()
    yield Text(summary.headline(results, comparisons), style="bold")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("score")
    for name in [*names, *(f"{name} − {names[0]}" for name in names[1:])]:
        table.add_column(Text(name), justify="right", overflow="fold")
    for row in summary.score_rows(results):
        found = {c.other: _difference(c) for c in comparisons if c.label.lower() == row.label.lower()}
        table.add_row(row.label, *map(_with_interval, row.cells), *(found.get(name, "") for name in names[1:]))
    yield table
    counts = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    counts.add_column("count")
    for name in names:
        counts.add_column(Text(name), justify="right", overflow="fold")
    for label, values in summary.count_rows(results):
        counts.add_row(label, *(str(value) for value in values))
    yield counts


def _with_interval(cell: summary.Cell) -> str:
    if cell.interval is None:
        return cell.text
    low, high = cell.interval
    return f"{cell.text} ({100 * low:.1f}–{100 * high:.1f})"


def _difference(c: Comparison) -> str:
    return f"{summary.points(c.difference)} ({summary.points(c.low)} to {summary.points(c.high)})"
