"""The leaves of a tree as the published data flow sees them, and which of them it takes for variables."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from .rules import KindRules
from .trees import FlatTree


@dataclass
class Variables:
    """The variable tokens of one program, in order: everything whose text differs from its node type."""

    names: list[str] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    """Which token of the program each one is."""
    binds: list[bool] = field(default_factory=list)
    """Whether a first mention makes a definition: identifiers do, literals do not."""
    before: list[int] = field(default_factory=list)
    """Per node (and one past the last): how many variable tokens come before it, so a subtree is a slice."""


def find_variables(tree: FlatTree, rules: KindRules) -> Variables:
    found = Variables()
    names, positions, binds, before = found.names, found.positions, found.binds, found.before
    kinds, starts, ends, last, source = tree.kinds, tree.starts, tree.ends, tree.last, tree.source
    texts, whole, comments, identifiers = rules.texts, rules.whole, rules.comments, rules.identifiers
    text_of = None if source.isascii() else _ColumnText(tree.text, source)
    empty: dict[int, int] = {}  # byte offset -> last zero-width token there: the published index keeps one
    skip_to, token = 0, 0
    for i, kind in enumerate(kinds):
        before.append(len(names))
        if i < skip_to or kind in comments or (last[i] != i + 1 and kind not in whole):
            continue
        start, end = starts[i], ends[i]
        if start == end:
            empty[start] = token
        raw = source[start:end]
        if raw != texts[kind] or text_of is not None or b"\n" in raw:
            name = text_of(start, end) if text_of else raw.decode().replace("\n", "")
            if name.encode("utf-8", "surrogatepass") != texts[kind]:
                names.append(name)
                positions.append(token if start != end else -1 - start)
                binds.append(kind in identifiers)
        skip_to = last[i]
        token += 1
    before.append(len(names))
    if empty:
        positions[:] = [p if p >= 0 else empty[-1 - p] for p in positions]
    return found


class _ColumnText:
    """Token text the published way: byte columns cut out of lines of characters, wrong behind a wide character."""

    def __init__(self, text: str, source: bytes) -> None:
        self.lines = text.split("\n")
        self.line_starts = [0]
        for line in source.split(b"\n"):
            self.line_starts.append(self.line_starts[-1] + len(line) + 1)

    def __call__(self, start: int, end: int) -> str:
        first, final = (bisect_right(self.line_starts, offset) - 1 for offset in (start, end))
        left, right = start - self.line_starts[first], end - self.line_starts[final]
        if first == final:
            return self.lines[first][left:right]
        return "".join([self.lines[first][left:], *self.lines[first + 1 : final], self.lines[final][:right]])
