"""Which parts of two programs the strict scores count as matched, place by place, so that a report can show them.

`scoring.strict` compares multisets and needs no places. The same items are found here with theirs; a test holds both
to the same counts over real programs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..scoring.strict import subtrees
from ..structure import DataFlow, SyntaxTree, analyse_dataflow, parse


@dataclass(frozen=True)
class Span:
    """A subtree: bytes `start` to `end`, and whether the other program has it too."""

    start: int
    end: int
    matched: bool


@dataclass(frozen=True)
class FlowMark:
    """A data-flow item at an occurrence of a variable: bytes `start` to `end`, and whether the other program has it.

    `sources` are the bytes at which the occurrences start that it comes from: for a use, the definitions that reach
    it; for a definition (`is_use` False), the uses its value is computed from.
    """

    start: int
    end: int
    matched: bool
    is_use: bool
    sources: tuple[int, ...]


@dataclass(frozen=True)
class ProgramMarks:
    """The subtrees of one program, outer before inner, and its data-flow items in source order."""

    subtrees: tuple[Span, ...]
    flows: tuple[FlowMark, ...]


def mark_pair(prediction: str, reference: str, language: str = "python") -> tuple[ProgramMarks, ProgramMarks]:
    """Marks of the prediction and of the reference. The number matched is the same in both, that of strict mode.

    Of several equal items of which only some find a partner, those count as matched that lie in a matched subtree,
    then the first ones. A language without data-flow analysis has no flow marks.
    """
    trees = [parse(text, language) for text in (prediction, reference)]
    numbers: dict[tuple, int] = {}
    shapes = [subtrees(tree, numbers) for tree in trees]
    spans = [
        tuple(Span(tree.starts[i], tree.ends[i], i in hits) for i in shape)
        for tree, shape, hits in zip(trees, shapes, _matched_subtrees(trees, shapes), strict=True)
    ]
    if trees[0].language.analyse_dataflow is None:
        return ProgramMarks(spans[0], ()), ProgramMarks(spans[1], ())
    items = [_flow_items(analyse_dataflow(tree)) for tree in trees]
    shared = Counter(item for item, _ in items[0]) & Counter(item for item, _ in items[1])
    flows = [_flow_marks(side, shared, around) for side, around in zip(items, spans, strict=True)]
    return ProgramMarks(spans[0], flows[0]), ProgramMarks(spans[1], flows[1])


def _matched_subtrees(trees: Sequence[SyntaxTree], shapes: Sequence[Mapping[int, int]]) -> list[set[int]]:
    """The nodes of each program that find a partner, as many of a shape as both have."""
    shared = Counter(shapes[0].values()) & Counter(shapes[1].values())
    matched = []
    for tree, shape in zip(trees, shapes, strict=True):
        occurrences: dict[int, list[int]] = {}
        for i, number in shape.items():
            occurrences.setdefault(number, []).append(i)
        hits: set[int] = set()
        # larger shapes first: whether the surroundings match is then known
        for number, places in sorted(occurrences.items(), key=lambda entry: -_size(tree, entry[1])):
            places.sort(key=lambda i: (_outer(tree, shape, i) not in hits, i))
            hits.update(places[: shared[number]])
        matched.append(hits)
    return matched


def _size(tree: SyntaxTree, places: Sequence[int]) -> int:
    return max(tree.last[i] - i for i in places)


def _outer(tree: SyntaxTree, shape: Mapping[int, int], i: int) -> int:
    """The next counted subtree around node i; -1 for the program."""
    return next((j for j in tree.ancestors(i) if j in shape), -1)


def _flow_items(graph: DataFlow) -> list[tuple[Hashable, FlowMark]]:
    """Each data-flow item of a program as strict mode compares it, with its place; in source order."""
    depths: list[int] = []
    for scope in graph.scopes:
        depths.append(depths[scope.parent] + 1 if scope.parent >= 0 else 0)
    variables: dict[tuple[int, str], tuple[int, int]] = {}  # owner and name -> depth and number in its scope
    numbers: Counter[int] = Counter()  # variables so far of each scope
    made: Counter[tuple[int, str]] = Counter()  # definitions so far of each variable
    identity: list[tuple[tuple[int, int], int]] = []
    for occurrence in graph.occurrences:
        variable = occurrence.scope, occurrence.name
        if variable not in variables:
            variables[variable] = depths[occurrence.scope], numbers[occurrence.scope]
            numbers[occurrence.scope] += 1
        identity.append((variables[variable], made[variable]))
        made[variable] += occurrence.is_def
    uses = {use: (identity[use][0], tuple(identity[d][1] for d in reaching)) for use, reaching in graph.edges}
    found: list[tuple[Hashable, FlowMark]] = [
        (uses[use], _place(graph, use, True, reaching)) for use, reaching in graph.edges
    ]
    for definition, sources in graph.assignments:
        known = tuple(use for use in sources if use in uses)
        if known:
            item = ("made of", *identity[definition], *[uses[use] for use in known])
            found.append((item, _place(graph, definition, False, known)))
    return sorted(found, key=lambda entry: (entry[1].start, entry[1].is_use))


def _place(graph: DataFlow, at: int, is_use: bool, sources: Sequence[int]) -> FlowMark:
    place = graph.occurrences[at]
    return FlowMark(place.start, place.end, False, is_use, tuple(graph.occurrences[i].start for i in sources))


def _flow_marks(
    items: Sequence[tuple[Hashable, FlowMark]], shared: Counter[Hashable], spans: Sequence[Span]
) -> tuple[FlowMark, ...]:
    left = Counter(shared)
    matched = set()
    # of several equal items, those in code that matches come first
    for n in sorted(range(len(items)), key=lambda n: (not _in_matched_code(items[n][1], spans), n)):
        item = items[n][0]
        if left[item] > 0:
            left[item] -= 1
            matched.add(n)
    return tuple(replace(mark, matched=n in matched) for n, (_, mark) in enumerate(items))


def _in_matched_code(mark: FlowMark, spans: Sequence[Span]) -> bool:
    around = (span.matched for span in reversed(spans) if span.start <= mark.start and mark.end <= span.end)
    return next(around, False)
