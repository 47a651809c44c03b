"""One problem as the report lists it: its text, each student's first sample beside the reference, both marked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from ..problems.problem import Problem
from .highlight import code_html
from .marks import ProgramMarks, mark_pair
from .results import EvaluationResult, SampleRecord


def listing(problem: Problem, results: Sequence[EvaluationResult], *, marked: bool = True) -> dict[str, Any]:
    """What the templates show of a problem.

    Args:
        marked: also the code as HTML, with what matches in it.
    """
    answers = []
    for result in results:
        samples = result.by_problem().get(problem.id, [])
        first = samples[0] if samples else None
        answer = {
            "name": result.name,
            "record": first,
            "samples": len(samples),
            "passed": sum(record.verdict.passed for record in samples),
        }
        answers.append({**answer, **(_code(problem, first) if marked else {})})
    return {
        "problem": problem,
        "summary": _summary_line(problem.prompt),
        "answers": answers,
        "outcome": outcome(problem, results),
    }


def _code(problem: Problem, record: SampleRecord | None) -> dict[str, Any]:
    """Reference and prediction as HTML, and how many of the reference's subtrees and data-flow items match."""
    code, reference = record.code if record else None, problem.reference
    shown: dict[str, Any] = {"code": None, "reference": None, "matched": None}
    if code is not None and reference:
        ours, theirs = mark_pair(code, reference)
        shown = {"code": code_html(code, ours), "reference": code_html(reference, theirs), "matched": _counts(theirs)}
    elif code is not None:
        shown["code"] = code_html(code)
    elif reference:
        shown["reference"] = code_html(reference)
    return shown


def _counts(marks: ProgramMarks) -> Markup:
    parts = []
    for label, items in (("syntax", marks.subtrees), ("data flow", marks.flows)):
        hits = sum(item.matched for item in items)
        parts.append(f"{label} {hits} of {len(items)}" if items else f"{label} undefined")
    return Markup(" · ").join(parts)


def _summary_line(prompt: str) -> str:
    """The prompt on one line: from its docstring where the prompt is code."""
    docstring = re.search(r'"""(.+?)("""|\n\s*\n|>>>|$)', prompt, re.DOTALL)
    text = docstring.group(1) if docstring and re.match(r"\s*(def|from|import|\"\"\")", prompt) else prompt
    return " ".join(text.split())[:160]


def outcome(problem: Problem, results: Sequence[EvaluationResult]) -> str:
    """Key of the filter, by the students' first samples: `unknown`, `all`, `none`, `only-<index>`, or `mixed`."""
    records = [next(iter(result.by_problem().get(problem.id, [])), None) for result in results]
    if any(record is None or record.verdict.status == "unknown" for record in records):
        return "unknown"
    passing = [i for i, record in enumerate(records) if record is not None and record.verdict.passed]
    if len(passing) == len(records):
        return "all"
    if not passing:
        return "none"
    return f"only-{passing[0]}" if len(passing) == 1 else "mixed"


def outcome_names(names: Sequence[str]) -> dict[str, str]:
    """Key of each filter -> its label."""
    if len(names) == 1:
        return {"all": "Passed", "none": "Did not pass", "unknown": "Not judged"}
    only = {f"only-{i}": f"Only {name} passes" for i, name in enumerate(names)}
    mixed = {"mixed": "Several"} if len(names) > 2 else {}
    return {"all": "All pass", **only, **mixed, "none": "None passes", "unknown": "Not judged for all"}
