"""The plots of a report: what became of the completions, how the matches are spread, pass@k, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .charts import line_chart
from .results import EvaluationResult

Curves = Mapping[str, Any]
STATUSES = ("passed", "failed", "error", "timeout", "unknown")


def result_plots(results: Sequence[EvaluationResult]) -> dict[str, Any]:
    """The verdicts of each student as shares, and line charts of the spread of the matches and of pass@k."""
    charts = []
    for metric, label in (("dataflow", "Data-flow match"), ("syntax", "Syntax match")):
        spread = [_share_at_least(list(result.problem_scores(metric).values())) for result in results]
        if any(spread):
            drawn = line_chart(spread, f"{label}: share of problems that reach a score", y_range=(0.0, 1.0))
            charts.append({"name": label, "svg": drawn, "axes": "share of problems that reach at least this score"})
    if any(result.samples_per_problem > 1 for result in results):
        drawn = line_chart([_by_k(result) for result in results], "pass@k by k")
        charts.append({"name": "pass@k", "svg": drawn, "axes": "horizontal: k, the number of samples"})
    return {"verdicts": [(result.name, _verdict_shares(result)) for result in results], "charts": charts}


def _verdict_shares(result: EvaluationResult) -> list[tuple[str, int, float]]:
    """(status, count, share) of the statuses that occur."""
    counts = result.counts()
    return [(status, counts[status], counts[status] / counts["samples"]) for status in STATUSES if counts[status]]


def _share_at_least(values: Sequence[float]) -> list[tuple[float, float]]:
    """Steps of the share of problems whose score is at least x, from x = 0 to 1."""
    points: list[tuple[float, float]] = []
    for x in sorted({0.0, *values, 1.0}) if values else ():
        share = sum(value >= x for value in values) / len(values)
        points += [(points[-1][0], share)] if points else []  # a step: down first, then across
        points.append((x, share))
    return points


def _by_k(result: EvaluationResult) -> list[tuple[float, float]]:
    values = [(float(k), result.pass_at(k)) for k in range(1, result.samples_per_problem + 1)]
    return [(k, value) for k, value in values if value is not None]


def curve_charts(curves: Curves, names: Sequence[str]) -> list[dict[str, Any]]:
    """One chart a component of the loss; a run keeps its colour over all charts."""
    components = _by_component(curves, names)
    runs = list(dict.fromkeys(run for lines in components.values() for run in lines))
    charts = []
    for component, lines in components.items():
        ends = [(runs.index(run), run, points[-1][1]) for run, points in lines.items() if points]
        drawn = line_chart([lines.get(run, ()) for run in runs], f"{component} by training step")
        spans = {run: (points[0], points[-1]) for run, points in lines.items() if points}
        charts.append({"name": component, "svg": drawn, "ends": ends, "spans": spans, "runs": runs})
    return charts


def _by_component(curves: Curves, names: Sequence[str]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Turn every accepted form of curves into component -> run -> points."""
    nested: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for key, value in curves.items():
        if isinstance(value, Mapping):
            for component, points in value.items():
                nested.setdefault(str(component), {})[str(key)] = [(float(x), float(y)) for x, y in points]
            continue
        run, _, component = str(key).partition("/")
        if not component or (names and run not in names):
            run, component = (names[-1] if names else "run"), str(key)
        nested.setdefault(component, {})[run] = [(float(x), float(y)) for x, y in value]
    return nested
