"""A reply of a teacher to a trace: its reasoning, and its code or why there is none."""

from __future__ import annotations

from dataclasses import replace

from ..problems import Problem
from ..problems.extraction import extract_code, split_thinking
from ..structure.regions import has_fence
from .base import Reply, Request
from .trace import Trace

CUT = ("length", "content_filter")  # reasons for stopping before the end


def read_reply(request: Request, problem: Problem, reply: Reply) -> Trace:
    """The trace, not judged yet. Its code is the reply's; the problem's reference for a "backward" request."""
    trace = Trace(
        problem_id=problem.id,
        teacher=request.teacher,
        reasoning="",
        code=None,
        revision=request.revision,
        sampling=request.sampling,
        messages=request.messages,
        tokens=reply.completion_tokens,
        finish_reason=reply.finish_reason,
        recipe=request.recipe,
        sample=request.sample,
        key=request.key,
    )
    if request.recipe == "backward":
        plan, status = _read_plan(reply)
        return replace(trace, reasoning=plan, code=problem.reference if status == "ok" else None, extraction=status)
    found = extract_code(reply.text, problem.entry_point, reasoning_content=reply.reasoning_content)
    return replace(trace, reasoning=found.reasoning.strip(), code=found.code, extraction=found.status)


def _read_plan(reply: Reply) -> tuple[str, str]:
    """The plan of a backward reply, and "ok" or what is wrong with it: any text would pass the reference's tests.

    Thinking is no part of it: it talks of the solution that was shown.
    """
    thinking, plan, thought_ends = split_thinking(reply.text)
    plan = plan.strip()
    if not thought_ends:
        return thinking.strip(), "unclosed_think"
    if not plan:
        return plan, "no_plan"
    if reply.finish_reason in CUT:
        return plan, "cut_plan"
    return plan, "code_in_plan" if has_fence(plan.encode("utf-8", "surrogatepass")) else "ok"
