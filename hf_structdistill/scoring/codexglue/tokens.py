"""The leaves of a tree as the published data flow sees them, and which of them it takes for variables."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
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

    def before(self, node: int) -> int:
        """How many variable tokens come before a node, so that a subtree is a slice."""
        return bisect_left(self.nodes, node)


def find_variables(tree: FlatTree, rules: KindRules) -> Variables:
    found = Variables()
    kinds, starts, ends, source, identifiers = tree.kinds, tree.starts, tree.ends, tree.source, rules.identifiers
    texts, plain = rules.texts, rules.plain_lengths
    text_of = None if source.isascii() else _ColumnText(tree.text, source)
    empty: dict[int, int] = {}  # byte offset -> last zero-width token there: the published index keeps one
    for token, node in enumerate(_tokens(tree, rules)):
        kind, start, end = kinds[node], starts[node], ends[node]
        if end - start == plain.get(kind) and not text_of:
            continue  # a keyword or an operator: its text is its type
        if start == end:
            empty[start] = token
        name = text_of(start, end) if text_of else source[start:end].decode().replace("\n", "")
        if name != texts[kind]:
            found.nodes.append(node)
            found.names.append(name)
            found.positions.append(token if start != end else -1 - start)
            found.binds.append(kind in identifiers)
    if empty:
        found.positions = [p if p >= 0 else empty[-1 - p] for p in found.positions]
    return found


def _tokens(tree: FlatTree, rules: KindRules) -> Iterator[int]:
    """The leaves, but for comments; a string is one token whatever is in it."""
    kinds, last = tree.kinds, tree.last
    strings = [node for node in tree.marked if kinds[node] in rules.whole]
    strings.append(len(kinds))
    nth, skip_to = 0, 0
    for leaf in tree.leaves:
        if leaf < skip_to:
            continue
        if strings[nth] < leaf:
            yield strings[nth]
            skip_to = last[strings[nth]]
            while strings[nth] < skip_to:
                nth += 1
        elif kinds[leaf] not in rules.comments:
            yield leaf


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
