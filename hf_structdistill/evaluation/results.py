"""What a student's completions are worth: extraction, verdicts, syntax and data-flow match, intervals."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError
from ..problems.extraction import extract_code
from ..problems.problem import Problem
from ..sandbox import Verdict, verify
from ..scoring import codebleu, parses, pass_at_k, score_pairs
from .intervals import bootstrap_interval, wilson_interval

MODES = ("strict", "codexglue")


@dataclass(frozen=True)
class SampleRecord:
    """One completion of one problem, scored.

    Attributes:
        problem_id, sample: which problem, and the number of the completion among its samples.
        code: what was extracted; None unless `extraction` is `"ok"`.
        extraction: `"ok"`, `"no_code"`, `"unclosed_fence"`, `"unclosed_think"`.
        parses: whether the code parses; False without code.
        syntax, dataflow: strict scores against the reference; None without a reference, or where it has no data flow.
        tokens: length of the completion in the student's tokens, where known.
    """

    problem_id: str
    sample: int
    completion: str
    code: str | None
    extraction: str
    verdict: Verdict
    parses: bool
    syntax: float | None = None
    dataflow: float | None = None
    tokens: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """A row of samples.jsonl."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class EvaluationResult:
    """Scores of one student on one list of problems.

    Attributes:
        name: the student's, as it appears in reports.
        records: problem by problem in the order of the problems, samples together.
        scores: mode (`"strict"`, `"codexglue"`) -> the numbers of `scoring.syntax_match` and `dataflow_match` (micro,
            macro, floors, corrected, counts), and codebleu; empty when no problem has a reference.
        bits_per_byte: of the references under the student, where it was measured.
        seconds: of scoring.
    """

    name: str
    records: tuple[SampleRecord, ...]
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    bits_per_byte: float | None = None
    seconds: float = 0.0

    def by_problem(self) -> dict[str, list[SampleRecord]]:
        """Problem id -> its samples, in order."""
        grouped: dict[str, list[SampleRecord]] = {}
        for record in self.records:
            grouped.setdefault(record.problem_id, []).append(record)
        return grouped

    def pass_rates(self) -> dict[str, float]:
        """Problem id -> share of its judged samples that pass. Problems with only `unknown` verdicts are left out."""
        rates = {}
        for problem_id, samples in self.by_problem().items():
            judged = [record.verdict.passed for record in samples if record.verdict.status != "unknown"]
            if judged:
                rates[problem_id] = sum(judged) / len(judged)
        return rates

    def problem_scores(self, name: str) -> dict[str, float]:
        """Problem id -> mean of `syntax`, `dataflow` or `parses` over its samples, where it is defined."""
        means = {}
        for problem_id, samples in self.by_problem().items():
            values = [float(v) for v in (getattr(record, name) for record in samples) if v is not None]
            if values:
                means[problem_id] = sum(values) / len(values)
        return means

    @property
    def samples_per_problem(self) -> int:
        return max((len(samples) for samples in self.by_problem().values()), default=0)

    @property
    def pass_at_1(self) -> float | None:
        """Mean share of passing samples over the problems that were judged; None when none was."""
        return _mean(self.pass_rates().values())

    @property
    def pass_at_1_interval(self) -> tuple[float, float]:
        """95%: Wilson where every problem passes wholly or not at all, else bootstrap over problems."""
        rates = list(self.pass_rates().values())
        if all(rate in (0.0, 1.0) for rate in rates):
            return wilson_interval(round(sum(rates)), len(rates))
        return bootstrap_interval(rates)

    def pass_at(self, k: int) -> float | None:
        """Unbiased pass@k over the problems with at least `k` judged samples (Chen et al. 2021)."""
        values = []
        for samples in self.by_problem().values():
            judged = [record.verdict.passed for record in samples if record.verdict.status != "unknown"]
            if len(judged) >= k:
                values.append(pass_at_k(len(judged), sum(judged), k))
        return _mean(values)

    @property
    def parse_rate(self) -> float | None:
        """Share of completions whose code parses; a completion without code does not."""
        return _mean(float(record.parses) for record in self.records)

    def counts(self) -> dict[str, int]:
        """Numbers of problems, samples, verdicts by status, and completions without usable code."""
        statuses = Counter(record.verdict.status for record in self.records)
        return {
            "problems": len(self.by_problem()),
            "problems_judged": len(self.pass_rates()),
            "samples": len(self.records),
            **{status: statuses[status] for status in ("passed", "failed", "error", "timeout", "unknown")},
            "no_code": sum(record.code is None for record in self.records),
            "unclosed": sum(record.extraction.startswith("unclosed") for record in self.records),
            "unparsable": sum(record.code is not None and not record.parses for record in self.records),
        }

    def to_dict(self) -> dict[str, Any]:
        """The summary that goes into results.json; the records go into samples.jsonl."""
        ks = [k for k in (1, 5, 10, 100) if k <= self.samples_per_problem]
        tokens = [record.tokens for record in self.records if record.tokens is not None]
        return {
            "name": self.name,
            "pass@k": {str(k): self.pass_at(k) for k in ks},
            "pass@1_interval_95": list(self.pass_at_1_interval),
            "parse_rate": self.parse_rate,
            "counts": self.counts(),
            "scores": self.scores,
            "bits_per_byte": self.bits_per_byte,
            "completion_tokens": sum(tokens) if tokens else None,
            "scoring_seconds": round(self.seconds, 3),
        }


def score_completions(
    problems: Sequence[Problem],
    completions: Sequence[str | Sequence[str]],
    *,
    name: str,
    tokens: Sequence[int | Sequence[int]] | None = None,
    workers: int | None = None,
    language: str = "python",
    bits_per_byte: float | None = None,
    progress: Callable[[int], None] | None = None,
    **limits: Any,
) -> EvaluationResult:
    """Extract, run and score completions.

    Args:
        problems: N problems.
        completions: N entries, each a completion or a list of samples of the same problem.
        name: what the student is called in reports.
        tokens: lengths in tokens, in the shape of `completions`.
        workers, progress, limits: go to [`sandbox.verify`] (cpu_seconds, wall_seconds, memory_mb, backend).

    A completion without code is wrong (verdict `error`, reason "no code") and scores 0 where a reference exists; a
    verdict `unknown` is left out of pass@1 and counted.

    Raises:
        InputError: the numbers of problems and completions differ, or a problem id occurs twice.
    """
    start = time.perf_counter()
    _check_shapes(problems, completions)
    owners, texts, samples = [], [], []
    for problem, entry in zip(problems, completions, strict=True):
        for number, text in enumerate([entry] if isinstance(entry, str) else entry):
            owners.append(problem)
            texts.append(text)
            samples.append(number)
    extractions = [extract_code(text, problem.entry_point) for text, problem in zip(texts, owners, strict=True)]
    codes = [extraction.code for extraction in extractions]
    verdicts = verify(owners, codes, workers=workers, progress=progress, **limits)
    scores, per_sample = _structure_scores(owners, codes, language)
    lengths = list(_flatten(tokens)) if tokens is not None else [None] * len(texts)
    records = tuple(
        SampleRecord(
            problem_id=owners[i].id,
            sample=samples[i],
            completion=texts[i],
            code=codes[i],
            extraction=extractions[i].status,
            verdict=verdicts[i],
            parses=codes[i] is not None and parses(codes[i]),
            syntax=per_sample["syntax"][i],
            dataflow=per_sample["dataflow"][i],
            tokens=lengths[i],
        )
        for i in range(len(texts))
    )
    return EvaluationResult(name, records, scores, bits_per_byte, time.perf_counter() - start)


def _check_shapes(problems: Sequence[Problem], completions: Sequence[Any]) -> None:
    if len(problems) != len(completions):
        raise InputError(
            f"{len(problems)} problems but {len(completions)} completions; give one completion (or list) a problem."
        )
    repeated = [problem_id for problem_id, count in Counter(problem.id for problem in problems).items() if count > 1]
    if repeated:
        raise InputError(f"Problem id '{repeated[0]}' occurs twice; give several samples as a list instead.")


def _structure_scores(
    problems: Sequence[Problem], codes: Sequence[str | None], language: str
) -> tuple[dict[str, dict[str, Any]], dict[str, list[float | None]]]:
    """Return the scores of each mode, and the strict scores of each sample (None where undefined)."""
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
    scores["codexglue"]["codebleu"] = codebleu(predictions, references, language=language, mode="codexglue")[
        "codebleu"
    ]
    return scores, per_sample


def _named(metric: str, report: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The numbers of one metric under names of their own: `matched` becomes `syntax_matched`."""
    for key, value in report.items():
        if not isinstance(value, list):
            yield (key if key.startswith(metric) else f"{metric}_{key}"), value


def _flatten(nested: Sequence[Any]) -> Iterator[Any]:
    for entry in nested:
        yield from [entry] if isinstance(entry, int) else entry


def _mean(values: Any) -> float | None:
    values = list(values)
    return sum(values) / len(values) if values else None
