"""`recorded:FILE`: replies that are already there, from a batch API or another run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..model_names import served_name
from ..problems import Problem
from ..problems.rows import optional, read_rows, require
from .base import Answer, Reply, Request, batches
from .batch import as_recorded
from .trace import Trace

RECIPES = ("backward", "forward")
FIELDS: dict[str, type] = {
    "response": str,
    "plan": str,
    "prompt": str,
    "reasoning_content": str,
    "finish_reason": str,
    "sampling": dict,
    "usage": dict,
}

# Recordings that are known by their content: who answered, and how. See the sources of the test data.
KNOWN_RECORDINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "sha256:fb27624e0efd8bb62cf36c05a9ae87fe0ad10f8dc07e8958bd4507bad1bb5525": (
        "a very large language model, 2026",
        {},
    ),
    "sha256:aa8ec965d72c3a0660fbfad72f88c2b893e5f3c587628393881f4b415f2ef5db": ("gpt-3.5-turbo", {"temperature": 0}),
}


class RecordedTeacher:
    """Replies from a JSON Lines file.

    A row needs `task_id` or `problem_id` (a `Problem.id`, or what follows its first slash) and `response`, the reply
    as text. `prompt`, where given, is the prompt that was sent. `plan`, where given, is a plan that leads to the
    problem's reference code: the backward recipe. `unsolvable`, where true, is the teacher's word that the problem
    itself is at fault: its traces are kept and never become examples. Several rows for one problem are several
    samples. A prompt that was not recorded is left empty, not made up. Rows of a batch API (`custom_id`, `response`
    with a body) answer a file made by `--export-requests`; `failed` counts those that it could not answer.

    Args:
        path: the file.
        label: who answered, for cards and reports; if not given, the model that a batch API's row names, a known
            recording's own label, or the file's name.
        recipes: which of "backward" and "forward" to use where a row has both.

    Raises:
        InputError: a missing or empty file, a row without an id or without any reply, a field of another type.
    """

    def __init__(self, path: str | Path, *, label: str | None = None, recipes: Sequence[str] = RECIPES) -> None:
        unknown = set(recipes) - set(RECIPES)
        if unknown or not recipes:
            raise InputError(f"Expected recipes out of {', '.join(RECIPES)}, found '{', '.join(sorted(unknown))}'.")
        source = read_rows(path)
        self.file = Path(path).name
        known, self._sampling = KNOWN_RECORDINGS.get(source.content_hash, (f"recorded: {self.file}", {}))
        self.label = label or known
        self.revision: str | None = source.content_hash
        self.recipes = tuple(recipes)
        self._rows: dict[str, list[Mapping[str, Any]]] = {}
        self._labels: dict[tuple[str, int], str] = {}  # of rows that say which model answered
        self._used: set[str] = set()
        self.failed = 0
        for index, row in enumerate(source.rows):
            where = source.where(index)
            model = None
            if row.get("custom_id") is not None:
                reply = as_recorded(row, where)
                self.failed += reply is None
                if reply is None:
                    continue
                row, model = reply, reply["model"]
            _check(row, where)
            field = "task_id" if row.get("problem_id") is None else "problem_id"
            name = str(require(row, field, (str, int), where))
            of_problem = self._rows.setdefault(name, [])
            if model and label is None:
                self._labels[name, len(of_problem)] = served_name(model)
            of_problem.append(row)

    def _name(self, problem: Problem) -> str:
        """The problem's id as the file has it."""
        return problem.id if problem.id in self._rows else problem.id.partition("/")[2]

    def _of(self, problem: Problem) -> list[Mapping[str, Any]]:
        name = self._name(problem)
        if name in self._rows:
            self._used.add(name)
        return self._rows.get(name, [])

    @property
    def unused(self) -> list[str]:
        """Ids in the file that no problem asked for so far."""
        return sorted(set(self._rows) - self._used)

    def left_out(self) -> list[str]:
        """What of the file is in no trace so far, a line for each reason."""
        lines = []
        if self.failed:
            lines.append(f"{self.file}: {self.failed:,} requests failed there or came back blank; ask for them again.")
        if unused := self.unused:
            some = ", ".join(unused[:3]) + (", …" if len(unused) > 3 else "")
            lines.append(f"{self.file}: {len(unused):,} ids are of no problem that was asked about ({some}).")
        return lines

    def requests(self, problem: Problem) -> Sequence[Request]:
        found = []
        for sample, row in enumerate(self._of(problem)):
            for recipe in self.recipes:
                if self._answers(row, recipe, problem):
                    found.append(self._request(problem, row, recipe, sample))
        return found

    @staticmethod
    def _answers(row: Mapping[str, Any], recipe: str, problem: Problem) -> bool:
        if recipe == "backward":  # beside a response an empty plan is none; alone it is the reply
            given = bool(row.get("plan")) or row.get("response") is None
            return given and problem.reference is not None
        return isinstance(row.get("response"), str)

    def _request(self, problem: Problem, row: Mapping[str, Any], recipe: str, sample: int) -> Request:
        prompt = row.get("prompt") if recipe == "forward" else None
        sampling = {**self._sampling, **(row.get("sampling") or {})}
        if row.get("unsolvable"):
            sampling["unsolvable"] = True
        return Request(
            problem_id=problem.id,
            teacher=self._labels.get((self._name(problem), sample), self.label),
            recipe=recipe,
            messages=({"role": "user", "content": prompt},) if prompt else (),
            revision=self.revision,
            sampling=sampling,
            sample=sample,
        )

    def follow_up(self, problem: Problem, traces: Sequence[Trace]) -> Sequence[Request]:
        return []

    def resume(self, answered: Iterable[Answer]) -> None:
        """Nothing is spent here."""

    def replies(self, requests: Iterable[tuple[Request, Problem]]) -> Iterator[list[Answer]]:
        yield from batches((request, self._reply(request, problem)) for request, problem in requests)

    def _reply(self, request: Request, problem: Problem) -> Reply:
        row = self._of(problem)[request.sample]
        text = row["plan"] if request.recipe == "backward" else row["response"]
        if request.recipe == "backward" and row.get("response") is not None:
            return Reply(text)  # the row's other fields are about the response
        usage = row.get("usage") or {}
        return Reply(
            text,
            reasoning_content=row.get("reasoning_content"),
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
            finish_reason=row.get("finish_reason"),
        )


def _check(row: Mapping[str, Any], where: str) -> None:
    """Refuse a row that would break later, when every verdict is made."""
    for field, kind in FIELDS.items():
        optional(row, field, kind, where)
    for field in ("prompt_tokens", "completion_tokens"):
        optional(row.get("usage") or {}, field, int, f"'usage' of {where}")
    if row.get("response") is None and row.get("plan") is None:
        present = ", ".join(sorted(row))
        raise InputError(
            f"Expected a reply in field 'response' (or 'plan') of {where}, found the fields {present}; "
            "write the teacher's text there."
        )
