"""Teachers whose replies come with the problems: the generator of listops, and the seed problems' own reasoning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..problems import Problem
from ..problems.prompting import format_completion, student_prompt
from .base import Reply, Request

SCRIPTED_LABEL = "scripted listops teacher"
SEED_LABEL = "a very large language model, 2026"


class ScriptedTeacher:
    """Writes the reasoning that a problem brings along, then the reference code.

    listops problems bring numbered steps that name the intermediate variables; seed problems bring the reasoning
    that a very large language model wrote for them. Problems without `metadata["reasoning"]` are passed over.

    Args:
        mistakes: also give, as a second sample of recipe "mistake", the wrong solution that the problem brings
            along. It is verified like any other reply, and becomes the `rejected` side of a pair.
    """

    immediate = True

    def __init__(self, *, mistakes: bool = True) -> None:
        self.recipes = ("forward", "mistake") if mistakes else ("forward",)

    def requests(self, problem: Problem) -> Sequence[Request]:
        if not problem.metadata.get("reasoning") or problem.reference is None:
            return []
        return [
            Request(
                problem_id=problem.id,
                teacher=SCRIPTED_LABEL if problem.source == "listops" else SEED_LABEL,
                recipe=recipe,
                messages=({"role": "user", "content": student_prompt(problem)},),
                revision=problem.metadata.get("revision") or problem.metadata.get("content_hash"),
            )
            for recipe in self.recipes
            if recipe == "forward" or problem.metadata.get("wrong_solution")
        ]

    def replies(self, requests: Iterable[tuple[Request, Problem]]) -> Iterator[tuple[Request, Reply]]:
        for request, problem in requests:
            code = problem.reference if request.recipe == "forward" else problem.metadata["wrong_solution"]
            assert code is not None  # requests() asked for none without
            yield request, Reply(format_completion(problem.metadata["reasoning"], code), finish_reason="stop")
