"""Programs laid over the tokens that spell them: one pass of numpy over any number of programs at once.

numpy costs about a microsecond a call, and a training example's code has some fifty tokens. So the trees of a batch
are laid end to end, as if they were one forest over one text.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .languages import ERROR_KIND, Language
from .token_bytes import WHITE_SPACE
from .tree import SyntaxTree

IGNORED = -100
"""Label of an unsupervised token, and "no such ancestor"."""

# The score s of a token (DESIGN 6): how much of the program's structure it decides.
DECIDES, NAMES, PUNCTUATES, DECORATES = 1.0, 0.5, 0.25, 0.0

NO_NODE = ERROR_KIND + 1
"""Kind of the entry behind the last node, where the index -1 lands."""


class KindTables:
    """Per kind id of a grammar, as arrays: what a token of that kind scores, and its index among the node types."""

    def __init__(self, language: Language) -> None:
        named = {i: name for i, name in language.kind_names.items() if i in language.named_kinds and i != ERROR_KIND}
        # Names that start with an underscore are rules that no tree shows.
        self.names = sorted({name for name in named.values() if name and not name.startswith("_")})
        index = {name: n for n, name in enumerate(self.names)}
        self.types = np.full(NO_NODE + 1, IGNORED, dtype=np.int64)
        self.scores = np.full(NO_NODE + 1, PUNCTUATES, dtype=np.float32)
        for i, name in named.items():
            self.types[i] = index.get(name, IGNORED)
        self.scores[list(named)] = NAMES
        decisive = language.control_keywords | language.operators
        self.scores[list(language.kind_ids(decisive, named=False))] = DECIDES
        # Doc comments have parts in some grammars; all are called something with "comment".
        comments = language.comments | {name for name in self.names if "comment" in name}
        self.scores[list(language.kind_ids(comments))] = DECORATES
        self.scores[NO_NODE] = 0.0
        # Kinds that own text between their children: white space there is content, not layout.
        self.textual = np.zeros(NO_NODE + 1, dtype=bool)
        textual = {name for name in self.names if name.endswith("string_content")}
        self.textual[list(language.kind_ids(textual))] = True


class Program(NamedTuple):
    """A code region and its tree, which may end before the region does. Positions are bytes of the whole text."""

    tree: SyntaxTree
    start: int
    end: int


class AlignedPrograms:
    """Programs in ascending order within one text, and the tokens that overlap them.

    Args:
        programs: not empty, and none of them without bytes.
        text, offsets, blanks: as from `TokenBytes.text_of`.
        tables: of the programs' language.

    Attributes, one entry per pair of a program and a token in it:
        tokens: index of the token in the text.
        begin, end: where the token's bytes of the program start and end.
        nodes: index of the token's node, -1 for layout, outside the root and below an ERROR node.
    Attributes, one entry per node and one more for "no node", where index -1 lands:
        kinds, parents.
        broken: whether it is an ERROR node or below one; None where everything parsed.
    Attributes, one entry per program:
        first_nodes: index of the root.
        first_entries: index of its first token in `tokens`.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        text: bytes,
        offsets: np.ndarray,
        blanks: np.ndarray,
        tables: KindTables,
    ) -> None:
        self.programs, self.tables = programs, tables
        self._lay_out_tokens(text, offsets, blanks)
        self._lay_out_nodes()
        self.broken = self._find_broken()
        self.nodes = self._token_nodes()
        if self.broken is not None:
            self.nodes[self.broken[self.nodes]] = -1

    def _lay_out_tokens(self, text: bytes, offsets: np.ndarray, blanks: np.ndarray) -> None:
        starts = np.array([program.start for program in self.programs])
        ends = np.array([program.end for program in self.programs])
        first = offsets.searchsorted(starts, side="right") - 1
        counts = offsets.searchsorted(ends, side="left") - first
        self.first_entries: list[int] = (counts.cumsum() - counts).tolist()
        self.tokens = spans(first, counts)
        begin, end = offsets[self.tokens], offsets[self.tokens + 1]
        self._anchors = begin + blanks[self.tokens]
        lower = np.repeat(starts, counts)
        for entry in (begin < lower).nonzero()[0].tolist():  # holds the end of the fence's line, and code as well
            code = text[lower[entry] : end[entry]]
            self._anchors[entry] = lower[entry] + len(code) - len(code.lstrip(WHITE_SPACE))
        self.begin = np.maximum(begin, lower)
        self.end = np.minimum(end, np.repeat(ends, counts))

    def _lay_out_nodes(self) -> None:
        sizes = [len(program.tree.kinds) for program in self.programs]
        self.first_nodes = [0, *np.cumsum(sizes).tolist()[:-1]]
        shifts = np.repeat([program.start for program in self.programs], sizes)
        self.kinds = _lay_end_to_end((program.tree.kinds for program in self.programs), NO_NODE)
        self.parents = _lay_end_to_end((program.tree.parents for program in self.programs), -1)
        self._starts = _lay_end_to_end((program.tree.starts for program in self.programs), 0)[:-1]
        self._ends = _lay_end_to_end((program.tree.ends for program in self.programs), 0)
        self.parents[:-1] += np.repeat(self.first_nodes, sizes)
        self.parents[self.first_nodes] = -1
        self._starts += shifts
        self._ends[:-1] += shifts
        self._ends[-1] = self.programs[-1].end + 1  # past every byte

    def _find_broken(self) -> np.ndarray | None:
        if not any(program.tree.has_error for program in self.programs):
            return None
        flags = np.zeros(len(self.kinds), dtype=bool)
        for program, shift in zip(self.programs, self.first_nodes, strict=True):
            last = program.tree.last
            if program.tree.has_error:
                kinds = self.kinds[shift : shift + len(last)]
                for i in (kinds == ERROR_KIND).nonzero()[0].tolist():
                    if not flags[shift + i]:
                        flags[shift + i : shift + last[i]] = True
        return flags

    def leaves_at(self, positions: np.ndarray) -> np.ndarray:
        """Index of the leaf that starts at each byte: the last node in preorder that starts there or before."""
        return self._starts.searchsorted(positions, side="right") - 1

    def entries_at(self, positions: np.ndarray) -> np.ndarray:
        """Index, into `tokens`, of the token that holds each byte of code."""
        return self.begin.searchsorted(positions, side="right") - 1

    def _token_nodes(self) -> np.ndarray:
        """Each token's node by the rule of StructureAnnotator.

        In preorder the last node that starts at or before a byte lies in the subtree of the smallest node over that
        byte, so the answer is the first of its ancestors that reaches past the byte: mostly the node itself.
        """
        blank = self._anchors >= self.end
        anchors = np.where(blank, self.begin, self._anchors)
        nodes = self.leaves_at(anchors)
        short = (self._ends[nodes] <= anchors).nonzero()[0]
        while short.size:
            nodes[short] = self.parents[nodes[short]]
            short = short[self._ends[nodes[short]] <= anchors[short]]
        nodes[self.begin >= self.end] = -1
        inside = (blank & (nodes >= 0)).nonzero()[0]
        if inside.size:
            found = nodes[inside]
            # White space between a node's children is layout, unless the node is the content of a string. A node has
            # children where the next one in preorder is its child.
            layout = (self.parents[found + 1] == found) & ~self.tables.textual[self.kinds[found]]
            nodes[inside[layout]] = -1
        return nodes

    def unparsed_bytes(self, number: int) -> int:
        """Bytes of a program below ERROR nodes, or behind the prefix that its tree covers."""
        tree, start, end = self.programs[number]
        cut = end - start - len(tree.source)
        if self.broken is None or not tree.has_error:
            return cut
        nodes = slice(self.first_nodes[number], self.first_nodes[number] + len(tree))
        tops = self.broken[nodes] & ~self.broken[self.parents[nodes]]
        return cut + int((self._ends[nodes] - self._starts[nodes])[tops].sum())

    def node_scores(self) -> np.ndarray:
        """What tokens of each node score, data flow aside."""
        scores = self.tables.scores[self.kinds]
        for (tree, _, _), shift in zip(self.programs, self.first_nodes, strict=True):
            if b'"' in tree.source or b"'" in tree.source:
                for i in tree.docstrings:
                    scores[shift + i : shift + tree.last[i]] = DECORATES
        if self.broken is not None:
            scores[self.broken] = 0.0
        return scores

    def ancestors(self, depth: int) -> np.ndarray:
        """(tokens, depth) types of the named ancestors of each token's node, nearest first."""
        types = self.tables.types[self.kinds]
        parents = self.parents
        while (unnamed := (types[parents] == IGNORED) & (parents >= 0)).any():  # Python's "is not" has parts
            parents = np.where(unnamed, parents[parents], parents)
        chain = np.empty((depth, len(self.nodes)), dtype=np.int64)
        nodes = self.nodes
        for level in range(depth):
            chain[level] = nodes = parents[nodes]
        return types[chain].T


def spans(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The ranges [first, first + count), end to end."""
    before = counts.cumsum() - counts
    return np.repeat(first - before, counts) + np.arange(int(counts.sum()))


def _lay_end_to_end(lists: Iterable[list[int]], last: int) -> np.ndarray:
    """int64 array of all the lists and one more entry; array.array takes in lists faster than numpy does."""
    values = array("q")
    for more in lists:
        values.fromlist(more)
    values.append(last)
    return np.frombuffer(values, dtype=np.int64)
