"""Syntax and data-flow match of extracted code, in both modes, and of each sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..problems.problem import Problem
from ..scoring import codebleu, parses, score_pairs
from ..scoring.numbers import corrected_for_chance

MODES = ("strict", "codexglue")


def structure_scores(
    problems: Sequence[Problem], codes: Sequence[str | None], language: str
) -> tuple[dict[str, dict[str, Any]], dict[str, list[float | None]]]:
    """The scores of each mode, and the strict scores of each sample (None where undefined).

    No code scores as an empty program; a problem without a reference is left out.
    """
    scored = [i for i, problem in enumerate(problems) if problem.reference]
    per_sample: dict[str, list[float | None]] = {"syntax": [None] * len(codes), "dataflow": [None] * len(codes)}
    if not scored:
        return {}, per_sample
    predictions = [codes[i] or "" for i in scored]
    references = [problems[i].reference or "" for i in scored]
    scores: dict[str, dict[str, Any]] = {}
    for mode in MODES:
        found = score_pairs(predictions, references, language=language, mode=mode, per_sample=mode == "strict")
        if mode == "strict":
            for metric, report in found.items():
                for i, value in zip(scored, report[f"{metric}_match_per_sample"], strict=True):
                    per_sample[metric][i] = value
        scores[mode] = {name: value for metric, report in found.items() for name, value in _named(metric, report)}
    whole = codebleu(predictions, references, language=language, mode="codexglue")
    scores["codexglue"]["codebleu"] = whole["codebleu"]
    return scores, per_sample


def parse_flags(codes: Sequence[str | None], language: str) -> list[bool]:
    """Whether each program parses; none does not."""
    return [code is not None and parses(code, language=language) for code in codes]


def _named(metric: str, report: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The numbers of one metric under names of their own: `matched` becomes `syntax_matched`."""
    for key, value in report.items():
        if not isinstance(value, list):
            yield (key if key.startswith(metric) else f"{metric}_{key}"), value
    macro, floor = report[f"{metric}_match_macro"], report[f"{metric}_match_macro_floor"]
    yield f"{metric}_match_macro_corrected", corrected_for_chance(macro, floor)
