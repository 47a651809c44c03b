"""The code in a model's completion: one rule, shared by traces, evaluation and training."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..structure import SyntaxTree, code_regions, get_language, parse
from ..structure.regions import Region, bare_code, has_fence, reads_as_prose

Status = Literal["ok", "no_code", "unclosed_fence", "unclosed_think"]


@dataclass(frozen=True)
class Extraction:
    """What a completion holds.

    Attributes:
        code: the code, fences removed; None unless `status` is `"ok"`.
        reasoning: what was written before the code, thinking included.
        status: `"ok"`; `"no_code"`; `"unclosed_fence"` or `"unclosed_think"` where the completion ends inside the
            block of code it is about, or inside its thinking. The last three are failures of extraction, to be
            counted apart from wrong answers.
    """

    code: str | None
    reasoning: str
    status: Status


def extract_code(
    completion: str, entry_point: str | None = None, *, reasoning_content: str | None = None
) -> Extraction:
    """Finds the Python code of a completion.

    1. `<think>…</think>` at the start is reasoning, code in it included. A `</think>` without its opening tag closes
       thinking that the prompt opened. Thinking that is not closed: `"unclosed_think"`.
    2. Fenced blocks (`code_regions`): the last one that defines `entry_point`; where none does or none is asked for,
       the last that defines a function or class, else the last that parses to more than an expression, else the
       last. If that block is not closed: `"unclosed_fence"`.
    3. Without any fence: the whole text where it is code; else the first stretch of lines that starts with a
       definition, import or decorator and reads as code, where it parses.

    Args:
        completion: text of the reply.
        entry_point: name of the function that the tests call.
        reasoning_content: reasoning that the API returned apart from the reply.
    """
    thinking, answer, thought_ends = split_thinking(completion)
    before = [reasoning_content or "", thinking]
    if not thought_ends:
        return Extraction(None, _join(before), "unclosed_think")
    text = answer.encode("utf-8", "surrogatepass")
    if has_fence(text):
        return _from_fences(text, entry_point, before)
    if bare_code(text) is not None:
        return Extraction(answer.strip("\r\n") + "\n", _join(before), "ok")
    lines = answer.splitlines(keepends=True)
    start, stop = _stretch_of_code(lines)
    code = "".join(lines[start:stop]).rstrip()
    if not code or parse(code).has_error:
        return Extraction(None, _join([*before, answer]), "no_code")
    return Extraction(code + "\n", _join([*before, *lines[:start]], ""), "ok")


# A closing tag whose opening tag was part of the prompt. It stands at an end of its line, unlike one in a string.
_LONE_CLOSE = re.compile(r"^[ \t]*</think>|</think>[ \t]*$", re.MULTILINE)


def split_thinking(completion: str) -> tuple[str, str, bool]:
    """Thinking, answer, and whether the thinking comes to an end."""
    start = completion.lstrip()
    if start.startswith("<think>"):
        thinking, closing, answer = start.removeprefix("<think>").partition("</think>")
        return thinking, answer, bool(closing)
    if found := _LONE_CLOSE.search(completion):
        return completion[: found.start()], completion[found.end() :], True
    return "", completion, True


def _from_fences(text: bytes, entry_point: str | None, before: list[str]) -> Extraction:
    found = code_regions(text, get_language("python").fence_names)
    regions = [region for region in found if text[region.start : region.end].strip()]
    if not regions:
        cut = bool(found) and not found[-1].closed
        return Extraction(None, _join([*before, _decode(text)]), "unclosed_fence" if cut else "no_code")
    chosen = max(regions, key=lambda region: (_rank(text, region, entry_point), region.start))
    opening = text.rfind(b"\n", 0, max(chosen.start - 1, 0)) + 1  # of the fence's line
    reasoning = _join([*before, _decode(text[:opening])])
    if not chosen.closed:
        return Extraction(None, reasoning, "unclosed_fence")
    fence_line = text[opening : chosen.start]
    indent = len(fence_line) - len(fence_line.lstrip(b" "))
    code = _decode(text[chosen.start : chosen.end])
    if indent:  # an indented fence takes as much indentation off its lines (CommonMark 4.5)
        code = re.sub(rf"^ {{1,{indent}}}", "", code, flags=re.MULTILINE)
    return Extraction(code, reasoning, "ok")


def _rank(text: bytes, region: Region, entry_point: str | None) -> int:
    """How likely a block is the answer: 3 defines the entry point, 2 anything, 1 states something, 0."""
    code = text[region.start : region.end]
    defined = _defined_names(parse(code))
    if entry_point is not None and entry_point.encode("utf-8", "surrogatepass") in defined:
        return 3
    return 2 if defined else int(bare_code(code) is not None)


def _defined_names(tree: SyntaxTree) -> set[bytes]:
    """Names of the functions and classes that a program defines, and of top-level `name = lambda …`."""
    names: set[bytes] = set()
    for i in range(len(tree)):
        kind = tree.kind_name(i)
        if not tree.is_named(i) or kind not in ("function_definition", "class_definition", "lambda"):
            continue
        if kind != "lambda":
            names.update(tree.text(c) for c in tree.children(i) if tree.kind_name(c) == "identifier")
        elif tree.kind_name(tree.parents[i]) == "assignment":
            names.add(tree.text(tree.children(tree.parents[i])[0]))
    return names


_OPENS_CODE = re.compile(r"(def|class|async def|import|from) \w|@\w")
_CONTINUES_CODE = re.compile(
    r"""\s|$|[#@)\]}]|(def|class|async|import|from|if|elif|for|while|with|except|return|assert|raise|del)\b.*
    |(else|try|finally)\s*:|[A-Za-z_][\w.]*\(|[A-Za-z_][^=(]*?(\*\*|//|>>|<<|[-+*/%&|^@:])?=[^=]""",
    re.VERBOSE,
)


def _stretch_of_code(lines: list[str]) -> tuple[int, int]:
    """The first run of lines that reads as code, starting at a definition, import or decorator."""
    prose = [bool(line.strip()) and reads_as_prose(line.encode("utf-8", "surrogatepass")) for line in lines]
    start = next((n for n, line in enumerate(lines) if _OPENS_CODE.match(line) and not prose[n]), len(lines))
    stop = start
    while stop < len(lines) and _CONTINUES_CODE.match(lines[stop]) and (lines[stop][0].isspace() or not prose[stop]):
        stop += 1
    return start, stop


def _join(parts: list[str], separator: str = "\n\n") -> str:
    return separator.join(part.strip() if separator else part for part in parts if part.strip()).strip()


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "surrogatepass")
