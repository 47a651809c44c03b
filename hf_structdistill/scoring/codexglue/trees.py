"""One cursor walk: the flat tree with field names, and the identity of every subtree's S-expression.

The published syntax match compares the S-expressions of subtrees as strings. Equal strings mean equal kind and equal
(field, S-expression) children, so each distinct one gets a number when it is first met (hash-consing) and a subtree
is compared by its number: linear where the strings are quadratic, and exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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


def flatten(source: str, language: Language, numbers: dict[tuple, int]) -> FlatTree:
    """Clean and parse `source`, and number its subtrees with `numbers`, the table shared by all compared programs."""
    parser = tree_sitter.Parser(language.grammar)
    untouched = is_clean(source, language.name)
    text = source if untouched else clean(source, language.name)
    raw = parser.parse(data := text.encode("utf-8", "surrogatepass"))
    if untouched and raw.root_node.has_error and (text := clean(source, language.name)) != source:
        raw = parser.parse(data := text.encode("utf-8", "surrogatepass"))
    tree = FlatTree(text, data, raw.root_node.has_error)
    _walk(raw.walk(), tree, language.named_kinds, numbers)
    return tree


def _walk(cursor: tree_sitter.TreeCursor, tree: FlatTree, named: frozenset[int], numbers: dict[tuple, int]) -> None:
    down, right, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    kinds, fields, starts, ends, last = tree.kinds, tree.fields, tree.starts, tree.ends, tree.last
    subtrees, broken = tree.subtrees, tree.has_error
    open_nodes: list[int] = []
    keys: list[list] = [[]]  # per open node: its kind, then field and number of each child an S-expression shows
    i = 0
    while True:
        node = cursor.node
        kind = node.kind_id  # type: ignore[union-attr]
        start, end = node.byte_range  # type: ignore[union-attr]
        held_by = cursor.field_id
        kinds.append(kind)
        fields.append(held_by)
        starts.append(start)
        ends.append(end)
        i += 1
        last.append(i)
        if down():
            open_nodes.append(i - 1)
            keys.append([kind])
            continue
        if broken and (kind == ERROR_KIND or node.is_missing):  # type: ignore[union-attr]
            # "(UNEXPECTED 'x')", "(MISSING identifier)": shown named or not, and only tree-sitter knows the text
            keys[-1] += (held_by, _number((str(node),), numbers))
        elif kind in named:
            keys[-1] += (held_by, kind)
        while not right():
            if not up():
                if i == 1:
                    subtrees[kind] = 1
                return
            i_open = open_nodes.pop()
            last[i_open] = i
            key = keys.pop()
            kind = key[0]
            if kind in named:
                number = _number(tuple(key), numbers) if len(key) > 1 else kind
                keys[-1] += (fields[i_open], number)
            else:  # an operator of several words, such as "not in": counted, but its parent does not show it
                number = _number((-1, *key), numbers)
                keys[-1] += key[1:]
            subtrees[number] = subtrees.get(number, 0) + 1


def _number(key: tuple, numbers: dict[tuple, int]) -> int:
    return numbers.setdefault(key, _FIRST_ID + len(numbers))
