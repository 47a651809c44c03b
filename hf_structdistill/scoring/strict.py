"""Strict mode: what of a program is compared, as two multisets.

Syntax: every subtree, operators and keywords included; names, literal values, layout, comments, docstrings and
redundant parentheses left out. Data flow: every use with the definitions that reach it, and every definition with the
uses it is computed from (`structure.analyse_dataflow`), names replaced by numbers per scope.
"""

from __future__ import annotations

from functools import cache

from ..structure.dataflow import DataFlow
from ..structure.languages import Language
from ..structure.tree import SyntaxTree

_FIRST_ID = 1 << 16  # below: kind ids of leaves

# Two spellings of one program: a tuple with and without its parentheses, a literal in one piece or in several.
_SYNONYMS = {"expression_list": "tuple", "pattern_list": "tuple_pattern", "concatenated_string": "string"}
_TRANSPARENT = frozenset({"parenthesized_expression"})
_PUNCTUATION = frozenset({"(", ")", "[", "]", "{", "}", ",", ";", "\n", ""})
_INSIDE_STRINGS = ("string_start", "string_content", "string_end", "string_fragment", "escape_sequence")
_KEEP, _DROP, _OPAQUE, _STRING, _PASS = range(5)


class _KindTable:
    """What becomes of each node kind of one language."""

    def __init__(self, language: Language) -> None:
        names, named = language.kind_names, language.named_kinds
        dropped = {*language.comments, *_INSIDE_STRINGS, "line_continuation"}
        self.roles = {}
        for kind, name in names.items():
            if kind not in named:
                self.roles[kind] = _DROP if name in _PUNCTUATION else _OPAQUE
            elif name in dropped:
                self.roles[kind] = _DROP
            elif name in language.strings:
                self.roles[kind] = _STRING
            else:
                self.roles[kind] = _PASS if name in _TRANSPARENT else _KEEP
        # a grammar may have one type under several ids
        first = {(names[k], k in named): k for k in sorted(names, reverse=True)}
        self.canonical = {k: first[_SYNONYMS.get(n, n), k in named] for k, n in names.items()}
        # kinds of nodes that never need a look at their children: what stands for them in a key, 0 for nothing
        self.codes = {k: self.canonical[k] for k, role in self.roles.items() if role == _OPAQUE}
        self.codes |= {k: 0 for k, role in self.roles.items() if role == _DROP and k not in named}
        self.codes |= {k: self.canonical[k] for k in named if names[k] in language.identifiers}
        self.statements = frozenset(k for k in named if names[k] == "expression_statement")
        self.openers = frozenset(k for k, role in self.roles.items() if role == _KEEP) - self.statements
        self.interpolations = frozenset(k for k in named if names[k] in ("interpolation", "template_substitution"))


@cache
def _kind_table(language: Language) -> _KindTable:
    return _KindTable(language)


def subtrees(tree: SyntaxTree, numbers: dict[tuple, int]) -> dict[int, int]:
    """Number of each distinct subtree -> how often it occurs, the whole program included.

    Equal subtrees get equal numbers by hash-consing in `numbers`, the table shared by all programs of a comparison.
    Tokens are no subtrees of their own; a string literal is one token, but for what it interpolates.
    """
    table = _kind_table(tree.language)
    canonical, openers, kinds, last = table.canonical, table.openers, tree.kinds, tree.last
    codes: list = list(map(table.codes.get, kinds))
    for i in tree.missing:
        codes[i] = 0 if table.roles[kinds[i]] == _DROP else -1 - kinds[i]
    counts: dict[int, int] = {}
    key = [canonical[kinds[0]]]  # of the innermost open node: its kind, then the codes of its children
    end = len(kinds)
    outer: list[tuple[list[int], int]] = []
    i = 1  # everything before is in a key
    for node in [node for node, code in enumerate(codes) if code is None and node] + [end]:
        if node < i:
            continue
        while end <= node:
            key += codes[i:end]
            i = end
            shown = tuple(filter(None, key))
            code = numbers.setdefault(shown, _FIRST_ID + len(numbers))
            counts[code] = counts.get(code, 0) + 1
            if not outer:
                return counts
            key, end = outer.pop()
            key.append(code)
        key += codes[i:node]
        kind = kinds[node]
        token = None if kind in openers and last[node] > node + 1 else _token(tree, node, table)
        if token is not None:
            key.append(token)
            i = last[node]
        else:
            if table.roles[kind] != _PASS:
                outer.append((key, end))
                key, end = [canonical[kind]], last[node]
            i = node + 1
    return counts


def _token(tree: SyntaxTree, node: int, table: _KindTable) -> int | None:
    """What stands for a node that is no subtree of its own (0: nothing does); None where its children count."""
    kind, stop = tree.kinds[node], tree.last[node]
    role = table.roles[kind]
    if role == _DROP:
        return 0
    if stop == node + 1:
        return table.canonical[kind]
    if role == _STRING:
        return table.canonical[kind] if table.interpolations.isdisjoint(tree.kinds[node:stop]) else None
    if kind in table.statements and table.roles[tree.kinds[node + 1]] == _STRING and node in tree.docstrings:
        return 0
    return None


def flows(graph: DataFlow) -> dict[tuple, int]:
    """Each distinct data-flow item of a program -> how often it occurs; empty where no value flows.

    A variable is the nesting depth of its scope and its number among the scope's variables, in order of appearance; a
    definition is its number among those of its variable. Items: a use (variable, definitions that reach it), and a
    definition (variable, number, the uses its value is computed from, in order).
    """
    depths: list[int] = []
    for scope in graph.scopes:
        depths.append(depths[scope.parent] + 1 if scope.parent >= 0 else 0)
    known: dict[tuple[int, str], list] = {}  # variable -> its identity, definitions so far
    in_scope = [0] * len(depths)
    variables: list[tuple[int, int]] = []
    definitions: list[int] = []
    for _, _, name, is_def, _, owner in graph.occurrences:
        variable = known.get((owner, name))
        if variable is None:
            variable = known[owner, name] = [(depths[owner], in_scope[owner]), 0]
            in_scope[owner] += 1
        variables.append(variable[0])
        definitions.append(variable[1])
        variable[1] += is_def
    uses = {use: (variables[use], tuple([definitions[made] for made in reaching])) for use, reaching in graph.edges}
    counts: dict[tuple, int] = {}
    item: tuple
    for item in uses.values():
        counts[item] = counts.get(item, 0) + 1
    for made, sources in graph.assignments:
        item = (variables[made], definitions[made], *[uses[use] for use in sources if use in uses])
        if len(item) > 2:
            counts[item] = counts.get(item, 0) + 1
    return counts


def tokens(tree: SyntaxTree) -> list[str]:
    """The tokens of a program, for its n-grams: names and literals as written (strings whole), operators, keywords,
    punctuation; no layout, comments, docstrings or redundant parentheses."""
    roles = _kind_table(tree.language).roles
    named, kinds, last = tree.language.named_kinds, tree.kinds, tree.last
    dropped = set(tree.docstrings)
    found: list[str] = []
    i, stop = 0, len(kinds)
    while i < stop:
        kind = kinds[i]
        role = roles[kind]
        if i in dropped or (role == _DROP and kind in named):
            i = last[i]
        elif role in (_OPAQUE, _STRING, _DROP) or (last[i] == i + 1 and i):
            found.append(tree.text(i).decode("utf-8", "replace"))
            i = last[i]
        else:
            if role == _PASS:
                dropped.update((i + 1, last[i] - 1))  # its brackets
            i += 1
    return [token for token in found if token.strip()]
