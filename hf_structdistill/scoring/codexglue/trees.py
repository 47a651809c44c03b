"""One cursor walk: the flat tree with field names, and the identity of every subtree's S-expression.

The published syntax match compares the S-expressions of subtrees as strings. Equal strings mean equal kind and equal
(field, S-expression) children, so each distinct one gets a number when it is first met (hash-consing) and a subtree
is compared by its number: linear where the strings are quadratic, and exact.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import tree_sitter

from ...structure.languages import ERROR_KIND, Language
from .clean import clean, is_clean
from .rules import KindRules

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
    last: list[int] = field(default_factory=list)
    marked: list[tuple[int, int]] = field(default_factory=list)
    """(node, parent) of nodes with children, of the kinds with rules (`KindRules.marks`)."""
    tokens: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(number, node, start, end) of the leaves, comments left out and strings whole; starts and ends are bytes.
    Keywords and operators are counted, and left out where nothing can be wrong with their text."""
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


def flatten(source: str, language: Language, numbers: dict[tuple, int], rules: KindRules) -> FlatTree:
    """Clean and parse `source`, and number its subtrees with `numbers`, the table shared by all compared programs."""
    parser = tree_sitter.Parser(language.grammar)
    untouched = is_clean(source, language.name)
    text = source if untouched else clean(source, language.name)
    raw = parser.parse(data := text.encode("utf-8", "surrogatepass"))
    if untouched and raw.root_node.has_error and (text := clean(source, language.name)) != source:
        raw = parser.parse(data := text.encode("utf-8", "surrogatepass"))
    tree = FlatTree(text, data, raw.root_node.has_error)
    if tree.has_error:
        found = _walk_broken(raw, tree, language.named_kinds, numbers, rules)
    else:
        found = _walk(raw.walk(), tree, language.named_kinds, numbers, rules)
    tree.subtrees = Counter(found)
    return tree


def _walk(
    cursor: Any, tree: FlatTree, named: frozenset[int], numbers: dict[tuple, int], rules: KindRules
) -> list[int]:
    """Fill in the tree; returns the number of each subtree."""
    down, right, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    kinds, fields, last, marked, tokens = tree.kinds, tree.fields, tree.last, tree.marked, tree.tokens
    marks, whole, comments = rules.marks, rules.whole, rules.comments
    plain = rules.plain_kinds if tree.source.isascii() else ()
    found: list[int] = []
    open_nodes: list[int] = []
    keys: list[list] = []
    key: list = []
    """Of the innermost open node: its kind, then field and number of each child that an S-expression shows."""
    string = -1
    i = token = 0
    while True:
        node = cursor.node
        kind = node.kind_id
        held_by = None if kind in plain else cursor.field_id
        kinds.append(kind)
        fields.append(held_by)
        last.append(i + 1)
        if down():
            if kind in marks:
                marked.append((i, open_nodes[-1] if open_nodes else -1))
                if string < 0 and kind in whole:
                    string = i
                    tokens.append((token, i, *node.byte_range))
                    token += 1
            open_nodes.append(i)
            i += 1
            keys.append(key)
            key = [kind]
            continue
        if kind in named:
            key += (held_by, kind)
        if string < 0 and kind not in comments:
            if kind not in plain:
                tokens.append((token, i, *node.byte_range))
            token += 1
        i += 1
        while not right():
            if not up():
                return found or [kind]
            opened = open_nodes.pop()
            last[opened] = i
            if opened == string:
                string = -1
            inner, key = key, keys.pop()
            if inner[0] in named:
                number = numbers.setdefault(tuple(inner), _FIRST_ID + len(numbers)) if len(inner) > 1 else inner[0]
                key += (fields[opened], number)
            else:
                number = _hidden(inner, key, numbers)
            found.append(number)


def _hidden(key: list, outer: list, numbers: dict[tuple, int]) -> int:
    """An operator of several words, such as "not in": counted, but its parent does not show it."""
    outer += key[1:]
    return _number((-1, *key), numbers)


def _walk_broken(
    raw: tree_sitter.Tree, tree: FlatTree, named: frozenset[int], numbers: dict[tuple, int], rules: KindRules
) -> list[int]:
    """`_walk` for a tree with errors, where only tree-sitter knows what the S-expression of some nodes says.

    "(UNEXPECTED 'x')" and "(MISSING identifier)" stand for nodes of any kind; "(MISSING _newline)" even for one that
    no cursor meets, so a subtree with such a hole in it is numbered by its text.
    """
    cursor: Any = raw.walk()
    holes = _Holes(str(raw.root_node))
    found: list[int] = []
    open_nodes: list[tuple[Any, int]] = []
    keys: list[list] = [[]]
    string = -1
    i = token = 0
    while True:
        node = cursor.node
        tree.kinds.append(kind := node.kind_id)
        tree.fields.append(held_by := cursor.field_id)
        tree.last.append(i + 1)
        parent = open_nodes[-1][1] if open_nodes else -1
        if has_children := cursor.goto_first_child():
            open_nodes.append((node, i))
            keys.append([kind])
            if kind in rules.marks:
                tree.marked.append((i, parent))
        elif kind == ERROR_KIND or node.is_missing:
            keys[-1] += (held_by, _number((str(node),), numbers))
        elif kind in named:
            keys[-1] += (held_by, kind)
        if string < 0 and (kind in rules.whole if has_children else kind not in rules.comments):
            tree.tokens.append((token, i, *node.byte_range))
            token += 1
            string = i if has_children else -1
        i += 1
        if has_children:
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return found or [_number((str(node),), numbers)]
            node, at = open_nodes.pop()
            tree.last[at] = i
            if at == string:
                string = -1
            key = keys.pop()
            if text := holes.text_of(node):
                key = [key[0], None, _number((text,), numbers)]
            if key[0] in named:
                number = _number(tuple(key), numbers) if len(key) > 1 else key[0]
                keys[-1] += (tree.fields[at], number)
            else:
                number = _hidden(key, keys[-1], numbers)
            found.append(number)


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
