"""The words and rows of a report, shared by its HTML, its Markdown and the terminal. Plain text, not escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .compare import METRICS, Comparison
from .intervals import bootstrap_interval
from .results import EvaluationResult
from .structure_scores import MODES


@dataclass(frozen=True)
class Cell:
    """A value as text, with its 95% interval as text and as numbers (shares) where it has one."""

    text: str
    note: str = ""
    value: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Row:
    """One line of a table: a cell a student."""

    label: str
    explanation: str
    cells: tuple[Cell, ...]


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


def score_rows(results: Sequence[EvaluationResult]) -> list[Row]:
    """The rows of the main table. Shares are in percent."""
    rows = [Row("pass@1", "problems solved, judged by running the tests", _each(results, _pass_cell))]
    for k in sorted({k for result in results for k in result.ks if k > 1}):
        rows.append(
            Row(f"pass@{k}", f"at least one of {k} samples", _each(results, lambda r, k=k: _pass_k_cell(r, k)))
        )
    for metric, label, key in (
        ("dataflow", "Data-flow match", "dataflow_match"),
        ("syntax", "Syntax match", "syntax_match"),
    ):
        if any(result.problem_scores(metric) for result in results):
            cells = _each(results, lambda r, m=metric, k=key: _match_cell(r, m, k))
            rows.append(Row(label, "strict, macro average against the reference", cells))
    rows.append(Row("Parse rate", "completions whose code parses", _each(results, _parse_cell)))
    if any(result.bits_per_byte is not None for result in results):
        cells = _each(results, lambda r: Cell("–" if r.bits_per_byte is None else f"{r.bits_per_byte:.3f}"))
        rows.append(Row("Bits per byte", "of the reference code, lower is better", cells))
    return rows


def match_rows(results: Sequence[EvaluationResult]) -> list[Row]:
    """Syntax and data-flow match in both modes and both averages: value, floor and corrected for chance."""
    rows = []
    for metric, label in (("dataflow_match", "Data-flow match"), ("syntax_match", "Syntax match")):
        for mode in MODES:
            for average, suffix in (("macro", "_macro"), ("micro", "")):
                if any(result.scores for result in results):
                    key = f"{metric}{suffix}"
                    cells = _each(results, lambda r, m=mode, k=key: _floor_cell(r.scores.get(m, {}), k))
                    rows.append(Row(label, f"{mode}, {average}", cells))
    return rows


def cost_rows(results: Sequence[EvaluationResult]) -> list[tuple[str, list[str]]]:
    """Tokens and seconds, where they are known."""
    columns = [_cost(result) for result in results]
    labels = dict.fromkeys(label for column in columns for label in column)
    return [(label, [column.get(label, "–") for column in columns]) for label in labels]


def _cost(result: EvaluationResult) -> dict[str, str]:
    tokens, seconds, count = result.total("tokens"), result.total("seconds"), max(1, len(result.records))
    found = {}
    if tokens is not None:
        found |= {"completion tokens": f"{tokens:,.0f}", "tokens a completion": f"{tokens / count:.1f}"}
    if seconds is not None:
        found["seconds to generate"] = f"{seconds:,.1f}"
    if tokens is not None and seconds:
        found["tokens a second"] = f"{tokens / seconds:,.0f}"
    return {**found, "seconds to score": f"{result.seconds:,.1f}"}


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
        "cut_off": "ended by the limit of tokens",
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


def _pass_k_cell(result: EvaluationResult, k: int) -> Cell:
    value = result.pass_at(k) if k in result.ks else None
    if value is None:
        return Cell("–")
    low, high = result.pass_at_interval(k)
    note = f"{percent(low)} to {percent(high)}; {len(result.pass_rates_at(k))} problems"
    return Cell(percent(value), note, value, (low, high))


def _floor_cell(scores: Mapping[str, Any], key: str) -> Cell:
    value, floor, corrected = scores.get(key), scores.get(f"{key}_floor"), scores.get(f"{key}_corrected")
    if value is None:
        return Cell("–", "undefined")
    note = f"floor {percent(floor)}" if floor is not None else ""
    return Cell(percent(value), f"{note}, corrected {percent(corrected)}" if corrected is not None else note)


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
    interval = result.parse_rate_interval
    note = f"{percent(interval[0])} to {percent(interval[1])}; {parsed} of {total}"
    return Cell(percent(result.parse_rate), note, result.parse_rate, interval)


def _solved(result: EvaluationResult) -> str:
    return f"{sum(result.pass_rates().values()):.4g}"


def test_text(c: Comparison) -> str:
    """`McNemar p = 0.03`, and what Holm makes of it where several students are compared."""
    text = f"{'McNemar' if 'McNemar' in c.method else 'sign-flip'} p = {c.p_value:.3g}"
    return text if c.p_adjusted == c.p_value else f"{text}, {c.p_adjusted:.3g} after Holm"


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
