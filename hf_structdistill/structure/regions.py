"""Where the code is in a text: fenced blocks by the rules of CommonMark, or a text that is code as a whole."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .languages import Language, get_language
from .tree import SyntaxTree, parse


class Region(NamedTuple):
    """A span of code, in bytes of the text it was found in, fences excluded.

    `closed` is False where the text ended before the block did. `fenced` is False for a text that is code as a whole.
    """

    start: int
    end: int
    closed: bool
    fenced: bool


# Three or more backticks or tildes, and the rest of their line. Lines end at \n, \r\n or \r.
_FENCE = re.compile(rb"(`{3,}|~{3,})([^\r\n]*)")
_LINE_END = re.compile(rb"\r\n|\r|\n")
# The first word of an info string; `{.python}`, `python{1,3}` and `python:main.py` are in use too.
_INFO_WORD = re.compile(rb"[\s{.]*([^\s{}:,]*)")

DEFAULT_FENCE_NAMES = ("python", "py", "python3")


def code_regions(text: bytes, fence_names: Iterable[str] = DEFAULT_FENCE_NAMES) -> list[Region]:
    """The fenced code blocks of `text`, in order: those whose info string is empty or starts with a fence name.

    A block ends at a line with at least as many of the same character and nothing else. One that does not end
    reaches to the end of the text, with `closed=False`. Blocks of other languages are skipped, contents included.
    A fence indented by more than three spaces is no fence. Text without fences gives an empty list.
    """
    wanted = {name.lower().encode() for name in fence_names} | {b""}
    regions = []
    opened: tuple[int, bytes, bool] | None = None  # where the content starts, the fence, whether it is code
    for line_start, match in _fence_lines(text):
        fence, info = match.groups()
        if opened is not None:
            start, opener, is_code = opened
            if fence[:1] == opener[:1] and len(fence) >= len(opener) and not info.strip(b" \t"):
                if is_code:
                    regions.append(Region(start, max(start, line_start), True, True))
                opened = None
        elif not (fence[:1] == b"`" and b"`" in info):  # backticks behind backticks: inline code
            line_end = _LINE_END.match(text, match.end())
            start = line_end.end() if line_end else len(text)
            word = _INFO_WORD.match(info)
            opened = start, fence, (word.group(1).lower() if word else b"") in wanted
    if opened is not None and opened[2]:
        regions.append(Region(opened[0], len(text), False, True))
    return regions


def _fence_lines(text: bytes) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Where each line with a fence starts, and the match of its fence (CommonMark 0.31, section 4.5).

    A search for the three characters, then a look at what is before them: a regular expression over all line starts
    takes as long as parsing the code does.
    """
    ticks, tildes = text.find(b"```"), text.find(b"~~~")
    while (at := max(ticks, tildes) if ticks < 0 or tildes < 0 else min(ticks, tildes)) >= 0:
        start = at
        while start > 0 and at - start <= 3 and text[start - 1] == 0x20:
            start -= 1
        if at - start <= 3 and (start == 0 or text[start - 1] in b"\r\n"):
            match = _FENCE.match(text, at)
            assert match is not None
            yield start, match
            after = match.end()
        else:
            after = at + 3  # more of the same follows one of them, so it starts no line either
        if ticks >= 0:
            ticks = text.find(b"```", after)
        if tildes >= 0:
            tildes = text.find(b"~~~", after)


def has_fence(text: bytes) -> bool:
    """Whether any line of `text` opens a fenced block, of whatever language."""
    return next(_fence_lines(text), None) is not None


def bare_code(text: bytes, language: str | Language = "python", *, complete: bool = True) -> SyntaxTree | None:
    """The tree of a text that is code as a whole, or None for prose.

    The rule: no line is a fence; it parses without an error; and at least one top-level statement is more than an
    expression that prose can be mistaken for (`Yes`, `a, b`, `Answer: 42`), that is a definition, control statement,
    import, assignment of a value, or call. `complete=False` says that the text was cut off: then the lines before the
    cut decide (see `parse_prefix`). Reasoning followed by code without a fence counts as prose.
    """
    found = get_language(language)
    if not text.strip() or has_fence(text) or (found.name == "python" and reads_as_prose(text)):
        return None
    tree = parse_prefix(text, found, complete=complete)
    return tree if not tree.has_error and _states_something(tree) else None


def parse_prefix(code: bytes, language: str | Language, *, complete: bool) -> SyntaxTree:
    """The tree of `code`; of code that was cut off, the tree of its longest prefix that parses, if a short cut helps.

    An open bracket or half a statement at the end can put everything before it below an ERROR node. So 1, 2, 4, then
    8 lines are dropped, until the rest parses; if it never does, the tree is that of the whole. `tree.source` tells.
    """
    whole = tree = parse(code, language)
    dropped = 1
    lines = code.splitlines(keepends=True) if whole.has_error and not complete else []
    while tree.has_error and dropped <= 8 and dropped < len(lines):
        tree = parse(b"".join(lines[:-dropped]), language)
        dropped *= 2
    return whole if tree.has_error else tree


_KEYWORDS = frozenset(word.encode() for word in [*keyword.kwlist, *keyword.softkwlist, "print", "exec"])
_TWO_WORDS = re.compile(rb"(?<![\w.])([A-Za-z']+) (?=([A-Za-z']+))")


def reads_as_prose(text: bytes) -> bool:
    """Whether the first line has two neighbouring words of which neither is a keyword: no Python does.

    Only saves parsing: reasoning is the common case, and parsing prose is slow. Quotes and comments are left to the
    parser.
    """
    first = text.lstrip().split(b"\n", 1)[0]
    if b'"' in first or b"#" in first or first.count(b"'") > 1:
        return False
    return any(_KEYWORDS.isdisjoint(match.groups()) for match in _TWO_WORDS.finditer(first))


def _states_something(tree: SyntaxTree) -> bool:
    for child in tree.children(0):
        kind = tree.kind_name(child)
        if kind == "expression_statement":
            if any(_acts(tree, inner) for inner in tree.children(child)):
                return True
        elif tree.is_named(child) and "comment" not in kind:
            return True
    return False


def _acts(tree: SyntaxTree, expression: int) -> bool:
    """Whether an expression does something: assigns a value, or calls with the bracket right behind the name."""
    kind, parts = tree.kind_name(expression), tree.children(expression)
    if "assignment" in kind:
        return any(tree.kind_name(part).endswith("=") for part in parts)
    if "call" in kind or "invocation" in kind:
        return len(parts) < 2 or tree.ends[parts[0]] == tree.starts[parts[1]]
    return kind in ("await", "yield")
