"""One cursor walk: the flat tree with field names, and the identity of every subtree's S-expression.

The published syntax match compares the S-expressions of subtrees as strings. Equal strings mean equal kind and equal
(field, S-expression) children, so each distinct one gets a number when it is first met (hash-consing) and a subtree
is compared by its number: linear where the strings are quadratic, and exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import tree_sitter

from ...structure.languages import ERROR_KIND, Language
from .clean import clean, is_clean

_FIRST_ID = 1 << 16  # below: kind ids, which stand for "(kind)"


@dataclass
class FlatTree:
    """Preorder arrays of one program, as in `structure.SyntaxTree`, plus the field id by which the parent holds it."""

    text: str
    """What was parsed: the program without comments and docstrings."""
    source: bytes
    has_error: bool
    kinds: list[int] = field(default_factory=list)
    fields: list[int | None] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    marked: list[int] = field(default_factory=list)
    """Nodes with children, of the kinds that the caller asked for."""
    subtrees: dict[int, int] = field(default_factory=dict)
    """Number of the S-expression -> how often it occurs; nodes without children are not counted, but the root is."""

    def children(self, i: int) -> list[int]:
        last, stop, found = self.last, self.last[i], []
        i += 1
        while i < stop:
            found.append(i)
            i = last[i]
        return found

    def child(self, i: int, field_id: int | None) -> int | None:
        """First child held by that field, or None."""
        fields, last, stop = self.fields, self.last, self.last[i]
        i += 1
        while i < stop:
            if fields[i] == field_id:
                return i
            i = last[i]
        return None


def flatten(
    source: str, language: Language, numbers: dict[tuple, int], marks: frozenset[int] = frozenset()
) -> FlatTree:
    """Clean and parse `source`, and number its subtrees with `numbers`, the table shared by all compared programs.

    Nodes of the kinds `marks` are listed in `FlatTree.marked`.
    """
    parser = tree_sitter.Parser(language.grammar)
    untouched = is_clean(source, language.name)
    text = source if untouched else clean(source, language.name)
    raw = parser.parse(data := text.encode("utf-8", "surrogatepass"))
    if untouched and raw.root_node.has_error and (text := clean(source, language.name)) != source:
        raw = parser.parse(data := text.encode("utf-8", "surrogatepass"))
    tree = FlatTree(text, data, raw.root_node.has_error)
    if tree.has_error:
        _walk_broken(raw, tree, language.named_kinds, numbers, marks)
    else:
        _walk(raw.walk(), tree, language.named_kinds, numbers, marks)
    return tree


def _walk(
    cursor: Any, tree: FlatTree, named: frozenset[int], numbers: dict[tuple, int], marks: frozenset[int]
) -> None:
    down, right, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    kinds, fields, starts, ends, last = tree.kinds, tree.fields, tree.starts, tree.ends, tree.last
    leaves, subtrees = tree.leaves, tree.subtrees
    open_nodes: list[int] = []
    keys: list[list] = [[]]  # per open node: its kind, then field and number of each child an S-expression shows
    i = 0
    while True:
        node = cursor.node
        kind = node.kind_id
        start, end = node.byte_range
        held_by = cursor.field_id
        kinds.append(kind)
        fields.append(held_by)
        starts.append(start)
        ends.append(end)
        last.append(i := i + 1)
        if down():
            if kind in marks:
                tree.marked.append(i - 1)
            open_nodes.append(i - 1)
            keys.append([kind])
            continue
        leaves.append(i - 1)
        if kind in named:
            keys[-1] += (held_by, kind)
        while not right():
            if not up():
                if i == 1:
                    tree.subtrees[kind] = 1
                return
            opened = open_nodes.pop()
            last[opened] = i
            key = keys.pop()
            if (kind := key[0]) in named:
                number = numbers.setdefault(tuple(key), _FIRST_ID + len(numbers)) if len(key) > 1 else kind
                keys[-1] += (fields[opened], number)
            else:
                number = _hidden(key, keys, numbers)
            subtrees[number] = subtrees.get(number, 0) + 1


def _hidden(key: list, keys: list[list], numbers: dict[tuple, int]) -> int:
    """An operator of several words, such as "not in": counted, but its parent does not show it."""
    keys[-1] += key[1:]
    return _number((-1, *key), numbers)


def _walk_broken(
    raw: tree_sitter.Tree, tree: FlatTree, named: frozenset[int], numbers: dict[tuple, int], marks: frozenset[int]
) -> None:
    """`_walk` for a tree with errors, where only tree-sitter knows what the S-expression of some nodes says.

    "(UNEXPECTED 'x')" and "(MISSING identifier)" stand for nodes of any kind; "(MISSING _newline)" even for one that
    no cursor meets, so a subtree with such a hole in it is numbered by its text.
    """
    cursor: Any = raw.walk()
    holes = _Holes(str(raw.root_node))
    open_nodes: list[Any] = []
    opened: list[int] = []
    keys: list[list] = [[]]
    i = 0
    while True:
        node = cursor.node
        tree.kinds.append(kind := node.kind_id)
        tree.fields.append(held_by := cursor.field_id)
        tree.starts.append(node.start_byte)
        tree.ends.append(node.end_byte)
        tree.last.append(i := i + 1)
        if cursor.goto_first_child():
            open_nodes.append(node)
            if kind in marks:
                tree.marked.append(i - 1)
            opened.append(i - 1)
            keys.append([kind])
            continue
        tree.leaves.append(i - 1)
        if kind == ERROR_KIND or node.is_missing:
            keys[-1] += (held_by, _number((str(node),), numbers))
        elif kind in named:
            keys[-1] += (held_by, kind)
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                if i == 1:
                    tree.subtrees[_number((str(node),), numbers)] = 1
                return
            node, at = open_nodes.pop(), opened.pop()
            tree.last[at] = i
            key = keys.pop()
            if text := holes.text_of(node):
                key = [key[0], None, _number((text,), numbers)]
            if key[0] in named:
                number = _number(tuple(key), numbers) if len(key) > 1 else key[0]
                keys[-1] += (tree.fields[at], number)
            else:
                number = _hidden(key, keys, numbers)
            tree.subtrees[number] = tree.subtrees.get(number, 0) + 1


class _Holes:
    """Tells the subtrees in which the parser put an invisible token, such as the end of a line."""

    _BUDGET = 20_000_000  # characters of S-expressions to look at: a deep tree repeats them at every level

    def __init__(self, whole: str) -> None:
        self._left = self._BUDGET if "(MISSING _" in whole else 0

    def text_of(self, node: tree_sitter.Node) -> str | None:
        """The S-expression of a node with such a token in it, else None."""
        if self._left <= 0 or not node.has_error:
            return None
        text = str(node)
        self._left -= len(text)
        return text if "(MISSING _" in text else None


def _number(key: tuple, numbers: dict[tuple, int]) -> int:
    return numbers.setdefault(key, _FIRST_ID + len(numbers))
