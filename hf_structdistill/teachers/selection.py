"""Judged traces to training examples: which to learn from, and which wrong pathway stands beside each."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..problems import Problem
from ..problems.prompting import format_completion, student_prompt
from .recipes import WRONG
from .trace import Trace


@dataclass(frozen=True)
class Example:
    """A training example in TRL's prompt-completion form.

    Attributes:
        prompt: what the student sees.
        completion: reasoning, then the code in a fence.
        rejected: a completion for the same prompt whose code failed; None where no trace failed.
        trace: where the completion comes from.
        role: "best", or "alternative" for the one other program kept for the problem.
    """

    problem: Problem
    trace: Trace
    prompt: str
    completion: str
    rejected: str | None
    role: str


def select_examples(
    traces: Iterable[Trace], problems: Mapping[str, Problem], *, alternatives: int = 1
) -> list[Example]:
    """Choose what to train on.

    For each problem the passing trace with the best strict structural scores against the reference (one that reasons
    before any that does not), then up to
    `alternatives` others whose code is another program (not only laid out differently). Each is paired with the
    failing trace that shares its longest beginning, so that both part as late as possible.

    Problems of a test split (by its name: "test", "eval", "test-hard", …) never give examples, whatever the traces
    say; nor do traces whose teacher marked the problem as unsolvable.
    """
    by_problem: dict[str, list[Trace]] = {}
    for trace in traces:
        if problems[trace.problem_id].role != "test" and not trace.sampling.get("unsolvable"):
            by_problem.setdefault(trace.problem_id, []).append(trace)
    return [
        example
        for problem_id, group in by_problem.items()
        for example in _examples(problems[problem_id], group, alternatives)
    ]


def _examples(problem: Problem, traces: list[Trace], alternatives: int) -> list[Example]:
    passing = sorted((trace for trace in traces if trace.passed and trace.code), key=_rank, reverse=True)
    wrong = [
        format_completion(trace.reasoning, trace.code)
        for trace in traces
        if trace.code and trace.verdict is not None and trace.verdict.status in WRONG
    ]
    chosen: dict[str, Trace] = {}
    for trace in passing:
        if len(chosen) <= alternatives:
            chosen.setdefault(_layout_free(trace.code or ""), trace)
    examples = []
    for trace in chosen.values():
        completion = format_completion(trace.reasoning, trace.code or "")
        rejected = max(wrong, key=lambda other: _shared(completion, other), default=None)
        role = "alternative" if examples else "best"
        examples.append(Example(problem, trace, student_prompt(problem), completion, rejected, role))
    return examples


def _rank(trace: Trace) -> tuple[bool, float]:
    """Traces that reason before those that do not; then the mean of the scores that are defined."""
    scores = [score for score in (trace.syntax, trace.dataflow) if score is not None]
    return bool(trace.reasoning.strip()), sum(scores) / len(scores) if scores else 0.0


def _layout_free(code: str) -> str:
    from ..structure import parse

    tree = parse(code)
    leaves = [node for node in range(len(tree)) if tree.last[node] == node + 1 and tree.kind_name(node) != "comment"]
    # the parent tells dedents apart: same tokens under another block are another program
    depth = [0] * len(tree)
    for node in range(1, len(tree)):
        depth[node] = depth[tree.parents[node]] + 1
    return " ".join(
        f"{depth[n]}:{tree.source[tree.starts[n] : tree.ends[n]].decode('utf-8', 'replace')}" for n in leaves
    )


def _shared(one: str, other: str) -> int:
    return len(os.path.commonprefix([one, other]))
