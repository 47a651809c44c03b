"""Real Python: a base student tuned on MBPP train and the seed problems: study 2."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hf_structdistill.problems import Problem, load_problems
from hf_structdistill.problems.prompting import format_completion, student_prompt

from .bases import SHARED, load_base

UNSOLVABLE = frozenset({899, 927})  # tests that contradict the text; setup that runs after the solution


@dataclass(frozen=True)
class RealPython:
    """MBPP train (601 to 974) with a very large model's traces, and the seed problems with theirs.

    Attributes:
        base: folder of the base student, below the shared models, or any folder.
        target: "reference" (with backward plans) or "teacher" (with forward reasoning).
        reasoning: whether the plan or reasoning stands before the code.
    """

    base: str = "pycode-17m"
    target: str = "reference"
    reasoning: bool = True
    epochs: float = 3.0
    batch_size: int = 16
    max_length: int = 1024
    weight_decay: float = 0.1

    def examples(self, rejected: bool) -> list[dict[str, str]]:
        rows = []
        for problem, reasoning, code, wrong in self._traces():
            reasoning = reasoning if self.reasoning else ""
            row = {"prompt": student_prompt(problem), "completion": format_completion(reasoning, code)}
            if rejected:
                row["rejected"] = format_completion(reasoning, wrong) if wrong else ""
            rows.append(row)
        return rows

    def _traces(self) -> Iterator[tuple[Problem, str, str, str | None]]:
        """(problem, reasoning, code, a wrong solution where there is one)."""
        problems = {problem.id: problem for problem in _mbpp("train")}
        for line in (SHARED / "data" / "mbpp_traces.jsonl").read_text(encoding="utf-8").splitlines():
            trace = json.loads(line)
            if trace["task_id"] in UNSOLVABLE:
                continue
            problem = problems[f"mbpp/{trace['task_id']}"]
            if self.target == "reference":
                yield problem, trace["plan"], str(problem.reference), None
            else:
                yield problem, trace["reasoning"], trace["solution"], None
        for problem in load_problems("seed", split="train"):
            known = problem.metadata
            yield problem, known["reasoning"], str(problem.reference), known.get("wrong_solution")

    def student(self, rows: Sequence[dict[str, str]], seed: int) -> tuple[Any, Any]:
        return load_base(self.base, seed)

    def held_out(self, split: str) -> list[Problem]:
        if split == "humaneval":
            return load_problems("humaneval", path=SHARED / "data" / "humaneval.jsonl.gz")
        return load_problems("seed", split="test") if split == "seed" else _mbpp(split)


def _mbpp(split: str) -> list[Problem]:
    return load_problems("mbpp", split=split, path=SHARED / "data" / "mbpp.jsonl")
