"""samples.jsonl: one completion a line, appended while a student generates, read again to continue or to rescore."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..problems.problem import Problem


def problems_hash(problems: Sequence[Problem]) -> str:
    """SHA-256 over what decides the scores: ids, prompts, tests and references, in order."""
    digest = hashlib.sha256()
    for problem in problems:
        tests = dataclasses.asdict(problem.tests) if problem.tests is not None else None
        row = [problem.id, problem.prompt, problem.entry_point, tests, problem.reference]
        digest.update(json.dumps(row, sort_keys=True, default=repr).encode())
    return digest.hexdigest()


def text_hash(text: str) -> str:
    """A short hash that ties a completion to the prompt it answers."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows and push them to the disk, so that a killed run loses at most the batch in hand."""
    with open(path, "a", encoding="utf-8") as file:
        for row in rows:
            file.write(json_line(row))
        file.flush()
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step: a reader sees the old text or the new one, never half."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def json_line(row: Mapping[str, Any]) -> str:
    """One JSON line; lone surrogates of a model's output are kept as escapes."""
    return json.dumps(row, ensure_ascii=True, default=str) + "\n"


def read_rows(path: Path, *, torn_end: bool = False) -> list[dict[str, Any]]:
    """Read a JSON-lines file.

    Args:
        torn_end: pass over a last line that is cut off (the run was killed while writing it).

    Raises:
        InputError: no such file, or a line that is not a JSON object; names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Samples file '{path}' could not be read: {error}; give a samples.jsonl.") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if torn_end and number == len(lines):
                break
            raise InputError(
                f"{path}, line {number}: expected a JSON object, found {line[:40]!r} ({error})."
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: expected a JSON object, found {type(row).__name__}.")
        rows.append(row)
    return rows


def drop_torn_end(path: Path) -> None:
    """Cut a half-written last line off, so that the next row starts on a line of its own."""
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        with open(path, "r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)


def completions_by_model(
    rows: Sequence[Mapping[str, Any]], problems: Sequence[Problem], path: Path, default_name: str
) -> dict[str, list[list[str]]]:
    """Group the rows of a samples file by student, a list of samples for each problem.

    Reads our own rows (`problem_id`, `completion`, `model`), evalplus' (`task_id`, `solution` or `completion`) and
    recorded replies (`response`). A problem without a row gets an empty list.

    Raises:
        InputError: a row without those fields, or no row that belongs to one of the problems.
    """
    index = {key: i for i, problem in enumerate(problems) for key in id_aliases(problem)}
    grouped: dict[str, list[list[str]]] = {}
    for number, row in enumerate(rows, 1):
        problem_id = row.get("problem_id", row.get("task_id"))
        text = row_text(row, problems[index[str(problem_id)]] if str(problem_id) in index else None)
        if problem_id is None or text is None:
            raise InputError(
                f"{path}, row {number}: expected 'problem_id' (or 'task_id') and 'completion' (or 'solution'), "
                f"found {sorted(row)}."
            )
        if str(problem_id) in index:
            samples = grouped.setdefault(str(row.get("model", default_name)), [[] for _ in problems])
            samples[index[str(problem_id)]].append(text)
    if not grouped:
        ids = sorted(str(row.get("problem_id", row.get("task_id"))) for row in rows[:3])
        raise InputError(
            f"{path}: none of its {len(rows)} rows belongs to the {len(problems)} problems of this benchmark "
            f"(ids such as {', '.join(ids) or 'none'}, expected such as {problems[0].id}); "
            "give the benchmark it was made for."
        )
    return grouped


def row_text(row: Mapping[str, Any], problem: Problem | None) -> str | None:
    """The completion of a row. A bare body that continues the prompt's code (HumanEval) is put behind it."""
    if row.get("solution") is not None:
        return str(row["solution"])
    text = row.get("completion", row.get("response"))
    if text is None:
        return None
    text = str(text)
    continues = "problem_id" not in row and problem is not None and "```" not in text and text[:1] in (" ", "\t")
    return problem.prompt + text if continues and problem is not None else text


def id_aliases(problem: Problem) -> set[str]:
    """The problem's id as evalplus and others spell it: `Mbpp/2`, `HumanEval/0`, or the bare number."""
    number = problem.id.rsplit("/", 1)[-1]
    aliases = {problem.id, str(problem.metadata.get("task_id", problem.id))}
    if problem.source in ("mbpp", "mbpp_plus"):
        aliases |= {f"Mbpp/{number}", number}
    if problem.source == "humaneval":
        aliases |= {f"HumanEval/{number}"}
    return aliases
