"""Brackets that change nothing and yet change Python's tree, because the grammar makes another node of them.

Around an expression they are a `parenthesized_expression`, which strict mode passes over by its kind. Of the others
only what stands around them tells: `f((x for x in xs))`, `d[(i, j)]`, `class A():`, `(a) = b`, `case (1):` and
`case (1, 2):`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from ..structure.languages import Language
from ..structure.tree import SyntaxTree


class BracketKinds:
    """The kind ids that matter here (a type may have several); empty for languages other than Python."""

    def __init__(self, language: Language) -> None:
        def ids(*types: str, named: bool = True) -> frozenset[int]:
            return language.kind_ids(types, named=named) if language.name == "python" else frozenset()

        self.generators, self.tuples = ids("generator_expression"), ids("tuple")
        self.targets, self.classes = ids("tuple_pattern"), ids("class_definition")
        self.looked_at = self.generators | self.tuples | self.targets | self.classes
        self.arguments, self.subscripts, self.patterns = ids("argument_list"), ids("subscript"), ids("case_pattern")
        self.case, self.commas = ids("case", named=False), ids(",", named=False)
        self.no_items = ids("(", ")", "[", "]", ",", named=False) | ids("comment")


@cache
def bracket_kinds(language: Language) -> BracketKinds:
    """Those of a language, made once."""
    return BracketKinds(language)


def redundant_nodes(tree: SyntaxTree, nodes: Iterable[tuple[int, int]]) -> set[int]:
    """The nodes that brackets alone have made, so that what is in them belongs to their parents.

    `nodes` are all of the kinds in `BracketKinds.looked_at`, each with its parent.
    """
    known, kinds, found = bracket_kinds(tree.language), tree.kinds, set[int]()
    for i, parent in nodes:
        kind, outer = kinds[i], kinds[parent]
        if kind in known.generators:  # f((x for x in xs))
            if outer in known.arguments and _items(tree, parent) == [i]:
                found.add(parent)
        elif kind in known.tuples:  # d[(i, j)], but neither d[(i,)] nor d[(i, j),]
            if outer in known.subscripts and _items(tree, parent)[1:] == [i] and not _has_comma(tree, parent):
                found.update([i] if len(_items(tree, i)) > 1 else [])
        elif kind in known.classes:  # class A():
            bases = [child for child in tree.children(i) if kinds[child] in known.arguments]
            found.update(child for child in bases if not _items(tree, child))
        elif not _has_comma(tree, i):  # (a) = b, case (1):
            items = _items(tree, i)
            found.update([i, *[item for item in items if kinds[item] in known.patterns]] if items else [])
        elif outer in known.patterns and kinds[parent - 1] in known.case:  # case (1, 2):, but not case (1, 2), 3:
            alone = kinds[tree.last[parent]] not in known.commas
            found.update([i, parent] if alone and len(_items(tree, i)) > 1 else [])
    return found


def _items(tree: SyntaxTree, i: int) -> list[int]:
    """Children but for brackets, commas and comments."""
    left_out = bracket_kinds(tree.language).no_items
    return [child for child in tree.children(i) if tree.kinds[child] not in left_out]


def _has_comma(tree: SyntaxTree, i: int) -> bool:
    commas = bracket_kinds(tree.language).commas
    return any(tree.kinds[child] in commas for child in tree.children(i))
