"""One completion: as it is generated, and as it is scored."""

from __future__ import annotations

from dataclasses import dataclass

from ..problems.extraction import Extraction, extract_code
from ..problems.problem import Problem
from ..structure import parse

READS = ("answer", "code", "continues")
_BEGIN, _DONE = "[BEGIN]", "[DONE]"  # around the code in MBPP's few-shot format


@dataclass(frozen=True)
class Completion:
    """The `index` of its prompt, its text, its tokens, why it ended ("stop", "length") and its share of the time."""

    index: int
    text: str
    tokens: int | None
    finish_reason: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Sample:
    """A completion to be scored, and how its code is found, see [`read_code`]."""

    text: str
    reads: str = "answer"
    tokens: int | None = None
    finish_reason: str | None = None
    seconds: float | None = None


def read_code(text: str, problem: Problem, reads: str = "answer") -> Extraction:
    """The code of a completion.

    Args:
        reads: `"answer"`: prose and a fenced block, or whatever `extract_code` understands. `"code"`: the text is the
            program; with MBPP's markers, what stands between them. `"continues"`: it goes on where the problem's own
            code (HumanEval's head of a function) ends.
    """
    if reads == "answer":
        return extract_code(text, problem.entry_point)
    code = problem.prompt + text if reads == "continues" else _between_markers(text)
    if "```" in code and parse(code).has_error:  # a chat model that fences its code although nobody asked
        return extract_code(code, problem.entry_point)
    if not (text if reads == "continues" else code).strip():
        return Extraction(None, "", "no_code")
    return Extraction(code.strip("\r\n") + "\n", "", "ok")


def _between_markers(text: str) -> str:
    before, begin, after = text.partition(_BEGIN)
    return (after if begin else before).partition(_DONE)[0]


def cut_at(text: str, stops: tuple[str, ...] | list[str]) -> str:
    """`text` up to the first of the strings that end it."""
    ends = [place for place in (text.find(stop) for stop in stops) if place >= 0]
    return text[: min(ends)] if ends else text
