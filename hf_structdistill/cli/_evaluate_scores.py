"""The scoring half of `structdistill evaluate`: samples that exist, verdicts and scores, the report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
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
KEPT_FACTS = ("model", "revision", "fingerprint", "prompt_format", "prompt", "sampling")


def load_benchmark(benchmark: str, path: Path | None, split: str, limit: int | None) -> list[Problem]:
    """The problems of a split, or of all; of a file whose rows name no split all for "test", the default, too."""
    has_splits = benchmark in BENCHMARKS and bool(BENCHMARKS[benchmark].splits)
    if split == "test" and not has_splits:
        problems = load_problems(benchmark, path=path)
        if not any(problem.split for problem in problems):
            return problems[:limit]
    return load_problems(benchmark, split=None if split == "all" else split, path=path, limit=limit)


def read_students(source: str, problems: list[Problem], out: Path, *, first_only: bool) -> dict[str, Completed]:
    """Students of a samples file, given as FILE or NAME=FILE; a folder of results also says how they were made.

    Args:
        out: where the report goes, and a samples.jsonl with it.
    """
    name, equals, path = source.partition("=")
    if not equals or Path(source).exists():
        name, path = "", source
    sets = read_samples(Path(path), problems, name=name or None, first_only=first_only)
    if Path(path).resolve() in (out.resolve(), (out / "samples.jsonl").resolve()):
        _check_whole(out, sets)
    before = _earlier_results(Path(path)) if Path(path).is_dir() else {}
    made = {key: before[key] for key in ("prompt", "sampling") if key in before}
    entries = _entries(before)
    if name and len(entries) == len(sets) == 1:
        entries = {name: next(iter(entries.values()))}
    return {found.name: _answered(found, problems, entries.get(found.name, {}), made) for found in sets}


def rescored_students(folder: Path, problems: list[Problem]) -> tuple[dict[str, Completed], dict[str, Any]]:
    """What an earlier run left in `folder`: its students, and the settings it wrote down."""
    before = _earlier_results(folder)
    entries = _entries(before)
    found = read_samples(folder, problems)
    _check_whole(folder, found)
    students = {one.name: _answered(one, problems, entries.get(one.name, {})) for one in found}
    return students, {key: before[key] for key in KEPT_SETTINGS if key in before}


def _check_whole(folder: Path, found: Sequence[SampleSet]) -> None:
    """Refuse to replace the samples of `folder` by a part of them: nothing else may have the others."""
    path = folder / "samples.jsonl"
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        rows = sum(bool(line.strip()) for line in lines)
    read = sum(len(samples) for one in found for samples in one.samples)
    if read < rows:
        raise InputError(
            f"'{path}' has {rows} samples, {rows - read} of them for other problems than --benchmark, --split and "
            f"--limit choose, which would be lost; choose all of its problems, or give --samples {folder} and another "
            "--out."
        )


def _earlier_results(folder: Path) -> dict[str, Any]:
    """The results.json of `folder`, empty where there is none."""
    path = folder / "results.json"
    try:
        return {"models": [], **json.loads(path.read_text(encoding="utf-8"))}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"'{path}' cannot be read ({type(error).__name__}: {error}); remove it.") from None


def _entries(before: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {str(entry.get("name")): entry for entry in before.get("models", ()) if isinstance(entry, dict)}


def together(students: Mapping[str, Completed], more: Mapping[str, Completed]) -> dict[str, Completed]:
    """Both, if no two have one name."""
    twice = [name for name in more if name in students]
    if twice:
        raise InputError(f"Two students are called '{twice[0]}'; name one: --samples NAME=FILE.")
    return {**students, **more}


def _answered(
    found: SampleSet, problems: list[Problem], entry: Mapping[str, Any], made: Mapping[str, Any] | None = None
) -> Completed:
    """What a samples file has of a student. A problem without a sample is left out of its score, and said so.

    Args:
        entry: of the student in an earlier results.json. made: what else is known of its completions.
    """
    kept = [i for i, samples in enumerate(found.samples) if samples]
    if len(kept) < len(problems):
        typer.echo(f"{found.name}: {len(problems) - len(kept)} of {len(problems)} problems have no sample", err=True)
    return Completed(
        [problems[i] for i in kept],
        [found.samples[i] for i in kept],
        entry.get("bits_per_byte"),
        {**{key: entry[key] for key in KEPT_FACTS if key in entry}, **(made or {})},
    )


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
