"""JSON-lines files of completions: appended while a student generates, read again to continue or to rescore."""

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


def json_line(row: Mapping[str, Any]) -> str:
    """One JSON line; lone surrogates of a model's output are kept as escapes."""
    return json.dumps(row, ensure_ascii=True, default=str) + "\n"


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file.

    Raises:
        InputError: no such file, or a line that is not a JSON object; names the line.
    """
    try:
        return parse_rows(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Samples file '{path}' could not be read: {error}; give a samples.jsonl.") from error


def parse_rows(text: str, path: Path) -> list[dict[str, Any]]:
    """The rows in the text of a JSON-lines file; `path` is for messages."""
    rows = []
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: U+2028 may stand inside a JSON string
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
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
