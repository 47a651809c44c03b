"""Strict mode: what of a program is compared, as two multisets.

Syntax: every subtree, operators and keywords included; names, literal values, layout, comments, docstrings and
redundant parentheses left out. Data flow: every use with the definitions that reach it, and every definition with the
uses it is computed from (`structure.analyse_dataflow`), names replaced by numbers per scope.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

from ..structure.dataflow import DataFlow
from ..structure.languages import Language
from ..structure.tree import SyntaxTree, unwalked
from .brackets import bracket_kinds, redundant_nodes

_FIRST_ID = 1 << 16  # below: kind ids of leaves
_DEPTH_SHIFT = 32  # a variable's code: above, the depth of its scope; below, its number there from 1

# Two spellings of one program: a tuple with and without its parentheses, a literal in one piece or in several.
_SYNONYMS = {"expression_list": "tuple", "pattern_list": "tuple_pattern", "concatenated_string": "string"}
_TRANSPARENT = frozenset({"parenthesized_expression"})
_PUNCTUATION = frozenset({"(", ")", "[", "]", "{", "}", ",", ";", "\n", ""})
_INSIDE_STRINGS = ("string_start", "string_content", "string_end", "string_fragment", "escape_sequence")
KEEP, DROP, OPAQUE, STRING, PASS = range(5)


class KindTable:
    """What becomes of each node kind of one language."""

    def __init__(self, language: Language) -> None:
        names, named = language.kind_names, language.named_kinds
        dropped = {*language.comments, *_INSIDE_STRINGS, "line_continuation"}
        self.roles = {}
        for kind, name in names.items():
            if kind not in named:
                self.roles[kind] = DROP if name in _PUNCTUATION else OPAQUE
            elif name in dropped:
                self.roles[kind] = DROP
            elif name in language.strings:
                self.roles[kind] = STRING
            else:
                self.roles[kind] = PASS if name in _TRANSPARENT else KEEP
        # a grammar may have one type under several ids
        first = {(names[k], k in named): k for k in sorted(names, reverse=True)}
        # a grammar may lack the synonym: Go has lists of expressions and no tuples
        self.canonical = {
            k: first.get((_SYNONYMS.get(n, n), k in named), first[n, k in named]) for k, n in names.items()
        }
        self.tokens = {k: 0 if role == DROP else self.canonical[k] for k, role in self.roles.items()}
        """What stands for a token in the key of its parent, 0 for nothing."""
        tokens = {k for k, role in self.roles.items() if role in (DROP, OPAQUE)}
        self.whole = frozenset(tokens | {k for k in named if names[k] in language.identifiers})
        """Kinds that are one token, or none, whatever is in them."""
        self.in_pieces = frozenset(k for k in named if names[k] == "concatenated_string")
        """Kinds of one literal in several pieces, whose bounds do not count: its interpolations are the whole's."""
        self.interpolations = frozenset(k for k in named if names[k] in ("interpolation", "template_substitution"))
        plain = {k for k, role in self.roles.items() if role == KEEP} - self.whole - language.statement_kinds
        self.bracketed = bracket_kinds(language).looked_at
        plain -= self.bracketed
        self.plain = {k: self.canonical[k] for k in plain}
        """Kinds whose nodes with children are subtrees, without exception."""

    def is_piece(self, kind: int, outer: int) -> bool:
        """Whether a node of a kind is a piece of the string literal around it."""
        return outer in self.in_pieces and self.roles[kind] == STRING


@cache
def kind_table(language: Language) -> KindTable:
    """The table of a language, made once."""
    return KindTable(language)


def read(source: str, language: Language, numbers: dict[tuple, int]) -> tuple[SyntaxTree, dict[int, int]]:
    """The tree of a program, and the number of each distinct subtree -> how often it occurs, the whole included.

    Equal subtrees get equal numbers by hash-consing in `numbers`, the table shared by all programs of a comparison.
    Tokens are no subtrees of their own; a string literal is one token, but for what it interpolates. One walk does
    all, because the calls into tree-sitter cost more than anything done between them.
    """
    tree = unwalked(source, language)
    reader = _Reader(tree, numbers)
    cursor = tree.raw.walk()
    down, right, up = cursor.goto_first_child, cursor.goto_next_sibling, cursor.goto_parent
    kinds, last, words, text = tree.kinds, tree.last, tree.words, tree.source.decode("latin-1")
    plain, tokens, wordy, broken = reader.table.plain, reader.table.tokens, language.word_kinds, tree.has_error
    open_nodes, keys, found = reader.open_nodes, reader.keys, reader.found
    key: list[int] = []
    """Of the innermost open subtree: its kind, then what stands for each child."""
    i = 0
    while True:
        node: Any = cursor.node
        kind = node.kind_id
        kinds.append(kind)
        if down():
            if kind in plain:
                keys.append(key)
                key = [plain[kind]]
            else:
                key = reader.enter(key, kind)
            open_nodes.append(i)
            i += 1
            last.append(i)
            continue
        if kind in wordy:
            start, end = node.byte_range
            words[i] = text[start:end]
        token = tokens[kind]
        if broken and node.is_missing:
            tree.missing.append(i)
            token = token and -1 - kind
        if token:
            key.append(token)
        i += 1
        last.append(i)
        while not right():
            if not up():
                tree.spell_words()
                return tree, reader.counts()
            opened = open_nodes.pop()
            last[opened] = i
            if kinds[opened] in plain:
                shape = tuple(key)
                number = numbers.setdefault(shape, _FIRST_ID + len(numbers))
                found.append(number)
                key = keys.pop()
                key.append(number)
            else:
                key = reader.leave(key, opened)


class _Reader:
    """The state of one walk, and what happens at nodes that are not plainly subtrees."""

    def __init__(self, tree: SyntaxTree, numbers: dict[tuple, int]) -> None:
        self.tree, self.numbers = tree, numbers
        self.table = kind_table(tree.language)
        self.open_nodes: list[int] = []
        self.keys: list[list[int]] = []
        """Keys of the open subtrees around the innermost one."""
        self.found: list[int] = []
        """Numbers of the subtrees that were left so far."""
        self.marks: list[int] = []
        """How many had been found when each open node that is not plain was entered."""
        self.bracketed: list[tuple[int, int]] = []
        """Nodes whose brackets may be redundant, with their parents."""

    def enter(self, key: list[int], kind: int) -> list[int]:
        if self.table.roles[kind] == PASS:
            return key  # its children go to the parent
        self.marks.append(len(self.found))
        self.keys.append(key)
        return [self.table.canonical[kind]]

    def leave(self, key: list[int], node: int) -> list[int]:
        kind = self.tree.kinds[node]
        if self.table.roles[kind] == PASS:
            return key
        outer, mark = self.keys.pop(), self.marks.pop()
        token = self._token(node, kind)
        if token is not None:
            del self.found[mark:]
        if self.open_nodes and self.table.is_piece(kind, self.tree.kinds[self.open_nodes[-1]]):
            outer.extend(key[1:] if token is None else ())
            return outer
        if token is None:
            token = self.numbers.setdefault(tuple(key), _FIRST_ID + len(self.numbers))
            self.found.append(token)
        if token:
            outer.append(token)
        return outer

    def _token(self, node: int, kind: int) -> int | None:
        """What stands for a node that is no subtree after all (0: nothing does), now that its children are known."""
        kinds, table = self.tree.kinds, self.table
        if kind in table.bracketed:
            self.bracketed.append((node, self.open_nodes[-1]))
            return None
        if kind in table.whole:
            return table.tokens[kind]
        if table.roles[kind] == STRING:
            return table.tokens[kind] if table.interpolations.isdisjoint(kinds[node:]) else None
        is_docstring = self.tree.language.is_docstring
        if is_docstring is not None and table.roles[kinds[node + 1]] == STRING:
            body = self.open_nodes[-1] if self.open_nodes else -1
            owner = self.open_nodes[-2] if len(self.open_nodes) > 1 else -1
            if is_docstring(self.tree, node, body, owner):
                return 0
        return None

    def counts(self) -> dict[int, int]:
        """What `read` returns, after the walk."""
        redundant = redundant_nodes(self.tree, self.bracketed)
        if redundant:
            return Counter(subtrees(self.tree, self.numbers, redundant).values())
        if not self.found:  # a program of one node
            shape = (self.table.canonical[self.tree.kinds[0]],)
            self.found.append(self.numbers.setdefault(shape, _FIRST_ID + len(self.numbers)))
        return Counter(self.found)


def subtrees(tree: SyntaxTree, numbers: dict[tuple, int], redundant: set[int] | None = None) -> dict[int, int]:
    """Node -> number of its subtree, in preorder: what `read` counts, with the places.

    Slower than `read`, which takes this way only where brackets have made nodes that are no subtrees (`redundant`,
    where they are known).
    """
    table, kinds, last = kind_table(tree.language), tree.kinds, tree.last
    if redundant is None:
        bracketed = [(i, parent) for i, parent in enumerate(tree.parents) if kinds[i] in table.bracketed]
        redundant = redundant_nodes(tree, bracketed)
    dropped, missing = _dropped(tree, table), set(tree.missing)
    pieces = {i for i, parent in enumerate(tree.parents) if i and table.is_piece(kinds[i], kinds[parent])}
    codes: list[tuple[int, ...]] = [()] * len(kinds)
    found: dict[int, int] = {}
    for i in range(len(kinds) - 1, -1, -1):  # children before parents
        kind = kinds[i]
        if i in dropped:
            continue
        if i in missing:
            codes[i] = (-1 - kind,)
        elif i and (last[i] == i + 1 or kind in table.whole or _is_plain_string(tree, i, table)):
            codes[i] = () if i in pieces else (table.tokens[kind],)
            for inner in range(i + 1, last[i]):  # what did not parse between two pieces of a string
                found.pop(inner, None)
        else:
            codes[i] = tuple([code for child in tree.children(i) for code in codes[child]])
            if table.roles[kind] != PASS and i not in redundant and i not in pieces:
                found[i] = numbers.setdefault((table.canonical[kind], *codes[i]), _FIRST_ID + len(numbers))
                codes[i] = (found[i],)
    return dict(sorted(found.items()))


def _dropped(tree: SyntaxTree, table: KindTable) -> set[int]:
    """Layout, comments, docstrings, the insides of string literals; with everything below them."""
    docstrings = {i for i in tree.docstrings if table.roles[tree.kinds[i + 1]] == STRING}
    found: set[int] = set()
    for i, parent in enumerate(tree.parents):
        if i and (table.roles[tree.kinds[i]] == DROP or i in docstrings or parent in found):
            found.add(i)
    return found


def _is_plain_string(tree: SyntaxTree, i: int, table: KindTable) -> bool:
    return table.roles[tree.kinds[i]] == STRING and table.interpolations.isdisjoint(tree.kinds[i : tree.last[i]])


def flows(graph: DataFlow, numbers: dict[tuple, int]) -> dict[int, int]:
    """Number of each distinct data-flow item of a program -> how often it occurs; empty where no value flows.

    A variable is the nesting depth of its scope and its number among the scope's variables, in order of appearance; a
    definition is its number among those of its variable. Items: a use (variable, definitions that reach it), and a
    definition (variable, number, the uses its value is computed from, in order). Equal items get equal numbers from
    `numbers`, shared by all programs of a comparison.
    """
    depths: list[int] = []
    for parent in graph.parents:
        depths.append(depths[parent] + 1 if parent >= 0 else 0)
    known: dict[tuple[int, str], list[int]] = {}  # variable -> its code, definitions so far
    in_scope = [depth << _DEPTH_SHIFT for depth in depths]
    variables: list[int] = []
    definitions: list[int] = []
    for named, is_def in zip(graph.variables, graph.definitions, strict=True):
        variable = known.get(named)
        if variable is None:
            owner = named[0]
            in_scope[owner] += 1
            variable = known[named] = [in_scope[owner], 0]
        variables.append(variable[0])
        definitions.append(variable[1])
        variable[1] += is_def
    uses: dict[int, int] = {}
    for use, reaching in graph.edges:
        shape = (variables[use], *[definitions[made] for made in reaching])
        uses[use] = numbers.setdefault(shape, len(numbers))
    found = list(uses.values())
    for made, sources in graph.assignments:
        shape = (-variables[made], definitions[made], *[uses[use] for use in sources if use in uses])
        if len(shape) > 2:
            found.append(numbers.setdefault(shape, len(numbers)))
    return Counter(found)


def tokens(tree: SyntaxTree) -> list[str]:
    """The tokens of a program, for its n-grams: names and literals as written (strings whole), operators, keywords,
    punctuation; no layout, comments, docstrings or redundant parentheses."""
    roles = kind_table(tree.language).roles
    named, kinds, last = tree.language.named_kinds, tree.kinds, tree.last
    dropped = set(tree.docstrings)
    found: list[str] = []
    i, stop = 0, len(kinds)
    while i < stop:
        kind = kinds[i]
        role = roles[kind]
        if i in dropped or (role == DROP and kind in named):
            i = last[i]
        elif role in (OPAQUE, STRING, DROP) or (last[i] == i + 1 and i):
            found.append(tree.text(i).decode("utf-8", "replace"))
            i = last[i]
        else:
            if role == PASS:
                dropped.update((i + 1, last[i] - 1))  # its brackets
            i += 1
    return [token for token in found if token.strip()]
