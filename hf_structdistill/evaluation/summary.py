"""The words and rows of a report, shared by its HTML, its Markdown and the terminal. Plain text, not escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .compare import METRICS, Comparison
from .intervals import bootstrap_interval, wilson_interval
from .results import EvaluationResult


@dataclass(frozen=True)
class Cell:
    """A value as text, with its 95% interval as text and as numbers (shares) where it has one."""

    text: str
    note: str = ""
    value: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Row:
    """One line of the score table: a cell a student, then the difference to the first student for each other one."""

    label: str
    explanation: str
    cells: tuple[Cell, ...]
    differences: tuple[Comparison | None, ...] = ()


def headline(results: Sequence[EvaluationResult], comparisons: Sequence[Comparison]) -> str:
    """One sentence with the honest result on pass@1."""
    first = results[0]
    if len(results) == 1:
        if first.pass_at_1 is None:
            return f"{first.name}: no problem could be judged, so there is no pass@1."
        low, high = first.pass_at_1_interval
        return (
            f"{first.name} solves {_solved(first)} of {len(first.pass_rates())} problems: "
            f"pass@1 {percent(first.pass_at_1)} (95% interval {percent(low)} to {percent(high)})."
        )
    passes = [comparison for comparison in comparisons if comparison.metric == "pass@1"]
    if not passes:
        return "No problem could be judged for both students, so their pass@1 cannot be compared."
    return " ".join(_pass_sentence(comparison) for comparison in passes)


def second_line(comparisons: Sequence[Comparison]) -> str:
    """One sentence for each other student on the shape of its code."""
    sentences = []
    for other in dict.fromkeys(comparison.other for comparison in comparisons):
        shapes = [c for c in comparisons if c.other == other and c.metric in ("syntax", "dataflow", "parses")]
        clauses = [f"{METRICS[c.metric]} {_direction(c)}" for c in shapes]
        if clauses:
            sentences.append(f"{other} against {shapes[0].base}: " + "; ".join(clauses) + ".")
    return " ".join(sentences)


def _pass_sentence(c: Comparison) -> str:
    spans = f"95% interval {points(c.low)} to {points(c.high)} points, {c.problems} problems"
    if not c.distinguishable:
        return (
            f"{c.other} and {c.base} cannot be told apart on pass@1: {percent(c.other_mean)} against "
            f"{percent(c.base_mean)}, a difference of {points(c.difference)} points ({spans})."
        )
    verb = "more" if c.difference > 0 else "fewer"
    return (
        f"{c.other} solves {verb} problems than {c.base}: pass@1 {percent(c.other_mean)} against "
        f"{percent(c.base_mean)}, {points(c.difference)} points ({spans})."
    )


def _direction(c: Comparison) -> str:
    if not c.better and not c.worse:
        return "the same on every problem"
    word = ("higher" if c.difference > 0 else "lower") if c.distinguishable else "not distinguishable"
    return f"{word} ({difference_text(c)})"


def score_rows(results: Sequence[EvaluationResult], comparisons: Sequence[Comparison]) -> list[Row]:
    """The rows of the main table. Shares are in percent, differences in percentage points."""
    others = [result.name for result in results[1:]]

    def differences(metric: str) -> tuple[Comparison | None, ...]:
        found = {c.other: c for c in comparisons if c.metric == metric}
        return tuple(found.get(other) for other in others)

    rows = [Row("pass@1", "problems solved, judged by running the tests", _each(results, _pass_cell))]
    for k in (5, 10, 100):
        if any(result.pass_at(k) is not None for result in results):
            rows.append(
                Row(f"pass@{k}", f"at least one of {k} samples", _each(results, lambda r, k=k: _share(r.pass_at(k))))
            )
    rows[0] = Row(rows[0].label, rows[0].explanation, rows[0].cells, differences("pass@1"))
    for metric, label, key in (
        ("dataflow", "Data-flow match", "dataflow_match"),
        ("syntax", "Syntax match", "syntax_match"),
    ):
        if any(result.problem_scores(metric) for result in results):
            cells = _each(results, lambda r, m=metric, k=key: _match_cell(r, m, k))
            rows.append(Row(label, "strict, macro average against the reference", cells, differences(metric)))
    rows.append(Row("Parse rate", "completions whose code parses", _each(results, _parse_cell), differences("parses")))
    if any(result.bits_per_byte is not None for result in results):
        cells = _each(results, lambda r: Cell("–" if r.bits_per_byte is None else f"{r.bits_per_byte:.3f}"))
        rows.append(Row("Bits per byte", "of the reference code, lower is better", cells))
    return rows


def count_rows(results: Sequence[EvaluationResult]) -> list[tuple[str, list[int]]]:
    """What became of the completions."""
    labels = {
        "problems": "problems",
        "samples": "completions",
        "passed": "passed",
        "failed": "failed a test",
        "error": "raised or had no code",
        "timeout": "timed out",
        "unknown": "could not be judged (left out)",
        "no_code": "without usable code",
        "unclosed": "of these, cut off inside the block",
        "unparsable": "with code that does not parse",
    }
    counts = [result.counts() for result in results]
    return [(label, [count[key] for count in counts]) for key, label in labels.items()]


def detail_rows(results: Sequence[EvaluationResult]) -> list[tuple[str, list[str]]]:
    """Every number of every scoring mode, for the table that is folded away."""
    keys = dict.fromkeys((mode, key) for r in results for mode, scores in r.scores.items() for key in scores)
    rows = []
    for mode, key in keys:
        values = [result.scores.get(mode, {}).get(key) for result in results]
        if not any(isinstance(value, list | dict) for value in values):
            rows.append((f"{mode} · {key}", [_plain(value) for value in values]))
    return rows


def _each(results: Sequence[EvaluationResult], make: Any) -> tuple[Cell, ...]:
    return tuple(make(result) for result in results)


def _pass_cell(result: EvaluationResult) -> Cell:
    if result.pass_at_1 is None:
        return Cell("–", "none judged")
    low, high = result.pass_at_1_interval
    return Cell(
        percent(result.pass_at_1),
        f"{percent(low)} to {percent(high)}; {_solved(result)} of {len(result.pass_rates())}",
        result.pass_at_1,
        (low, high),
    )


def _match_cell(result: EvaluationResult, metric: str, key: str) -> Cell:
    values = list(result.problem_scores(metric).values())
    if not values:
        return Cell("–", "undefined")
    mean, interval = sum(values) / len(values), bootstrap_interval(values)
    floor = result.scores.get("strict", {}).get(f"{key}_macro_floor")
    note = f"{percent(interval[0])} to {percent(interval[1])}; {len(values)} with a value"
    if floor is not None and floor < 1:
        note += f"; floor {percent(floor)}, corrected {percent((mean - floor) / (1 - floor))}"
    return Cell(percent(mean), note, mean, interval)


def _parse_cell(result: EvaluationResult) -> Cell:
    if result.parse_rate is None:
        return Cell("–")
    parsed, total = sum(record.parses for record in result.records), len(result.records)
    interval = wilson_interval(parsed, total)
    note = f"{percent(interval[0])} to {percent(interval[1])}; {parsed} of {total}"
    return Cell(percent(result.parse_rate), note, result.parse_rate, interval)


def _share(value: float | None) -> Cell:
    return Cell("–" if value is None else percent(value), value=value)


def _solved(result: EvaluationResult) -> str:
    return f"{sum(result.pass_rates().values()):.4g}"


def difference_text(c: Comparison) -> str:
    """`+4.0 points, +1.2 to +6.9`."""
    return f"{points(c.difference)} points, {points(c.low)} to {points(c.high)}"


def percent(share: float) -> str:
    """A share as percent with one decimal."""
    return f"{100 * share:.1f}%"


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign (a true minus)."""
    text = f"{100 * share:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\u2212")


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
