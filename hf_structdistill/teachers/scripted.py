"""Teachers whose replies come with the problems: the generators' own, and the seed problems' reasoning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..problems import Problem
from ..problems.prompting import format_completion, student_prompt
from .base import Answer, Reply, Request, batches
from .trace import Trace

SCRIPTED_LABEL = "scripted teacher of generated problems"
SEED_LABEL = "a very large language model, 2026"


class ScriptedTeacher:
    """Writes the reasoning that a problem brings along, then the reference code.

    listops and the generated families bring numbered steps that name the intermediate variables; seed problems bring
    the reasoning that a very large language model wrote for them. Problems without `metadata["reasoning"]` are
    passed over.

    Args:
        mistakes: also give, as a second sample of recipe "mistake", the wrong solution that the problem brings
            along. It is verified like any other reply, and becomes the `rejected` side of a pair.
    """

    def __init__(self, *, mistakes: bool = True) -> None:
        self.recipes = ("forward", "mistake") if mistakes else ("forward",)

    def requests(self, problem: Problem) -> Sequence[Request]:
        if not problem.metadata.get("reasoning") or problem.reference is None:
            return []
        return [
            Request(
                problem_id=problem.id,
                teacher=SEED_LABEL if problem.source == "seed" else SCRIPTED_LABEL,
                recipe=recipe,
                messages=({"role": "user", "content": student_prompt(problem)},),
                revision=problem.metadata.get("revision") or problem.metadata.get("content_hash"),
            )
            for recipe in self.recipes
            if recipe == "forward" or problem.metadata.get("wrong_solution")
        ]

    def follow_up(self, problem: Problem, traces: Sequence[Trace]) -> Sequence[Request]:
        return []

    def resume(self, answered: Iterable[Answer]) -> None:
        """Nothing is spent here."""

    def replies(self, requests: Iterable[tuple[Request, Problem]]) -> Iterator[list[Answer]]:
        yield from batches((request, self._reply(request, problem)) for request, problem in requests)

    @staticmethod
    def _reply(request: Request, problem: Problem) -> Reply:
        code = problem.reference if request.recipe == "forward" else problem.metadata["wrong_solution"]
        assert code is not None  # requests() asked for none without
        return Reply(format_completion(problem.metadata["reasoning"], code), finish_reason="stop")
