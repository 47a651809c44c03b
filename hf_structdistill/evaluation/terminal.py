"""The score table of a report for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from . import summary
from .compare import Comparison, compare_all
from .results import EvaluationResult


def results_table(results: Sequence[EvaluationResult]) -> Iterator[Any]:
    """Yield what rich should print: the headline, the scores, the paired differences, and the counts."""
    from rich.text import Text

    comparisons = compare_all(results)
    names = [result.name for result in results]
    yield Text()
    yield Text(summary.headline(results, comparisons), style="bold")
    table = _table("score", names)
    for row in summary.score_rows(results):
        table.add_row(row.label, *map(_with_interval, row.cells))
    yield table
    for other in names[1:]:
        yield _differences([c for c in comparisons if c.other == other], f"{other} − {names[0]}")
    counts = _table("count", names)
    for label, values in summary.count_rows(results):
        counts.add_row(label, *(str(value) for value in values))
    yield counts


def _table(first: str, columns: Sequence[str]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(first)
    for column in columns:
        table.add_column(Text(column), justify="right", overflow="fold")
    return table


def _differences(comparisons: Sequence[Comparison], title: str) -> Any:
    """One row a score."""
    table = _table(title, ["points", "95% interval", "p", "better", "worse"])
    for c in comparisons:
        interval = f"{summary.points(c.low)} to {summary.points(c.high)}"
        row = (summary.points(c.difference), interval, f"{c.p_adjusted:.3g}", str(c.better), str(c.worse))
        table.add_row(c.label, *row)
    return table


def _with_interval(cell: summary.Cell) -> str:
    if cell.interval is None:
        return cell.text
    low, high = cell.interval
    return f"{cell.text} ({100 * low:.1f}–{100 * high:.1f})"
