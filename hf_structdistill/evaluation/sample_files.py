"""Samples that exist: our own files, evalplus', bigcode-evaluation-harness' and recorded replies, told by form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import unpacked_text
from ..problems.problem import Problem
from .completion import READS, Sample
from .samples import parse_rows


@dataclass(frozen=True)
class SampleSet:
    """The samples of one student: a list for each problem, empty where there is none."""

    name: str
    samples: list[list[Sample]]


def read_samples(
    path: Path, problems: Sequence[Problem], *, name: str | None = None, first_only: bool = False
) -> list[SampleSet]:
    """Read the samples of one or several students for `problems`.

    Args:
        path: a JSON-lines file whose rows have a task and its text: ours (`problem_id`, `completion`, `model`),
            evalplus' (`task_id` with `solution`, a program, or `completion`), recorded replies (`task_id` with
            `response`); several rows of a task are its samples. Or what bigcode-evaluation-harness saves as
            generations: a JSON list of lists of programs, in the order of the problems. Or a folder with a
            samples.jsonl; any file may be gzipped.
        name: of the student where the rows name none, and instead of the one they name; by default the file's.
        first_only: `problems` are only the first of their benchmark, so that a list may be longer.

    Raises:
        InputError: no such file, another form, a row without those fields, or samples of another benchmark.
    """
    if path.is_dir():
        path = path / "samples.jsonl"
    text = _read(path)
    default = name or path.name.split(".")[0]
    if text.lstrip()[:1] == "[":
        return [SampleSet(default, _from_lists(_parse_list(text, path), problems, path, first_only))]
    grouped = _from_rows(parse_rows(text, path), problems, path, default)
    if name is not None and len(grouped) > 1:
        return [SampleSet(f"{name}/{model}", samples) for model, samples in grouped.items()]
    return [SampleSet(name or model, samples) for model, samples in grouped.items()]


def _read(path: Path) -> str:
    try:
        return unpacked_text(path.read_bytes(), path)
    except (OSError, ValueError) as error:
        raise InputError(f"Samples file '{path}' could not be read: {error}; give a samples.jsonl.") from error


def _parse_list(text: str, path: Path) -> list[Any]:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: expected a JSON list of generations, found {error}; give JSON.") from error


def _from_lists(rows: Sequence[Any], problems: Sequence[Problem], path: Path, first_only: bool) -> list[list[Sample]]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or not all(isinstance(text, str) for text in row):
            raise InputError(
                f"{path}, entry {number}: expected a list of programs, as bigcode-evaluation-harness saves them; "
                f"found {type(row).__name__}. Rows with task_id go into a .jsonl file."
            )
    if len(rows) > len(problems) and not first_only:
        raise InputError(
            f"{path}: {len(rows)} lists of generations, but {len(problems)} problems; they are told apart by their "
            "order alone, so give the benchmark and --split (perhaps all) they were made for."
        )
    samples = [[Sample(text, "code") for text in row] for row in rows[: len(problems)]]
    return samples + [[] for _ in range(len(problems) - len(samples))]


def _from_rows(
    rows: Sequence[Mapping[str, Any]], problems: Sequence[Problem], path: Path, default: str
) -> dict[str, list[list[Sample]]]:
    index = {key: i for i, problem in enumerate(problems) for key in id_aliases(problem)}
    grouped: dict[str, list[list[Sample]]] = {}
    for number, row in enumerate(rows, 1):
        problem_id = row.get("problem_id", row.get("task_id"))
        place = index.get(str(problem_id))
        sample = _sample(row, problems[place] if place is not None else None)
        if problem_id is None or sample is None or sample.reads not in READS:
            raise InputError(
                f"{path}, row {number}: expected 'problem_id' (or 'task_id') and 'completion' (or 'solution'), "
                f"found {sorted(row)}."
            )
        if place is not None:
            students = grouped.setdefault(str(row.get("model", default)), [[] for _ in problems])
            students[place].append(sample)
    if not grouped:
        ids = sorted(str(row.get("problem_id", row.get("task_id"))) for row in rows[:3])
        raise InputError(
            f"{path}: none of its {len(rows)} rows belongs to the {len(problems)} problems of this benchmark "
            f"(ids such as {', '.join(ids) or 'none'}, expected such as {problems[0].id}); "
            "give the benchmark it was made for."
        )
    return grouped


def _sample(row: Mapping[str, Any], problem: Problem | None) -> Sample | None:
    if row.get("solution") is not None:
        return Sample(str(row["solution"]), "code")
    text = row.get("completion", row.get("response"))
    if text is None:
        return None
    text, reads = str(text), str(row.get("reads", "answer"))
    if "problem_id" not in row and problem is not None and "```" not in text and text[:1] in (" ", "\t"):
        reads = "continues"  # a bare body, as HumanEval's own samples files have it
    return Sample(text, reads, row.get("tokens"), row.get("finish_reason"), row.get("seconds"))


def id_aliases(problem: Problem) -> set[str]:
    """The problem's id as evalplus and others spell it: `Mbpp/2`, `HumanEval/0`, or the bare number."""
    number = problem.id.rsplit("/", 1)[-1]
    aliases = {problem.id, str(problem.metadata.get("task_id", problem.id))}
    if problem.source in ("mbpp", "mbpp_plus"):
        aliases |= {f"Mbpp/{number}", number}
    if problem.source == "humaneval":
        aliases |= {f"HumanEval/{number}"}
    return aliases
