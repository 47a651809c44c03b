"""The leaves of a tree as the published data flow sees them, and which of them it takes for variables."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from .rules import KindRules
from .trees import FlatTree


@dataclass
class Variables:
    """The variable tokens of one program, in order: everything whose text differs from its node type."""

    nodes: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    """Which token of the program each one is."""
    binds: list[bool] = field(default_factory=list)
    """Whether a first mention makes a definition: identifiers do, literals do not."""

    before: list[int] = field(default_factory=list)
    """How many of them come before each node and before the end, so that a subtree is a slice."""


def find_variables(tree: FlatTree, rules: KindRules) -> Variables:
    found = Variables()
    kinds, source, identifiers, before = tree.kinds, tree.source, rules.identifiers, found.before
    texts, plain = rules.texts, rules.plain_lengths
    text_of = None if source.isascii() else _ColumnText(tree.text, source)
    text = "" if text_of else source.decode("ascii")
    empty: dict[int, int] = {}  # byte offset -> last zero-width token there: the published index keeps one
    for token, node, start, end in tree.tokens:
        kind = kinds[node]
        if end - start == plain.get(kind) and not text_of:
            continue  # a keyword or an operator: its text is its type
        if start == end:
            empty[start] = token
        name = text_of(start, end) if text_of else text[start:end].replace("\n", "")
        if name != texts[kind]:
            before += [len(found.nodes)] * (node + 1 - len(before))
            found.nodes.append(node)
            found.names.append(name)
            found.positions.append(token if start != end else -1 - start)
            found.binds.append(kind in identifiers)
    before += [len(found.nodes)] * (len(kinds) + 1 - len(before))
    if empty:
        found.positions = [p if p >= 0 else empty[-1 - p] for p in found.positions]
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
