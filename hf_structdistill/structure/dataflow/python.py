"""Reaching definitions for Python: the handlers by node type, and the graph from the finished walk."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from . import python_bindings as bindings
from . import python_control as control
from . import python_match, python_scopes, python_try
from .graph import CALLEE, OBJECT, USE, DataFlow
from .python_nodes import python_nodes
from .walker import Handlers, Walker

if TYPE_CHECKING:
    from ..tree import SyntaxTree


MAX_SOURCES = 1000
"""Variables counted in one value, so that a display of a million names or deep nesting stays linear."""


@cache
def handlers() -> Handlers:
    """The handler of each node type that is more than its names."""
    by_type = {
        "as_pattern": bindings.as_pattern,
        "assignment": bindings.assignment,
        "augmented_assignment": bindings.augmented_assignment,
        "block": python_try.block,
        "boolean_operator": control.boolean_operator,
        "break_statement": control.jump_statement,
        "class_definition": python_scopes.class_definition,
        "comparison_operator": control.boolean_operator,
        "conditional_expression": control.boolean_operator,
        "continue_statement": control.jump_statement,
        "decorator": bindings.decorator,
        "delete_statement": bindings.delete_statement,
        "dictionary_comprehension": python_scopes.comprehension,
        "for_statement": control.for_statement,
        "function_definition": python_scopes.function_definition,
        "future_import_statement": bindings.import_statement,
        "generator_expression": python_scopes.comprehension,
        "global_statement": bindings.global_statement,
        "if_statement": control.if_statement,
        "import_from_statement": bindings.import_statement,
        "import_statement": bindings.import_statement,
        "lambda": python_scopes.lambda_expression,
        "list_comprehension": python_scopes.comprehension,
        "match_statement": python_match.match_statement,
        "named_expression": bindings.named_expression,
        "nonlocal_statement": bindings.global_statement,
        "raise_statement": control.jump_statement,
        "return_statement": control.jump_statement,
        "set_comprehension": python_scopes.comprehension,
        "try_statement": python_try.try_statement,
        "type_alias_statement": bindings.type_alias_statement,
        "while_statement": control.while_statement,
    }
    simple = {
        "assignment": bindings.simple_assignment,
        "augmented_assignment": bindings.simple_augmented_assignment,
        "return_statement": control.simple_return,
    }
    nodes = python_nodes()
    # A statement with a simple form has that under its kind, and the general handler under the negated kind.
    general = {(-1 if kind in simple else 1) * nodes.kinds[kind]: handler for kind, handler in by_type.items()}
    return general | {nodes.kinds[kind]: handler for kind, handler in simple.items()}


def analyse(tree: SyntaxTree) -> DataFlow:
    """Walk the tree and collect the graph."""
    walker = Walker(tree, handlers())
    walker.run()
    return _collect(walker)


def _collect(w: Walker) -> DataFlow:
    """Number the variable occurrences by position; a finally clause was walked twice, its occurrences merge here."""
    for use, definition in w.pending:
        w.add_reaching(use, (definition,))
    nodes, names, flags, reach, owners = w.nodes, w.names, w.flags, w.reach, w.owners
    index = [-1] * len(nodes)
    variables: list[tuple[int, str]] = []
    kept: list[int] = []
    places: list[int] = []
    uses: list[tuple[int, int | Iterable[int]]] = []
    last = position = -1
    for occurrence in sorted(range(len(nodes)), key=nodes.__getitem__):
        flag, found, name = flags[occurrence], reach[occurrence], names[occurrence]
        if flag == CALLEE:
            if found is None or not _is_value(flags, found):
                continue
            flag = USE
        owner = owners.get(occurrence, -1)
        if owner < 0 and found is not None:
            owner = owners.get(found, -1) if isinstance(found, int) else _owner(owners, found)
        if owner < 0 or not name:  # no variable, or a name that the parser invented
            continue
        node = nodes[occurrence]
        if node == last:
            kept[-1] |= flag
        else:
            variables.append((owner, name))
            kept.append(flag)
            places.append(node)
            last = node
            position += 1
        index[occurrence] = position
        if found is not None and flag & USE:
            uses.append((position, found))
    graph = DataFlow(w.tree, places, variables, kept, w.scopes)
    graph.edges = _edges(uses, index)
    graph.assignments = _assignments(w, index, places, kept)
    return graph


def _is_value(flags: list[int], found: int | Iterable[int]) -> bool:
    """Whether a called name holds a value: some definition reaches it that is not a def, class or import."""
    if isinstance(found, int):
        return not flags[found] & OBJECT
    return any(not flags[definition] & OBJECT for definition in found)


def _owner(owners: dict[int, int], found: Iterable[int]) -> int:
    """The scope of a use is that of any definition that reaches it; -1 for a name that no scope binds."""
    return next((owners[definition] for definition in found if definition in owners), -1)


def _edges(uses: list[tuple[int, int | Iterable[int]]], index: list[int]) -> list[tuple[int, tuple[int, ...]]]:
    edges: list[tuple[int, tuple[int, ...]]] = []
    last = -1
    for use, found in uses:
        sources: tuple[int, ...]
        if isinstance(found, int):
            sources = (index[found],)
            if sources[0] < 0:
                continue
        else:
            sources = tuple(sorted({index[definition] for definition in found if index[definition] >= 0}))
            if not sources:
                continue
        if use == last:
            sources = tuple(sorted({*edges.pop()[1], *sources}))
        edges.append((use, sources))
        last = use
    return edges


def _assignments(
    w: Walker, index: list[int], places: list[int], flags: list[int]
) -> list[tuple[int, tuple[int, ...]]]:
    """For each definition, the uses in the nodes that make its value."""
    sources: dict[int, tuple[int, ...]] = {}
    for definition, low, high in w.assigned:
        position = index[definition]
        start = bisect_left(places, low)
        stop = min(bisect_left(places, high, start), start + MAX_SOURCES)
        if position < 0 or start == stop:
            continue
        uses = tuple([use for use in range(start, stop) if flags[use] & USE])
        if uses:
            sources[position] = tuple(sorted({*sources[position], *uses})) if position in sources else uses
    return sorted(sources.items())
