"""Scores split by where the problems come from, for an evaluation over several benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..problems.problem import Problem
from .results import EvaluationResult, SampleRecord


@dataclass(frozen=True)
class SourceRow:
    """One student on one source: counts, and macro averages over the samples where the score is defined.

    `passed` of `judged` samples; a verdict of `unknown` is in `samples` but not in `judged`.
    """

    source: str
    student: str
    samples: int
    judged: int
    passed: int
    parsed: int
    syntax: float | None
    dataflow: float | None

    def cells(self) -> list[str]:
        """The row as text: source, student, passed, syntax match, data-flow match, parsed."""
        return [
            self.source,
            self.student,
            f"{self.passed}/{self.judged} = {self.passed / self.judged:.1%}" if self.judged else "none judged",
            _number(self.syntax),
            _number(self.dataflow),
            f"{self.parsed}/{self.samples}",
        ]


HEADER = ("problems", "student", "pass@1", "syntax match", "data-flow match", "parsed")


def source_rows(results: Sequence[EvaluationResult], problems: Sequence[Problem]) -> list[SourceRow]:
    """One row a source and student, sources in the order of the problems."""
    source_of = {problem.id: problem.source for problem in problems}
    rows = []
    for source in dict.fromkeys(source_of.values()):
        for result in results:
            rows.append(_row(source, result.name, [r for r in result.records if source_of[r.problem_id] == source]))
    return rows


def _row(source: str, student: str, records: Sequence[SampleRecord]) -> SourceRow:
    judged = [record for record in records if record.verdict.status != "unknown"]
    return SourceRow(
        source=source,
        student=student,
        samples=len(records),
        judged=len(judged),
        passed=sum(record.verdict.passed for record in judged),
        parsed=sum(record.parses for record in records),
        syntax=_mean([record.syntax for record in records if record.syntax is not None]),
        dataflow=_mean([record.dataflow for record in records if record.dataflow is not None]),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
