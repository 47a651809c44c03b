"""What a run may still use, before anything is sent: open requests, and the repairs that may follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..problems import Problem
from .base import Reply, Request
from .inference import InferenceTeacher
from .journal import Journal
from .judging import known_verdict
from .reading import read_reply

Bound = tuple[int, int]
"""The most prompt and completion tokens of a request."""


@dataclass(frozen=True)
class Estimate:
    """The most that the rest of a run can use.

    Attributes:
        requests: without a reply in the journal.
        repairs: that may follow those, or replies that the journal has.
        tokens: prompt and completion tokens together; `cost` at the prices of the teachers' budgets.
    """

    requests: int = 0
    repairs: int = 0
    tokens: int = 0
    cost: float = 0.0


def estimate(problems: Sequence[Problem], teachers: Iterable[InferenceTeacher], journal: Journal) -> Estimate:
    """What asking `teachers` about `problems` can use at most, beside what `journal` has."""
    total = Estimate()
    for teacher in teachers:
        for problem in problems:
            requests, repairs = _open(teacher, problem, journal)
            total = Estimate(
                total.requests + len(requests),
                total.repairs + len(repairs),
                total.tokens + sum(map(sum, requests + repairs)),
                total.cost + sum(teacher.budget.price(*bound) for bound in requests + repairs),
            )
    return total


def _open(teacher: InferenceTeacher, problem: Problem, journal: Journal) -> tuple[list[Bound], list[Bound]]:
    requests, repairs = [], []
    for request in teacher.requests(problem):
        record = journal.get("reply", request.key)
        if record is None:
            requests.append(teacher.most_tokens(request))
        if request.recipe == "forward" and "repair" in teacher.book.recipes:
            repairs += _repairs(teacher, problem, request, record, journal)
    return requests, repairs


def _repairs(
    teacher: InferenceTeacher, problem: Problem, request: Request, record: Mapping[str, Any] | None, journal: Journal
) -> list[Bound]:
    """Of the repair that follows a forward request, if any."""
    if record is not None:
        trace = read_reply(request, problem, Reply(**record["reply"]))
        verdict = known_verdict(journal, problem, trace.code)
        if trace.code is None:
            return []
        if verdict is not None:
            asked = teacher.follow_up(problem, [replace(trace, verdict=verdict)])
            return [teacher.most_tokens(repair) for repair in asked if journal.get("reply", repair.key) is None]
    prompt, completion = teacher.most_tokens(teacher.book.longest_repair(problem, request.sample))
    return [(prompt + completion, completion)]  # it shows the attempt
