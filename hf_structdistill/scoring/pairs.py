"""Scores lists of predictions against lists of references, over one process or several, with the floor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ..errors import InputError
from ..structure.languages import get_language
from .ngrams import NgramCounts
from .program import Analyser, Tally, compare, pair_ngrams

Pair = tuple[str, list[str]]
_SEED = 0


@dataclass
class PairScore:
    """One prediction against its references: a tally per metric, and the n-gram counts where they were asked for."""

    tallies: dict[str, Tally]
    has_error: bool
    ngrams: tuple[NgramCounts, NgramCounts] | None = None


@dataclass
class Outcome:
    """All samples, in order, and what the predictions reach against references of other samples."""

    samples: list[PairScore]
    floor: list[dict[str, Tally]] = field(default_factory=list)


@dataclass
class _Job:
    """A stretch of the samples in shuffled order, followed by the references its floor needs."""

    options: tuple[Any, ...]
    pairs: list[Pair]
    further: list[list[str]]
    shuffles: int


def check_pairs(predictions: Any, references: Any) -> list[Pair]:
    """Validated (prediction, references) pairs.

    Raises InputError for anything but equally many strings and strings or lists of strings, at least one.
    """
    for name, value in (("predictions", predictions), ("references", references)):
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            raise InputError(
                f"expected a list for {name}, got {type(value).__name__}: give a list, one entry a sample"
            )
    if len(predictions) != len(references):
        raise InputError(
            f"expected as many references as predictions, got {len(predictions)} predictions and "
            f"{len(references)} references: give each prediction one reference, or a list of them"
        )
    if not len(predictions):
        raise InputError("expected at least one prediction, got empty lists: score one program or more")
    both = zip(predictions, references, strict=True)
    return [(_program(p, f"predictions[{i}]"), _references(r, i)) for i, (p, r) in enumerate(both)]


def _program(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(
            f"expected a program as a string at {where}, got {type(value).__name__}"
            + (": score a completion without code as an empty string" if value is None else "")
        )
    return value


def _references(value: Any, i: int) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise InputError(f"expected a string or a list of strings at references[{i}], got {type(value).__name__}")
    if not len(value):
        raise InputError(f"expected at least one reference at references[{i}], got an empty list")
    return [_program(text, f"references[{i}][{k}]") for k, text in enumerate(value)]


def check_count(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"expected an integer of at least {least} for {name}, got {value!r}")
    return value


def run_pairs(
    pairs: list[Pair],
    *,
    language: str,
    mode: str,
    metrics: Iterable[str],
    ngrams: bool = False,
    floor_shuffles: int,
    num_proc: int,
) -> Outcome:
    """Score every pair, and every prediction against the references of `floor_shuffles` other samples.

    The samples are put into one random order with a fixed seed; shuffle k pairs each with the k-th behind it, but for
    samples with the same references, so that none meets its own and a process needs only its neighbours' references.
    """
    check_count("floor_shuffles", floor_shuffles, 0)
    check_count("num_proc", num_proc, 1)
    options = (get_language(language).name, mode, tuple(metrics), ngrams)
    Analyser(*options[:3])  # a wrong option fails here, not in a worker
    order = list(range(len(pairs)))
    Random(_SEED).shuffle(order)
    jobs = _jobs(pairs, order, options, min(floor_shuffles, len(pairs) - 1), num_proc)
    if len(jobs) == 1:
        outcomes = [_run_job(jobs[0])]
    else:
        with ProcessPoolExecutor(max_workers=num_proc) as pool:
            outcomes = list(pool.map(_run_job, jobs))
    samples: list[Any] = [None] * len(pairs)
    scored = [sample for outcome in outcomes for sample in outcome.samples]
    for i, sample in zip(order, scored, strict=True):
        samples[i] = sample
    return Outcome(samples, [tallies for outcome in outcomes for tallies in outcome.floor])


def _jobs(pairs: list[Pair], order: list[int], options: tuple, shuffles: int, num_proc: int) -> list[_Job]:
    size = -(-len(order) // min(num_proc, len(order)))
    jobs = []
    for start in range(0, len(order), size):
        stop = min(start + size, len(order))
        further = [pairs[order[i % len(order)]][1] for i in range(stop, stop + shuffles)]
        jobs.append(_Job(options, [pairs[i] for i in order[start:stop]], further, shuffles))
    return jobs


def _run_job(job: _Job) -> Outcome:
    language, mode, metrics, ngrams = job.options
    analyser = Analyser(language, mode, metrics, tokens=ngrams)
    if mode == "codexglue":  # as codebleu does before anything else
        job.pairs = [(prediction.strip(), [text.strip() for text in texts]) for prediction, texts in job.pairs]
        job.further = [[text.strip() for text in texts] for texts in job.further]
    outcome = Outcome([])
    for prediction, references in job.pairs:
        counts = pair_ngrams(analyser, prediction, references) if ngrams else None
        tallies = compare(analyser, prediction, references)
        outcome.samples.append(PairScore(tallies, analyser(prediction).has_error, counts))
    following = [references for _, references in job.pairs] + job.further
    for i, (prediction, references) in enumerate(job.pairs):
        others = following[i + 1 : i + 1 + job.shuffles]
        # another sample of the same problem has the same references
        outcome.floor += [compare(analyser, prediction, other) for other in others if other != references]
    return outcome
