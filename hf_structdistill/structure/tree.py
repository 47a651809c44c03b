"""Source bytes to a syntax tree, laid out as flat arrays in preorder.

Flat arrays because every later stage (data flow, subtree hashes, token alignment) is a loop over nodes: one cursor
walk pays for the calls into tree-sitter once, and nothing recurses, whatever the nesting depth of the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import tree_sitter

from .languages import Language, get_language


class SyntaxTree:
    """The concrete syntax tree of one source text. Node 0 is the root; children follow their parent in order.

    Attributes, all lists with one entry per node:
        kinds: grammar kind id of each node (`Language.kind_names` gives the type); an ERROR node has 65535.
        starts, ends: byte offsets into `source`, end exclusive.
        parents: index of the parent, -1 for the root.
        last: one past the last node of the subtree, so that the subtree of node i is the slice [i, last[i]).

    Attributes of the whole:
        source: the bytes that were parsed.
        language: the Language.
        has_error: whether any part did not parse (an ERROR node, or a token the parser had to invent).
        missing: indices of the invented, zero-width tokens.
    """

    __slots__ = (
        "source",
        "language",
        "has_error",
        "kinds",
        "starts",
        "ends",
        "parents",
        "last",
        "missing",
        "__dict__",
    )

    def __init__(self, source: bytes, language: Language, raw: tree_sitter.Tree) -> None:
        self.source = source
        self.language = language
        self.has_error: bool = raw.root_node.has_error
        self.missing: list[int] = []
        self.kinds, self.starts, self.ends, self.parents, self.last = _flatten(raw)
        if self.has_error:
            self.missing = _missing(raw, len(self.kinds))

    def __len__(self) -> int:
        return len(self.kinds)

    def __repr__(self) -> str:
        return f"SyntaxTree({self.language.name}, {len(self)} nodes, {len(self.source)} bytes, error={self.has_error})"

    def children(self, i: int) -> list[int]:
        """Indices of the direct children of node i, in source order, anonymous tokens and comments included."""
        last, stop, found = self.last, self.last[i], []
        i += 1
        while i < stop:
            found.append(i)
            i = last[i]
        return found

    def ancestors(self, i: int) -> Iterator[int]:
        """Indices of the parent of i, its parent, and so on up to the root."""
        parents = self.parents
        while (i := parents[i]) >= 0:
            yield i

    def is_named(self, i: int) -> bool:
        return self.kinds[i] in self.language.named_kinds

    def kind_name(self, i: int) -> str:
        return self.language.kind_names[self.kinds[i]]

    def text(self, i: int) -> bytes:
        return self.source[self.starts[i] : self.ends[i]]

    @cached_property
    def docstrings(self) -> list[int]:
        """Statements that only document (`Language.find_docstrings`), empty where the language has none."""
        find = self.language.find_docstrings
        return find(self) if find is not None else []


def parse(source: str | bytes, language: str | Language = "python") -> SyntaxTree:
    """Parse `source`. Never fails on any text or bytes: what does not parse sits below ERROR nodes (`has_error`).

    A string is encoded as UTF-8; lone surrogates pass through as their three bytes, so offsets always agree with
    `source.encode("utf-8", "surrogatepass")`. Raises InputError for a language that is unknown or not installed.
    """
    found = get_language(language)
    data = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else bytes(source)
    # A parser costs under a microsecond, and a fresh one needs no lock between threads.
    return SyntaxTree(data, found, tree_sitter.Parser(found.grammar).parse(data))


def _flatten(raw: tree_sitter.Tree) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Preorder arrays (kinds, starts, ends, parents, last). Three calls into tree-sitter per node, hence the shape."""
    cursor = raw.walk()
    down, right, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    kinds: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    parents: list[int] = []
    last: list[int] = []
    parent, i = -1, 0
    while True:
        node = cursor.node
        kinds.append(node.kind_id)  # type: ignore[union-attr]
        start, end = node.byte_range  # type: ignore[union-attr]
        starts.append(start)
        ends.append(end)
        parents.append(parent)
        i += 1
        last.append(i)
        if down():
            parent = i - 1
            continue
        while not right():
            if not up():
                return kinds, starts, ends, parents, last
            last[parent] = i
            parent = parents[parent]


def _missing(raw: tree_sitter.Tree, count: int) -> list[int]:
    """Preorder indices of missing tokens; a walk of its own, because only broken programs need it."""
    cursor = raw.walk()
    found = []
    for i in range(count):
        node = cursor.node
        if node is not None and node.is_missing:
            found.append(i)
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return found
    return found
