"""Source bytes to a syntax tree, laid out as flat arrays in preorder.

Flat arrays because every later stage (data flow, subtree hashes, token alignment) is a loop over nodes: one cursor
walk pays for the calls into tree-sitter once, and nothing recurses, whatever the nesting depth of the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

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
        words: index -> text of the leaves whose text matters to an analysis (`Language.words`).

    Scoring walks the tree itself and asks for few positions: `starts`, `ends` and `parents` are found on first use
    where the walk left them out.
    """

    def __init__(self, source: bytes, language: Language, raw: tree_sitter.Tree) -> None:
        self.source = source
        self.language = language
        self.raw = raw
        self.has_error: bool = raw.root_node.has_error
        self.kinds: list[int] = []
        self.last: list[int] = []
        self.missing: list[int] = []
        self.words: dict[int, str] = {}

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
    def starts(self) -> list[int]:
        return self._positions[0]

    @cached_property
    def ends(self) -> list[int]:
        return self._positions[1]

    @cached_property
    def _positions(self) -> tuple[list[int], list[int]]:
        whole = SyntaxTree(self.source, self.language, self.raw)
        _walk(whole)
        return whole.starts, whole.ends

    @cached_property
    def parents(self) -> list[int]:
        parents: list[int] = []
        open_nodes = [-1]
        for i, end in enumerate(self.last):
            while len(open_nodes) > 1 and self.last[open_nodes[-1]] <= i:
                open_nodes.pop()
            parents.append(open_nodes[-1])
            if end > i + 1:
                open_nodes.append(i)
        return parents

    def spell_words(self) -> None:
        """Turn the words from one character a byte, as a walk cuts them out, into text."""
        if not self.source.isascii():
            for i, word in self.words.items():
                if not word.isascii():
                    self.words[i] = word.encode("latin-1").decode("utf-8", "surrogateescape")

    @cached_property
    def docstrings(self) -> list[int]:
        """Statements that only document (`Language.is_docstring`), empty where the language has none."""
        is_docstring, statements = self.language.is_docstring, self.language.statement_kinds
        if is_docstring is None:
            return []
        parents, found = self.parents, []
        for i, kind in enumerate(self.kinds):
            if kind in statements:
                body = parents[i]
                if is_docstring(self, i, body, parents[body] if body >= 0 else -1):
                    found.append(i)
        return found


def unwalked(source: str | bytes, language: str | Language = "python") -> SyntaxTree:
    """`parse` for a caller that walks `SyntaxTree.raw` itself and fills in kinds, last, missing and words."""
    found = get_language(language)
    data = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else bytes(source)
    # A parser costs under a microsecond, and a fresh one needs no lock between threads.
    return SyntaxTree(data, found, tree_sitter.Parser(found.grammar).parse(data))


def parse(source: str | bytes, language: str | Language = "python") -> SyntaxTree:
    """Parse `source`. Never fails on any text or bytes: what does not parse sits below ERROR nodes (`has_error`).

    A string is encoded as UTF-8; lone surrogates pass through as their three bytes, so offsets always agree with
    `source.encode("utf-8", "surrogatepass")`. Raises InputError for a language that is unknown or not installed.
    """
    tree = unwalked(source, language)
    _walk(tree)
    return tree


def _walk(tree: SyntaxTree) -> None:
    """Fill in everything in preorder. Three calls into tree-sitter per node, hence the shape."""
    cursor = tree.raw.walk()
    down, right, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    kinds, last, words, missing = tree.kinds, tree.last, tree.words, tree.missing
    starts: list[int] = []
    ends: list[int] = []
    parents: list[int] = []
    tree.starts, tree.ends, tree.parents = starts, ends, parents
    broken, wordy, text = tree.has_error, tree.language.word_kinds, tree.source.decode("latin-1")
    parent, i = -1, 0
    while True:
        node: Any = cursor.node
        kind = node.kind_id
        kinds.append(kind)
        start, end = node.byte_range
        starts.append(start)
        ends.append(end)
        parents.append(parent)
        if kind in wordy:
            words[i] = text[start:end]
        if broken and node.is_missing:
            missing.append(i)
        i += 1
        last.append(i)
        if down():
            parent = i - 1
            continue
        while not right():
            if not up():
                tree.spell_words()
                return
            last[parent] = i
            parent = parents[parent]
