"""One teacher reply, parsed and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..sandbox.verdict import Verdict


@dataclass(frozen=True)
class Trace:
    """A teacher's attempt at a problem. Failed ones are kept: they are the wrong pathways.

    Attributes:
        problem_id: the `Problem.id` it answers.
        teacher: model id, or what the teacher is ("scripted teacher of generated problems").
        revision: commit or version of the teacher, where known.
        sampling: temperature, top_p, seed, recipe, …
        messages: the chat that was sent.
        reasoning: the reply without its code.
        code: the code of the reply; None when none could be extracted.
        tokens: tokens used, where the teacher reports them.
        finish_reason: as the endpoint reports it.
        verdict: the judge's; None before verification.
        recipe: how the teacher was asked: "forward" (problem to reasoning to code), "backward" (problem and
            reference to the plan that leads there), "repair", "mistake" (a wrong solution on purpose).
        sample: number of this sample among those of the same request.
        extraction: "ok", or why there is no code (see `problems.extraction`). Of a backward reply, whose code is the
            reference, what is wrong with the plan: "no_plan", "cut_plan", "code_in_plan", "unclosed_think".
        syntax, dataflow: strict structural scores in [0, 1] against the reference; None where undefined or failing.
        key: identifies teacher, revision, prompt, sampling and sample; the journal's key.
    """

    problem_id: str
    teacher: str
    reasoning: str
    code: str | None
    revision: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    messages: Sequence[Mapping[str, str]] = ()
    tokens: int | None = None
    finish_reason: str | None = None
    verdict: Verdict | None = None
    recipe: str = "forward"
    sample: int = 0
    extraction: str = "ok"
    syntax: float | None = None
    dataflow: float | None = None
    key: str = ""

    @property
    def passed(self) -> bool:
        return self.verdict is not None and self.verdict.passed
