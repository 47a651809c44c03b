"""Reaching definitions for Python: the handlers by node type, and the graph from the finished walk."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from . import python_bindings as bindings
from . import python_control as control
from . import python_match, python_scopes
from .graph import DataFlow, Occurrence
from .python_nodes import python_nodes
from .walker import CALLEE, DEF, OBJECT, USE, Handlers, Walker

if TYPE_CHECKING:
    from ..tree import SyntaxTree


@cache
def handlers() -> Handlers:
    """The handler of each node type that is more than its names."""
    by_type = {
        "as_pattern": bindings.as_pattern,
        "assignment": bindings.assignment,
        "augmented_assignment": bindings.augmented_assignment,
        "block": control.block,
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
        "try_statement": control.try_statement,
        "type_alias_statement": bindings.type_alias_statement,
        "while_statement": control.while_statement,
    }
    nodes = python_nodes()
    return {nodes.id.get(kind) or nodes.kinds[kind]: handler for kind, handler in by_type.items()}


def analyse(tree: SyntaxTree) -> DataFlow:
    """Walk the tree and collect the graph."""
    walker = Walker(tree, handlers())
    walker.run()
    return _collect(walker)


def _collect(w: Walker) -> DataFlow:
    """Number the variable occurrences by position; a finally clause was walked twice, its occurrences merge here."""
    flags, reach, owners, names = w.flags, w.reach, w.owners, w.names
    for use, definition in w.pending:
        w.add_reaching(use, (definition,))
    merged: dict[int, list[int]] = {}
    for occurrence, node in enumerate(w.nodes):
        found = reach[occurrence]
        if found is not None:
            first = found if isinstance(found, int) else next((d for d in found if owners[d] >= 0), None)
            if first is not None and owners[occurrence] < 0:
                owners[occurrence] = owners[first]
        flag = flags[occurrence]
        if flag & CALLEE:
            if not _is_value(w, found):
                if not flag & DEF:
                    continue
            else:
                flags[occurrence] |= USE
        if owners[occurrence] >= 0 and w.ends[node] > w.starts[node]:
            merged.setdefault(node, []).append(occurrence)
    order = sorted(merged)
    index: dict[int, int] = {}
    for position, node in enumerate(order):
        for occurrence in merged[node]:
            index[occurrence] = position
    occurrences, edges = [], []
    starts, ends = w.starts, w.ends
    for position, node in enumerate(order):
        group = merged[node]
        occurrence = group[0]
        flag = flags[occurrence]
        for other in group[1:]:
            flag |= flags[other]
        occurrences.append(
            Occurrence(
                starts[node],
                ends[node],
                names[occurrence].decode("utf-8", "surrogateescape"),
                bool(flag & DEF),
                bool(flag & USE),
                owners[occurrence],
            )
        )
        if flag & USE:
            found = _union(reach, group)
            sources = {index[d] for d in found if d in index}
            if sources:
                edges.append((position, tuple(sorted(sources))))
    return DataFlow(occurrences, edges, _assignments(w, index), w.scopes)


def _is_value(w: Walker, found: object) -> bool:
    """Whether a called name holds a value: some definition reaches it that is not a def, class or import."""
    definitions = (found,) if isinstance(found, int) else found or ()
    return any(not w.flags[d] & OBJECT for d in definitions)  # type: ignore[attr-defined]


def _union(reach: list, group: list[int]) -> set[int]:
    found: set[int] = set()
    for occurrence in group:
        item = reach[occurrence]
        if isinstance(item, int):
            found.add(item)
        elif item is not None:
            found.update(item)
    return found


def _assignments(w: Walker, index: dict[int, int]) -> list[tuple[int, tuple[int, ...]]]:
    sources: dict[int, set[int]] = {}
    for definition, first, stop, low, high in w.assigned:
        position = index.get(definition)
        if position is None:
            continue
        for occurrence in range(first, stop):
            if w.flags[occurrence] & USE and low <= w.nodes[occurrence] < high and occurrence in index:
                sources.setdefault(position, set()).add(index[occurrence])
    return [(definition, tuple(sorted(uses))) for definition, uses in sorted(sources.items())]
