"""Two students on the same problems: paired differences, intervals, and whether they can be told apart."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .intervals import bootstrap_interval, mcnemar, paired_proportion_interval
from .results import EvaluationResult

METRICS = {
    "pass@1": "pass@1",
    "syntax": "syntax match",
    "dataflow": "data-flow match",
    "parses": "parse rate",
}


@dataclass(frozen=True)
class Comparison:
    """The paired difference `other - base` of one metric, over the problems where both have a value.

    Attributes:
        metric: `"pass@1"`, `"syntax"`, `"dataflow"` (strict, macro) or `"parses"`.
        difference, low, high: the mean difference and its 95 % interval.
        problems: how many pairs. better, worse: in how many of them `other` is higher, lower.
        method: how the interval was made.
        p_value: McNemar's exact test, for pass@1 with one sample a problem; else None.
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
    p_value: float | None = None

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves out zero (and McNemar's test, where made, says p < 0.05)."""
        apart = self.low > 0 or self.high < 0
        return apart and (self.p_value is None or self.p_value < 0.05)

    def to_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "distinguishable": self.distinguishable}


def compare_results(base: EvaluationResult, other: EvaluationResult) -> list[Comparison]:
    """Compare two students problem by problem; a metric that no problem has for both is left out.

    Raises:
        InputError: the two results share no problem.
    """
    if not {record.problem_id for record in base.records} & {record.problem_id for record in other.records}:
        raise InputError(
            f"'{base.name}' and '{other.name}' have no problem in common; evaluate both on the same benchmark."
        )
    found = []
    for metric in METRICS:
        before, after = _values(base, metric), _values(other, metric)
        shared = [problem_id for problem_id in before if problem_id in after]
        if shared:
            pairs = [(before[problem_id], after[problem_id]) for problem_id in shared]
            single = base.samples_per_problem == other.samples_per_problem == 1
            found.append(_compare(base.name, other.name, metric, pairs, binary=single and metric == "pass@1"))
    return found


def _values(result: EvaluationResult, metric: str) -> dict[str, float]:
    return result.pass_rates() if metric == "pass@1" else result.problem_scores(metric)


def _compare(base: str, other: str, metric: str, pairs: list[tuple[float, float]], *, binary: bool) -> Comparison:
    differences = [after - before for before, after in pairs]
    better, worse = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    if binary:
        low, high = paired_proportion_interval(better, worse, len(pairs))
        method = "Bonett-Price interval of paired proportions, McNemar's exact test"
    else:
        low, high = bootstrap_interval(differences)
        method = "paired bootstrap over problems, 10,000 resamples"
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
        p_value=mcnemar(better, worse) if binary else None,
    )
