"""Structure of one training example, found from its token ids alone: what each token is in the program's syntax tree,
and which earlier tokens define the variables it uses.

Per token there is no Python loop: nodes are found by binary search over the flat arrays of the tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InputError
from .dataflow import analyse_dataflow
from .languages import ERROR_KIND, Language, get_language
from .regions import Region, bare_code, code_regions, has_fence, parse_prefix
from .token_bytes import TokenBytes
from .tree import SyntaxTree

IGNORED = -100
"""Label of an unsupervised token, and "no such ancestor"."""

# The score s of a token (DESIGN 6): how much of the program's structure it decides.
_DECIDES, _NAMES, _PUNCTUATES, _DECORATES = 1.0, 0.5, 0.25, 0.0

_IS_SPACE = np.zeros(256, dtype=bool)
_IS_SPACE[list(b" \t\r\n\f\v")] = True


@dataclass(frozen=True, slots=True)
class Annotation:
    """Structure of one segment of T tokens; positions count its tokens from 0. Unsupervised tokens carry none.

    Attributes:
        structure_score: (T,) float32 in [0, 1]. Control keywords, operators, definitions and uses with a reaching
            definition 1; other names and literals 0.5; punctuation 0.25; layout, comments, docstrings, everything
            below an ERROR node and everything outside code 0.
        code_mask: (T,) bool, tokens with at least one byte of code, layout and comments included.
        ancestor_types: (T, k) int64, types of the first k ancestors of the token's node, nearest first, as indices
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
        rows = self.table.rows(input_ids)
        page = _Page(len(rows), self.num_ancestors)
        for start, stop in _supervised_runs(labels, len(rows)):
            self._annotate_run(page, rows, start, stop)
        return page.finish()

    def _annotate_run(self, page: _Page, rows: np.ndarray, start: int, stop: int) -> None:
        run = rows[start:stop]
        text = self.table.bytes_of(run, skip_special=True)
        # Supervised to the very end of the segment and no end-of-text token there: the text was cut off.
        complete = stop < len(rows) or bool(self.table.special[run[-1]])
        if not has_fence(text):
            tree = bare_code(text, self.language, complete=complete)
            programs = [(Region(0, len(text), complete, False), tree)] if tree is not None else []
        else:
            programs = [
                (region, parse_prefix(text[region.start : region.end], self.language, complete=region.closed))
                for region in code_regions(text, self.language.fence_names)
            ]
        if programs:
            offsets = self.table.offsets(run, skip_special=True)
            for region, tree in programs:
                if region.end > region.start:
                    page.add(AlignedProgram(tree, region, text, offsets, start, self._kinds))


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
        self.scores[list(language.kind_ids(language.comments))] = _DECORATES
        self.comments = self._flags(language.comments, language)
        # Kinds that own text between their children: white space there is content, not layout.
        self.textual = self._flags({n for n in self.names if n.endswith("string_content") or n == "string"}, language)

    @staticmethod
    def _flags(names: Any, language: Language) -> np.ndarray:
        flags = np.zeros(ERROR_KIND + 2, dtype=bool)
        flags[list(language.kind_ids(names))] = True
        return flags


class AlignedProgram:
    """One code region: its tree as arrays, and the tokens that lie in it."""

    def __init__(
        self, tree: SyntaxTree, region: Region, text: bytes, offsets: np.ndarray, shift: int, kinds: _KindTables
    ) -> None:
        self.tree, self.region, self.kinds = tree, region, kinds
        first = int(np.searchsorted(offsets, region.start, side="right")) - 1
        stop = int(np.searchsorted(offsets, region.end, side="left"))
        self.first_token = first + shift
        """Position of the first token in the segment."""
        self.tokens = slice(self.first_token, stop + shift)
        # Where each token's bytes start and end, counted from the region's start and clipped to it.
        bounds = np.clip(offsets[first : stop + 1] - region.start, 0, region.end - region.start)
        self.begin, self.end = bounds[:-1], bounds[1:]
        self.code = np.frombuffer(text, dtype=np.uint8, count=region.end - region.start, offset=region.start)
        # Node arrays get one entry more, for "no node": index -1.
        self.node_kinds = np.array([*tree.kinds, ERROR_KIND + 1])
        self.starts = np.array(tree.starts)
        self.ends = np.array([*tree.ends, len(self.code) + 1])
        self.parents = np.array([*tree.parents, -1])

    def nodes_at(self, positions: np.ndarray) -> np.ndarray:
        """Index of the smallest node that contains each byte, -1 outside the root.

        In preorder the last node that starts at or before a byte lies in the subtree of the answer, so the answer is
        the first of its ancestors that reaches past the byte.
        """
        nodes = np.searchsorted(self.starts, positions, side="right") - 1
        while (short := self.ends[nodes] <= positions).any():
            nodes = np.where(short, self.parents[nodes], nodes)
        return nodes

    @cached_property
    def token_nodes(self) -> np.ndarray:
        """Each token's node, -1 for layout (see StructureAnnotator for the rule)."""
        size = len(self.code)
        solid = np.where(_IS_SPACE[self.code], size, np.arange(size))
        next_solid = np.append(np.minimum.accumulate(solid[::-1])[::-1], size)
        anchors = next_solid[self.begin]
        blank = anchors >= self.end
        nodes = self.nodes_at(np.where(blank, self.begin, anchors))
        is_leaf = np.array([*self.tree.last, 0])[nodes] == nodes + 1
        layout = blank & ~is_leaf & ~self.kinds.textual[self.node_kinds[nodes]]
        return np.where(layout | (self.begin >= self.end), -1, nodes)

    @cached_property
    def broken(self) -> np.ndarray:
        """Bool, one entry a node and one for "no node": whether it is an ERROR node or below one."""
        flags = np.zeros(len(self.tree) + 1, dtype=bool)
        if self.tree.has_error:
            for i in np.flatnonzero(self.node_kinds == ERROR_KIND).tolist():
                if not flags[i]:
                    flags[i : self.tree.last[i]] = True
        return flags

    def unparsed_bytes(self) -> int:
        cut = len(self.code) - len(self.tree.source)
        if not self.tree.has_error:
            return cut
        tops = np.flatnonzero(self.broken & ~self.broken[self.parents])
        return cut + int((self.ends[tops] - self.starts[tops]).sum())

    def node_scores(self) -> np.ndarray:
        scores = self.kinds.scores[self.node_kinds]
        last = self.tree.last
        if b'"' in self.tree.source or b"'" in self.tree.source:
            for i in self.tree.docstrings:
                scores[i : last[i]] = _DECORATES
        for i in np.flatnonzero(self.kinds.comments[self.node_kinds]).tolist():
            scores[i : last[i]] = _DECORATES  # doc comments of some grammars have parts
        scores[self.broken] = 0.0
        scores[-1] = 0.0
        return scores

    def ancestors(self, nodes: np.ndarray, depth: int) -> np.ndarray:
        """(tokens, depth) types of the ancestors of `nodes`, nearest first."""
        types = np.full((len(nodes), depth), IGNORED, dtype=np.int64)
        for level in range(depth):
            nodes = self.parents[nodes]
            types[:, level] = self.kinds.types[self.node_kinds[nodes]]
        return types

    def first_tokens(self, positions: np.ndarray) -> np.ndarray:
        """Index, among the region's tokens, of the token that holds each byte."""
        return np.searchsorted(self.begin, positions, side="right") - 1


class _Page:
    """The arrays of an Annotation while its programs are written into them."""

    def __init__(self, length: int, depth: int) -> None:
        self.score = np.zeros(length, dtype=np.float32)
        self.mask = np.zeros(length, dtype=bool)
        self.ancestors = np.full((length, depth), IGNORED, dtype=np.int64)
        self.sources: dict[int, set[int]] = {}
        self.variables: list[np.ndarray] = []
        self.code_bytes = 0
        self.unparsed_bytes = 0

    def add(self, program: AlignedProgram) -> None:
        nodes = program.token_nodes
        nodes = np.where(program.broken[nodes], -1, nodes)
        self.mask[program.tokens] |= program.end > program.begin
        self.ancestors[program.tokens] = program.ancestors(nodes, self.ancestors.shape[1])
        self.code_bytes += len(program.code)
        self.unparsed_bytes += program.unparsed_bytes()
        node_scores = program.node_scores()
        bound_nodes, bound_tokens = self._add_dataflow(program)
        node_scores[bound_nodes] = _DECIDES
        score = node_scores[nodes]
        score[bound_tokens] = _DECIDES  # a token such as "(x" belongs to the bracket, and decides the variable
        self.score[program.tokens] = np.maximum(self.score[program.tokens], score)

    def _add_dataflow(self, program: AlignedProgram) -> tuple[np.ndarray, np.ndarray]:
        """Notes the program's variables; returns nodes and tokens of the definitions and of the uses they reach."""
        nothing = np.zeros(0, dtype=np.int64)
        if program.tree.language.analyse_dataflow is None:
            return nothing, nothing
        flow = analyse_dataflow(program.tree)
        occurrences = flow.occurrences
        if not occurrences:
            return nothing, nothing
        starts = np.array([o.start for o in occurrences])
        nodes, tokens = program.nodes_at(starts), program.first_tokens(starts)
        sound = ~program.broken[nodes]
        bound = np.array([o.is_def for o in occurrences])
        positions = (tokens + program.first_token).tolist()
        for use, definitions in flow.edges:
            reaching = [d for d in definitions if sound[d]] if sound[use] else []
            bound[use] |= bool(reaching)
            # A causal model can only point backwards: what a loop defines later in the text is left out.
            if earlier := {positions[d] for d in reaching if positions[d] < positions[use]}:
                self.sources.setdefault(positions[use], set()).update(earlier)
        self.variables.append(tokens[sound] + program.first_token)
        bound &= sound
        return nodes[bound], tokens[bound]

    def finish(self) -> Annotation:
        uses = sorted(self.sources)
        width = max(map(len, self.sources.values()), default=0)
        sources = np.full((len(uses), width), -1, dtype=np.int64)
        for row, use in enumerate(uses):
            found = sorted(self.sources[use])
            sources[row, : len(found)] = found
        return Annotation(
            structure_score=self.score,
            code_mask=self.mask,
            ancestor_types=self.ancestors,
            dataflow_uses=np.array(uses, dtype=np.int64),
            dataflow_sources=sources,
            variable_positions=np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *self.variables])),
            code_start=int(self.mask.argmax()) if self.mask.any() else -1,
            code_bytes=self.code_bytes,
            unparsed_bytes=self.unparsed_bytes,
        )


def _supervised_runs(labels: Any, length: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each stretch of supervised tokens: the turns of an assistant are texts of their own."""
    if labels is None:
        supervised = np.ones(length, dtype=bool)
    else:
        supervised = np.asarray(labels).reshape(-1) != IGNORED
        if len(supervised) != length:
            raise InputError(f"expected labels of shape (T,) = ({length},) as input_ids, got ({len(supervised)},)")
    edges = np.flatnonzero(np.diff(supervised.astype(np.int8), prepend=0, append=0)).tolist()
    return zip(edges[::2], edges[1::2], strict=True)
