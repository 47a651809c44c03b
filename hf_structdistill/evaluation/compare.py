"""Two students on the same problems: paired differences, intervals, and whether they can be told apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .intervals import bootstrap_interval, holm, mcnemar, paired_proportion_interval, sign_flip_test
from .results import EvaluationResult

METRICS = {
    "pass@1": "pass@1",
    "dataflow": "data-flow match",
    "syntax": "syntax match",
    "parses": "parse rate",
}


@dataclass(frozen=True)
class Comparison:
    """The paired difference `other - base` of one metric, over the problems where both have a value.

    Attributes:
        metric: `"pass@1"` and further k, `"syntax"`, `"dataflow"` (strict, macro) or `"parses"`.
        difference, low, high: the mean difference and its 95 % interval.
        problems: how many pairs. better, worse: in how many of them `other` is higher, lower.
        method: how the interval was made, and which test was done.
        p_value: two-sided; McNemar's exact test for pass@1 and parse rate with one sample a problem, else sign flips.
        p_adjusted: Holm's, over all students that are compared with `base` on this metric; `p_value` if it is one.
    """

    base: str
    other: str
    metric: str
    base_mean: float
    other_mean: float
    difference: float
    low: float
    high: float
    problems: int
    better: int
    worse: int
    method: str
    p_value: float
    p_adjusted: float

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves out zero and the test, adjusted for the number of students, says p < 0.05."""
        return (self.low > 0 or self.high < 0) and self.p_adjusted < 0.05

    @property
    def label(self) -> str:
        """The metric's name in reports."""
        return METRICS.get(self.metric, self.metric)

    def to_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "distinguishable": self.distinguishable}


def compare_all(results: Sequence[EvaluationResult]) -> list[Comparison]:
    """Every other student against the first one. With several of them, p-values are adjusted (Holm 1979)."""
    found = [comparison for other in results[1:] for comparison in compare_results(results[0], other)]
    for metric in dict.fromkeys(comparison.metric for comparison in found):
        places = [i for i, comparison in enumerate(found) if comparison.metric == metric]
        adjusted = holm([found[i].p_value for i in places])
        for i, p_value in zip(places, adjusted, strict=True):
            found[i] = dataclasses.replace(found[i], p_adjusted=p_value)
    return found


def compare_results(base: EvaluationResult, other: EvaluationResult) -> list[Comparison]:
    """Compare two students problem by problem; a metric that no problem has for both is left out.

    Raises:
        InputError: the two results share no problem.
    """
    if not {record.problem_id for record in base.records} & {record.problem_id for record in other.records}:
        raise InputError(
            f"'{base.name}' and '{other.name}' have no problem in common; evaluate both on the same benchmark."
        )
    further = [f"pass@{k}" for k in base.ks if k > 1 and k in other.ks]
    found = []
    for metric in ["pass@1", *further, *(name for name in METRICS if name != "pass@1")]:
        before, after = _values(base, metric), _values(other, metric)
        shared = [problem_id for problem_id in before if problem_id in after]
        if shared:
            pairs = [(before[problem_id], after[problem_id]) for problem_id in shared]
            single = base.samples_per_problem == other.samples_per_problem == 1
            found.append(
                _compare(base.name, other.name, metric, pairs, binary=single and metric in ("pass@1", "parses"))
            )
    return found


def _values(result: EvaluationResult, metric: str) -> dict[str, float]:
    if metric == "pass@1":
        return result.pass_rates()
    return result.pass_rates_at(int(metric[5:])) if metric.startswith("pass@") else result.problem_scores(metric)


def _compare(base: str, other: str, metric: str, pairs: list[tuple[float, float]], *, binary: bool) -> Comparison:
    differences = [after - before for before, after in pairs]
    better, worse = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    if binary:
        low, high = paired_proportion_interval(better, worse, len(pairs))
        p_value = mcnemar(better, worse)
        method = "Bonett-Price interval of paired proportions, McNemar's exact test"
    else:
        low, high = bootstrap_interval(differences)
        p_value = sign_flip_test(differences)
        method = "paired bootstrap over problems, 10,000 resamples, sign-flip test"
    return Comparison(
        base=base,
        other=other,
        metric=metric,
        base_mean=sum(before for before, _ in pairs) / len(pairs),
        other_mean=sum(after for _, after in pairs) / len(pairs),
        difference=sum(differences) / len(pairs),
        low=low,
        high=high,
        problems=len(pairs),
        better=better,
        worse=worse,
        method=method,
        p_value=p_value,
        p_adjusted=p_value,
    )
