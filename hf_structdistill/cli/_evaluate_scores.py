"""The scoring half of `structdistill evaluate`: samples that exist, verdicts and scores, the report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from ..errors import InputError
from ..evaluation import EvaluationResult, score_completions, write_report
from ..evaluation.sample_files import SampleSet, read_samples
from ..problems import BENCHMARKS, Problem, load_problems
from ._evaluate_run import Completed
from ._progress import stage_progress

KEPT_SETTINGS = ("prompt", "sampling", "generated_by", "load_in_4bit", "samples_files")
KEPT_FACTS = ("model", "revision", "fingerprint", "prompt_format")


def load_benchmark(benchmark: str, path: Path | None, split: str, limit: int | None) -> list[Problem]:
    """The problems; "test" is no split of a file whose rows name none."""
    has_splits = benchmark in BENCHMARKS and bool(BENCHMARKS[benchmark].splits)
    chosen = None if split == "all" or (split == "test" and not has_splits) else split
    return load_problems(benchmark, split=chosen, path=path, limit=limit)


def read_students(source: str, problems: list[Problem], *, first_only: bool) -> dict[str, Completed]:
    """Students of a samples file, given as FILE or NAME=FILE."""
    name, equals, path = source.partition("=")
    if not equals or Path(source).exists():
        name, path = "", source
    sets = read_samples(Path(path), problems, name=name or None, first_only=first_only)
    return {found.name: _answered(found, problems) for found in sets}


def rescored_students(folder: Path, problems: list[Problem]) -> tuple[dict[str, Completed], dict[str, Any]]:
    """What an earlier run left in `folder`: its students, and the settings it wrote down."""
    try:
        before = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        entries = {entry["name"]: entry for entry in before["models"]}
    except FileNotFoundError:
        before, entries = {}, {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"'{folder / 'results.json'}' is no results.json ({type(error).__name__}: {error})."
        ) from None
    students = {}
    for found in read_samples(folder, problems):
        entry = entries.get(found.name, {})
        students[found.name] = dataclasses.replace(
            _answered(found, problems),
            bits=entry.get("bits_per_byte"),
            facts={key: entry[key] for key in KEPT_FACTS if key in entry},
        )
    return students, {key: before[key] for key in KEPT_SETTINGS if key in before}


def together(students: Mapping[str, Completed], more: Mapping[str, Completed]) -> dict[str, Completed]:
    """Both, if no two have one name."""
    twice = [name for name in more if name in students]
    if twice:
        raise InputError(f"Two students are called '{twice[0]}'; name one: --samples NAME=FILE.")
    return {**students, **more}


def _answered(found: SampleSet, problems: list[Problem]) -> Completed:
    """A problem without a sample is left out of that student's score, and said so."""
    kept = [i for i, entry in enumerate(found.samples) if entry]
    if len(kept) < len(problems):
        typer.echo(f"{found.name}: {len(problems) - len(kept)} of {len(problems)} problems have no sample", err=True)
    return Completed([problems[i] for i in kept], [found.samples[i] for i in kept])


def report(
    folder: Path,
    problems: list[Problem],
    students: Mapping[str, Completed],
    settings: Mapping[str, Any],
    **options: Any,
) -> None:
    """Score every student, write the report, print the table. `options` go to [`score_completions`]."""
    results = [_score(name, found, options) for name, found in students.items()]
    answered = {record.problem_id for result in results for record in result.records}
    kept = [problem for problem in problems if problem.id in answered]
    _print_results(results, write_report(folder, results, problems=kept, settings=settings))


def _score(name: str, completed: Completed, options: Mapping[str, Any]) -> EvaluationResult:
    total = sum(len(samples) for samples in completed.samples)
    with stage_progress(name, {"judged": "running the code"}) as progress:
        result = score_completions(
            completed.problems,
            completed.samples,
            name=name,
            bits_per_byte=completed.bits,
            progress=lambda count: progress("judged", count, total),
            **options,
        )
    return dataclasses.replace(result, facts=completed.facts)


def _print_results(results: list[EvaluationResult], paths: Mapping[str, Path]) -> None:
    from rich.console import Console

    from ..evaluation.terminal import results_table

    console = Console()
    for part in results_table(results):
        console.print(part)
    console.print()
    for name, path in paths.items():
        console.print(f"{name:14} {path}", markup=False, highlight=False, soft_wrap=True)
