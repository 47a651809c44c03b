"""What a student's completions are worth: extraction, verdicts, syntax and data-flow match, intervals."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InputError
from ..problems.problem import Problem
from ..sandbox import Verdict, verify
from ..sandbox.backends import choose_backend
from ..sandbox.limits import Limits
from ..scoring import pass_at_k
from .completion import Sample, read_code
from .intervals import bootstrap_interval, wilson_interval
from .structure_scores import parse_flags, structure_scores

KS = (1, 5, 10, 100)


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
        reads: how its code was found, see [`read_code`].
        finish_reason: `"length"` where it was cut off at the limit of tokens, `"stop"`; None where it is not known.
        seconds: its share of the time that generating took, where known.
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
    reads: str = "answer"
    finish_reason: str | None = None
    seconds: float | None = None

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
        limits: what a candidate program could use: CPU and wall seconds, memory, and the sandbox's backend.
        facts: what else is known of the student (model, revision, fingerprint), for results.json.
    """

    name: str
    records: tuple[SampleRecord, ...]
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    bits_per_byte: float | None = None
    seconds: float = 0.0
    limits: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

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
        return _share_interval(list(self.pass_rates().values()))

    @property
    def ks(self) -> list[int]:
        """The k of pass@k that the number of samples allows; with a few samples, their number itself."""
        most = self.samples_per_problem
        found = [k for k in KS if k <= most]
        return [*found, most] if 1 < most < KS[1] else found

    def pass_rates_at(self, k: int) -> dict[str, float]:
        """Problem id -> unbiased pass@k (Chen et al. 2021), of the problems with at least `k` judged samples."""
        rates = {}
        for problem_id, samples in self.by_problem().items():
            judged = [record.verdict.passed for record in samples if record.verdict.status != "unknown"]
            if len(judged) >= k:
                rates[problem_id] = pass_at_k(len(judged), sum(judged), k)
        return rates

    def pass_at(self, k: int) -> float | None:
        """Mean pass@k over the problems with at least `k` judged samples."""
        return _mean(self.pass_rates_at(k).values())

    def pass_at_interval(self, k: int) -> tuple[float, float]:
        """95% interval of pass@k, by bootstrap over problems; of pass@1, see `pass_at_1_interval`."""
        return self.pass_at_1_interval if k == 1 else bootstrap_interval(list(self.pass_rates_at(k).values()))

    def total(self, name: str) -> float | None:
        """Sum of `tokens` or `seconds` over the completions where it is known; None where it is for none."""
        values = [value for value in (getattr(record, name) for record in self.records) if value is not None]
        return sum(values) if values else None

    @property
    def parse_rate(self) -> float | None:
        """Share of completions whose code parses; a completion without code does not."""
        return _mean(float(record.parses) for record in self.records)

    @property
    def parse_rate_interval(self) -> tuple[float, float]:
        """95%, as that of pass@1: samples of one problem tell less than as many problems do."""
        return _share_interval(list(self.problem_scores("parses").values()))

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
            "cut_off": sum(record.finish_reason == "length" for record in self.records),
            "unparsable": sum(record.code is not None and not record.parses for record in self.records),
        }

    def to_dict(self) -> dict[str, Any]:
        """The summary that goes into results.json; the records go into samples.jsonl."""
        seconds = self.total("seconds")
        return {
            "name": self.name,
            **self.facts,
            "pass@k": {str(k): self.pass_at(k) for k in self.ks},
            "pass@1_interval_95": _finite(self.pass_at_1_interval),
            "pass@k_interval_95": {str(k): _finite(self.pass_at_interval(k)) for k in self.ks},
            "parse_rate": self.parse_rate,
            "counts": self.counts(),
            "scores": self.scores,
            "bits_per_byte": self.bits_per_byte,
            "completion_tokens": self.total("tokens"),
            "generation_seconds": None if seconds is None else round(seconds, 3),
            "scoring_seconds": round(self.seconds, 3),
        }


def score_completions(
    problems: Sequence[Problem],
    completions: Sequence[str | Sample | Sequence[str | Sample]],
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
        completions: N entries, each a completion or a list of samples of the same problem; a [`Sample`] says what is
            known of a completion beside its text.
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
    owners, numbers, samples = _flat_samples(problems, completions)
    if tokens is not None:
        samples = [replace(s, tokens=n) for s, n in zip(samples, _flatten(tokens), strict=True)]
    extractions = [read_code(s.text, problem, s.reads) for s, problem in zip(samples, owners, strict=True)]
    codes = [extraction.code for extraction in extractions]
    limits["backend"] = choose_backend(limits.get("backend"))
    verdicts = verify(owners, codes, workers=workers, progress=progress, **limits)
    scores, per_sample = structure_scores(owners, codes, language)
    parsed = parse_flags(codes, language)
    records = tuple(
        SampleRecord(
            owners[i].id,
            numbers[i],
            sample.text,
            codes[i],
            extractions[i].status,
            verdicts[i],
            parsed[i],
            syntax=per_sample["syntax"][i],
            dataflow=per_sample["dataflow"][i],
            **_known(sample),
        )
        for i, sample in enumerate(samples)
    )
    seconds = time.perf_counter() - start
    return EvaluationResult(name, records, scores, bits_per_byte, seconds, limits=_limits_in_force(limits))


def _known(sample: Sample) -> dict[str, Any]:
    """What a sample knows beside its text."""
    return {key: value for key, value in dataclasses.asdict(sample).items() if key != "text"}


def _flat_samples(
    problems: Sequence[Problem], completions: Sequence[Any]
) -> tuple[list[Problem], list[int], list[Sample]]:
    """Problem, number and sample of each completion, in order."""
    owners, numbers, samples = [], [], []
    for problem, entry in zip(problems, completions, strict=True):
        for number, sample in enumerate([entry] if isinstance(entry, str | Sample) else entry):
            owners.append(problem)
            numbers.append(number)
            samples.append(sample if isinstance(sample, Sample) else Sample(sample))
    return owners, numbers, samples


def _limits_in_force(given: Mapping[str, Any]) -> dict[str, Any]:
    usual = Limits()
    names = ("cpu_seconds", "wall_seconds", "memory_mb")
    return {**{name: given.get(name, getattr(usual, name)) for name in names}, "backend": given["backend"]}


def _check_shapes(problems: Sequence[Problem], completions: Sequence[Any]) -> None:
    if len(problems) != len(completions):
        raise InputError(
            f"{len(problems)} problems but {len(completions)} completions; give one completion (or list) a problem."
        )
    repeated = [problem_id for problem_id, count in Counter(problem.id for problem in problems).items() if count > 1]
    if repeated:
        raise InputError(f"Problem id '{repeated[0]}' occurs twice; give several samples as a list instead.")


def _flatten(nested: Sequence[Any]) -> Iterator[Any]:
    for entry in nested:
        yield from [entry] if isinstance(entry, int) else entry


def _share_interval(rates: Sequence[float]) -> tuple[float, float]:
    """Of the mean of a share a problem: Wilson where each is 0 or 1, else bootstrap over problems."""
    if all(rate in (0.0, 1.0) for rate in rates):
        return wilson_interval(round(sum(rates)), len(rates))
    return bootstrap_interval(rates)


def _mean(values: Any) -> float | None:
    values = list(values)
    return sum(values) / len(values) if values else None


def _finite(interval: tuple[float, float]) -> list[float] | None:
    return None if any(math.isnan(bound) for bound in interval) else list(interval)
