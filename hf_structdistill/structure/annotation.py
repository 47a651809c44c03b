"""Structure of one training example, found from its token ids alone: what each token is in the program's syntax tree,
and which earlier tokens define the variables it uses.

Per token there is no Python loop: nodes are found by binary search over the flat arrays of the tree.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InputError
from .dataflow import analyse_dataflow
from .languages import ERROR_KIND, Language, get_language
from .regions import Region, bare_code, code_regions, has_fence, parse_prefix
from .token_bytes import WHITE_SPACE, TokenBytes
from .tree import SyntaxTree

IGNORED = -100
"""Label of an unsupervised token, and "no such ancestor"."""

# The score s of a token (DESIGN 6): how much of the program's structure it decides.
_DECIDES, _NAMES, _PUNCTUATES, _DECORATES = 1.0, 0.5, 0.25, 0.0

NO_NODE = ERROR_KIND + 1
"""Kind of the entry behind the last node, where the index -1 lands."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """Structure of one segment of T tokens; positions count its tokens from 0. Unsupervised tokens carry none.

    Attributes:
        structure_score: (T,) float32 in [0, 1]. Control keywords, operators, definitions and uses with a reaching
            definition 1; other names and literals 0.5; punctuation 0.25; layout, comments, docstrings, everything
            below an ERROR node and everything outside code 0.
        code_mask: (T,) bool, tokens with at least one byte of code, layout and comments included.
        ancestor_types: (T, k) int64, types of the token's node's first k named ancestors, nearest first, as indices
            into `StructureAnnotator.node_type_names`; -100 where there is none.
        dataflow_uses: (N,) int64, first token of each use that has a reaching definition before it, ascending.
        dataflow_sources: (N, C) int64, first tokens of the use's reaching definitions, ascending, -1 padded.
        variable_positions: (M,) int64, first tokens of all occurrences of variables, ascending, each once.
        code_start: first code token, -1 if there is none.
        code_bytes: bytes of code.
        unparsed_bytes: bytes of code that did not parse: below an ERROR node, or cut off at the end.
    """

    structure_score: np.ndarray
    code_mask: np.ndarray
    ancestor_types: np.ndarray
    dataflow_uses: np.ndarray
    dataflow_sources: np.ndarray
    variable_positions: np.ndarray
    code_start: int
    code_bytes: int
    unparsed_bytes: int


class StructureAnnotator:
    """Finds the structure of segments (one example each) from their token ids.

    Args:
        table: the tokenizer's `TokenBytes`.
        language: name of the code's language.
        num_ancestors: k of `Annotation.ancestor_types`.

    Which token belongs to which node: a token's *anchor* is its first byte of code that is not white space, or its
    first byte of code if all are; its *node* is the smallest syntax node that contains the anchor. So `" x"` belongs
    to the identifier, `"):\\n"` to the bracket, and every token of a long identifier to that identifier. A token
    of white space alone is layout and has no node, except inside a string.

    Each code region is a program of its own. Where the supervised part has no fence at all it may be code as a whole
    (`regions.bare_code`). Special tokens are no text: `` ``` `` followed by `</s>` is a closing fence.
    """

    def __init__(self, table: TokenBytes, language: str | Language = "python", num_ancestors: int = 4) -> None:
        if num_ancestors < 0:
            raise InputError(f"expected num_ancestors >= 0, got {num_ancestors}")
        self.table = table
        self.language = get_language(language)
        self.num_ancestors = num_ancestors
        self._kinds = _KindTables(self.language)

    @property
    def node_type_names(self) -> list[str]:
        """Names of the node types that `Annotation.ancestor_types` counts; the same for every run of a grammar."""
        return self._kinds.names

    @property
    def num_node_types(self) -> int:
        return len(self._kinds.names)

    def annotate(self, input_ids: Any, labels: Any = None) -> Annotation:
        """The structure of one segment. Never fails on any ids.

        Args:
            input_ids: (T,) ids: a list, array or CPU tensor.
            labels: (T,), -100 where unsupervised (TRL's labels, not shifted); None supervises everything.

        Raises:
            InputError: labels of another length.
        """
        ids = np.asarray(input_ids, dtype=np.int64).reshape(-1)
        page = _Page(len(ids), self.num_ancestors)
        for start, stop in _supervised_runs(labels, len(ids)):
            self._annotate_run(page, ids, start, stop)
        return page.finish()

    def _annotate_run(self, page: _Page, ids: np.ndarray, start: int, stop: int) -> None:
        text, offsets, blanks = self.table.text_of(ids[start:stop])
        # Supervised to the very end of the segment and no end-of-text token there: the text was cut off.
        complete = stop < len(ids) or self.table.is_special(int(ids[-1]))
        for region, tree in self._programs(text, complete):
            page.add(AlignedProgram(tree, region, text, offsets, blanks, self._kinds), start)

    def _programs(self, text: bytes, complete: bool) -> list[tuple[Region, SyntaxTree]]:
        """The code regions of a text that are not empty, parsed."""
        if not has_fence(text):
            tree = bare_code(text, self.language, complete=complete)
            return [(Region(0, len(text), complete, False), tree)] if tree is not None else []
        return [
            (region, parse_prefix(text[region.start : region.end], self.language, complete=region.closed))
            for region in code_regions(text, self.language.fence_names)
            if region.end > region.start
        ]


class _KindTables:
    """Per kind id of a grammar, as arrays: what a token of that kind scores, and its index among the node types."""

    def __init__(self, language: Language) -> None:
        named = {i: name for i, name in language.kind_names.items() if i in language.named_kinds and i != ERROR_KIND}
        # Names that start with an underscore are rules that no tree shows.
        self.names = sorted({name for name in named.values() if name and not name.startswith("_")})
        index = {name: n for n, name in enumerate(self.names)}
        # One entry more than there are kinds: "no node", where index -1 lands.
        self.types = np.full(ERROR_KIND + 2, IGNORED, dtype=np.int64)
        self.scores = np.full(ERROR_KIND + 2, _PUNCTUATES, dtype=np.float32)
        for i, name in named.items():
            self.types[i] = index.get(name, IGNORED)
        self.scores[list(named)] = _NAMES
        decisive = language.control_keywords | language.operators
        self.scores[list(language.kind_ids(decisive, named=False))] = _DECIDES
        # Doc comments have parts in some grammars; all are called something with "comment".
        comments = language.comments | {name for name in self.names if "comment" in name}
        self.scores[list(language.kind_ids(comments))] = _DECORATES
        self.scores[NO_NODE] = 0.0
        # Kinds that own text between their children: white space there is content, not layout.
        self.textual = np.zeros(ERROR_KIND + 2, dtype=bool)
        textual = {name for name in self.names if name.endswith("string_content")}
        self.textual[list(language.kind_ids(textual))] = True


class AlignedProgram:
    """One code region: its tree as arrays, and the tokens of a text that lie in it.

    Args:
        tree: tree of the region, or of a prefix of it.
        region: where the code lies in `text`; not empty.
        text, offsets, blanks: as from `TokenBytes.text_of`.

    Attributes:
        tokens: slice of the text's tokens that overlap the region.
        begin, end: (tokens,) where each token's bytes of the region start and end, counted from the region's start.
        kinds, parents: per node, and one entry more for "no node", where index -1 lands.
    """

    def __init__(
        self,
        tree: SyntaxTree,
        region: Region,
        text: bytes,
        offsets: np.ndarray,
        blanks: np.ndarray,
        tables: _KindTables,
    ) -> None:
        self.tree, self.tables = tree, tables
        self.size = region.end - region.start
        first = int(offsets.searchsorted(region.start, side="right")) - 1
        stop = int(offsets.searchsorted(region.end, side="left"))
        self.tokens = slice(first, stop)
        bounds = offsets[first : stop + 1] - region.start
        self._anchors = bounds[:-1] + blanks[first:stop]
        if bounds[0] < 0:  # the token that holds the end of the fence's line holds code as well
            code = text[region.start : offsets[first + 1]]
            self._anchors[0] = len(code) - len(code.lstrip(WHITE_SPACE))
            bounds[0] = 0
        bounds[-1] = min(int(bounds[-1]), self.size)
        self.begin, self.end = bounds[:-1], bounds[1:]
        self.kinds = _as_array(tree.kinds, NO_NODE)
        self.parents = _as_array(tree.parents, -1)
        self._starts = _as_array(tree.starts)
        self._ends = _as_array(tree.ends, self.size + 1)

    def leaves_at(self, positions: np.ndarray) -> np.ndarray:
        """Index of the leaf that starts at each byte: the last node in preorder that starts there or before."""
        return self._starts.searchsorted(positions, side="right") - 1

    def token_nodes(self) -> np.ndarray:
        """Each token's node, -1 for layout and outside the root (see StructureAnnotator for the rule).

        In preorder the last node that starts at or before a byte lies in the subtree of the smallest node over that
        byte, so the answer is the first of its ancestors that reaches past the byte: mostly the node itself.
        """
        blank = self._anchors >= self.end
        anchors = np.where(blank, self.begin, self._anchors)
        nodes = self.leaves_at(anchors)
        short = (self._ends[nodes] <= anchors).nonzero()[0]
        while short.size:
            nodes[short] = self.parents[nodes[short]]
            # White space between nodes is layout, unless their parent is the content of a string: no need to go on.
            over = blank[short] & ~self.tables.textual[self.kinds[nodes[short]]]
            nodes[short[over]] = -1
            short = short[self._ends[nodes[short]] <= anchors[short]]
        nodes[self.begin >= self.end] = -1
        inside = (blank & (nodes >= 0)).nonzero()[0]
        if inside.size:
            found = nodes[inside]
            # A node has children where the next one in preorder is its child.
            layout = (self.parents[found + 1] == found) & ~self.tables.textual[self.kinds[found]]
            nodes[inside[layout]] = -1
        return nodes

    @cached_property
    def broken(self) -> np.ndarray | None:
        """Bool, one entry a node and one for "no node": ERROR nodes and all below them. None if there are none."""
        if not self.tree.has_error:
            return None
        flags = np.zeros(len(self.kinds), dtype=bool)
        for i in (self.kinds == ERROR_KIND).nonzero()[0].tolist():
            if not flags[i]:
                flags[i : self.tree.last[i]] = True
        return flags

    def unparsed_bytes(self) -> int:
        cut = self.size - len(self.tree.source)
        if self.broken is None:
            return cut
        tops = (self.broken & ~self.broken[self.parents]).nonzero()[0]
        return cut + int((self._ends[tops] - self._starts[tops]).sum())

    def node_scores(self) -> np.ndarray:
        """What tokens of each node score, data flow aside."""
        scores = self.tables.scores[self.kinds]
        if b'"' in self.tree.source or b"'" in self.tree.source:
            for i in self.tree.docstrings:
                scores[i : self.tree.last[i]] = _DECORATES
        if self.broken is not None:
            scores[self.broken] = 0.0
        return scores

    def ancestors(self, nodes: np.ndarray, depth: int) -> np.ndarray:
        """(tokens, depth) types of the named ancestors of `nodes`, nearest first."""
        types = self.tables.types[self.kinds]
        parents = self.parents
        unnamed = types[parents] == IGNORED
        if np.count_nonzero(unnamed) > 2:  # more than the root's and the last entry's: Python's "is not" has parts
            parents = parents.copy()
            while (unnamed := (types[parents] == IGNORED) & (parents >= 0)).any():
                parents[unnamed] = parents[parents[unnamed]]
        chain = np.empty((depth, len(nodes)), dtype=np.int64)
        for level in range(depth):
            chain[level] = nodes = parents[nodes]
        return types[chain].T

    def first_tokens(self, positions: np.ndarray) -> np.ndarray:
        """Index, among the region's tokens, of the token that holds each byte."""
        return self.begin.searchsorted(positions, side="right") - 1


class _Page:
    """The arrays of an Annotation while its programs are written into them."""

    def __init__(self, length: int, depth: int) -> None:
        self.score = np.zeros(length, dtype=np.float32)
        self.mask = np.zeros(length, dtype=bool)
        self.ancestors = np.full((length, depth), IGNORED, dtype=np.int64)
        self.sources: dict[int, set[int]] = {}
        self.variables: set[int] = set()
        self.code_start = -1
        self.code_bytes = 0
        self.unparsed_bytes = 0

    def add(self, program: AlignedProgram, shift: int) -> None:
        """Writes a program whose text starts at token `shift` of the segment."""
        tokens = slice(program.tokens.start + shift, program.tokens.stop + shift)
        nodes = program.token_nodes()
        if program.broken is not None:
            nodes[program.broken[nodes]] = -1
        self.mask[tokens] |= program.end > program.begin
        self.ancestors[tokens] = program.ancestors(nodes, self.ancestors.shape[1])
        self.code_start = tokens.start if self.code_start < 0 else self.code_start
        self.code_bytes += program.size
        self.unparsed_bytes += program.unparsed_bytes()
        node_scores = program.node_scores()
        bound_nodes, bound_tokens = self._add_dataflow(program, tokens.start)
        node_scores[bound_nodes] = _DECIDES
        self.score[tokens] = node_scores[nodes]
        # A token such as "(x" belongs to the bracket, and decides the variable all the same.
        self.score[bound_tokens] = _DECIDES

    def _add_dataflow(self, program: AlignedProgram, first: int) -> tuple[list[int], list[int]]:
        """Notes the program's variables; returns nodes and positions of the definitions and of the uses they reach."""
        if program.tree.language.analyse_dataflow is None:
            return [], []
        flow = analyse_dataflow(program.tree)
        if not flow.occurrences:
            return [], []
        starts = np.array([occurrence.start for occurrence in flow.occurrences])
        nodes = program.leaves_at(starts)
        positions = (program.first_tokens(starts) + first).tolist()
        if program.broken is None:
            sound = [True] * len(positions)
        else:
            sound = (~program.broken[nodes]).tolist()
        bound = [n for n, occurrence in enumerate(flow.occurrences) if occurrence.is_def and sound[n]]
        for use, definitions in flow.edges:
            if not sound[use] or not (reaching := [positions[d] for d in definitions if sound[d]]):
                continue
            bound.append(use)
            # A causal model can only point backwards: what a loop defines later in the text is left out.
            if earlier := {position for position in reaching if position < positions[use]}:
                self.sources.setdefault(positions[use], set()).update(earlier)
        self.variables.update(position for position, ok in zip(positions, sound, strict=True) if ok)
        return nodes[bound].tolist(), [positions[n] for n in bound]

    def finish(self) -> Annotation:
        uses = sorted(self.sources)
        width = max(map(len, self.sources.values()), default=0)
        rows = [sorted(self.sources[use]) + [-1] * (width - len(self.sources[use])) for use in uses]
        return Annotation(
            structure_score=self.score,
            code_mask=self.mask,
            ancestor_types=self.ancestors,
            dataflow_uses=np.array(uses, dtype=np.int64),
            dataflow_sources=np.array(rows, dtype=np.int64).reshape(len(uses), width),
            variable_positions=np.array(sorted(self.variables), dtype=np.int64),
            code_start=self.code_start,
            code_bytes=self.code_bytes,
            unparsed_bytes=self.unparsed_bytes,
        )


def _as_array(values: list[int], *more: int) -> np.ndarray:
    """int64 array of a list of ints; through array.array, which is several times faster than numpy here."""
    return np.frombuffer(array("q", [*values, *more]), dtype=np.int64)


def _supervised_runs(labels: Any, length: int) -> list[tuple[int, int]]:
    """(start, stop) of each stretch of supervised tokens: the turns of an assistant are texts of their own."""
    if labels is None:
        return [(0, length)] if length else []
    supervised = np.asarray(labels).reshape(-1) != IGNORED
    if len(supervised) != length:
        raise InputError(f"expected labels of shape (T,) = ({length},) as input_ids, got ({len(supervised)},)")
    if not length:
        return []
    edges = (supervised[1:] != supervised[:-1]).nonzero()[0] + 1
    bounds = [0, *edges.tolist(), length]
    first = 0 if supervised[0] else 1
    return list(zip(bounds[first:-1:2], bounds[first + 1 :: 2], strict=True))
