"""Node types of Python's grammar as integers, and what the walk does when it meets each of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ..languages import ERROR_KIND, get_language

# Actions of the scan, by kind id.
PASS, NAME, CALL, DOT, SKIP, KEYWORD, SPECIAL, INLINE = range(8)

_SPECIAL = (
    "as_pattern break_statement class_definition continue_statement decorator delete_statement "
    "dictionary_comprehension for_statement function_definition future_import_statement generator_expression "
    "global_statement if_statement import_from_statement import_statement lambda list_comprehension match_statement "
    "named_expression nonlocal_statement raise_statement set_comprehension try_statement type_alias_statement "
    "while_statement"
).split()

_INLINE = ("assignment", "augmented_assignment", "return_statement")

# With an assignment expression below them, these decide whether it runs; without, their operands are just uses.
_BRANCHING = ("boolean_operator", "conditional_expression", "comparison_operator")


class PythonNodes:
    """Kind ids of the grammar by node type, as attributes, and the scan's tables (bytes indexed by kind id)."""

    def __init__(self) -> None:
        grammar = get_language("python").grammar

        def named(kind: str) -> int:
            return _id(grammar, kind, True)

        def token(kind: str) -> int:
            return _id(grammar, kind, False)

        self.identifier = named("identifier")
        self.comment = named("comment")
        self.extras = frozenset({named("comment"), named("line_continuation"), ERROR_KIND})
        self.colon, self.equals, self.star, self.walrus = token(":"), token("="), token("*"), token(":=")
        self.dot, self.else_, self.as_, self.from_ = token("."), token("else"), token("as"), token("from")
        self.not_, self.and_, self.underscore = token("not"), token("and"), token("_")
        self.named_expression = named("named_expression")
        self.kinds = {kind: named(kind) for kind in (*_NAMED, *_SPECIAL, *_INLINE)}
        self.__dict__.update(self.kinds)
        self.constants = frozenset({self.true, self.integer})
        """Conditions that may be known to hold."""
        self.operands = get_language("python").named_kinds - self.extras
        self.defaults = frozenset({self.default_parameter, self.typed_default_parameter})
        self.stores = frozenset({self.subscript, self.attribute, self.call})
        self.types = frozenset(self.kinds[kind] for kind in _TYPES)
        """What an expression is wrapped in where the grammar reads it as a type."""
        table = bytearray(65536)
        table[self.identifier] = NAME
        table[self.dot] = DOT
        table[named("call")] = CALL
        table[named("keyword_argument")] = KEYWORD
        table[named("type")] = SKIP
        table[named("type_parameter")] = SKIP
        table[ERROR_KIND] = SKIP
        for kind in _SPECIAL:
            table[self.kinds[kind]] = SPECIAL
        for kind in _INLINE:
            table[self.kinds[kind]] = INLINE
        self.plain = bytes(table)
        table[named("type")] = table[named("type_parameter")] = PASS
        self.annotated = bytes(table)
        """The table that also looks into annotations, which are names but no variables."""

    if TYPE_CHECKING:

        def __getattr__(self, kind: str) -> int: ...

    def branching(self, table: bytes) -> bytes:
        """The table for programs with assignment expressions."""
        changed = bytearray(table)
        for kind in _BRANCHING:
            changed[self.kinds[kind]] = SPECIAL
        return bytes(changed)

    def guarded(self, table: bytes) -> bytes:
        """The table for code inside try: every statement of a block is a point where an exception can start."""
        changed = bytearray(table)
        changed[self.kinds["block"]] = SPECIAL
        return bytes(changed)


_TYPES = "constrained_type generic_type splat_type type type_parameter union_type".split()

_NAMED = (
    "aliased_import as_pattern as_pattern_target assignment attribute block boolean_operator call case_clause "
    "case_pattern class_pattern comparison_operator concatenated_string conditional_expression constrained_type "
    "default_parameter dictionary_splat_pattern dotted_name elif_clause else_clause except_clause expression_list "
    "false finally_clause for_in_clause generator_expression generic_type if_clause integer keyword_argument "
    "keyword_pattern lambda_parameters list list_pattern list_splat list_splat_pattern member_type not_operator "
    "parameters parenthesized_expression pattern_list relative_import splat_pattern splat_type string subscript true "
    "tuple tuple_pattern type type_parameter typed_default_parameter typed_parameter union_pattern union_type "
    "wildcard_import"
).split()


def _id(grammar, kind: str, named: bool) -> int:  # type: ignore[no-untyped-def]
    found = grammar.id_for_node_kind(kind, named)
    if found is None:
        raise KeyError(f"tree-sitter-python has no node type {kind!r}")
    return found


@cache
def python_nodes() -> PythonNodes:
    return PythonNodes()
