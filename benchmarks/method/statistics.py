"""Means over seeds and paired 95% intervals against a baseline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

MEASURES = {
    "pass@1": "pass@1",
    "depth_pass@1": "pass@1, deeper",
    "strict_syntax_match_corrected": "syntax, strict",
    "strict_dataflow_match_corrected": "data flow, strict",
    "codexglue_syntax_match_corrected": "syntax, codexglue",
    "codexglue_dataflow_match_corrected": "data flow, codexglue",
    "parse_rate": "parsed",
    "bits_per_byte": "bits per byte",
    "wrong_variable_share": "wrong variable",
}
MAIN_MEASURES = ("pass@1", "strict_syntax_match_corrected", "strict_dataflow_match_corrected", "bits_per_byte")


@dataclass(frozen=True)
class Estimate:
    """Mean over seeds; with a baseline, the mean of the paired differences and its 95% t interval."""

    mean: float
    seeds: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def clear(self) -> bool:
        """Whether the interval of the difference excludes zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def by_arm(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[int, Mapping[str, Any]]]:
    """Arm -> seed -> scores."""
    found: dict[str, dict[int, Mapping[str, Any]]] = defaultdict(dict)
    for row in rows:
        found[row["arm"]["name"]][row["seed"]] = {**row["scores"], "train_seconds": row["train_seconds"]}
    return dict(found)


def estimate(
    arm: Mapping[int, Mapping[str, Any]], baseline: Mapping[int, Mapping[str, Any]] | None, measure: str
) -> Estimate:
    """One arm's mean of `measure`, and its difference from the baseline over the seeds that both have."""
    values = {seed: scores[measure] for seed, scores in arm.items() if scores.get(measure) is not None}
    mean = float(np.mean(list(values.values()))) if values else float("nan")
    if baseline is None or baseline is arm:
        return Estimate(mean, len(values))
    pairs = [
        (value, baseline[seed][measure])
        for seed, value in values.items()
        if seed in baseline and baseline[seed].get(measure) is not None
    ]
    differences = np.array([ours - theirs for ours, theirs in pairs])
    if len(differences) < 2:
        return Estimate(mean, len(values))
    low, high = t_interval(differences)
    return Estimate(mean, len(values), float(differences.mean()), low, high)


def t_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """95% interval of a mean (Student's t); the mean itself where nothing varies."""
    values = np.asarray(values, dtype=float)
    spread = stats.sem(values)
    if spread == 0:
        return float(values.mean()), float(values.mean())
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=spread)
    return float(low), float(high)
