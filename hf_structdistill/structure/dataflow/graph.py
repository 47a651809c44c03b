"""The data-flow graph: variable occurrences, and edges from each use to the definitions that reach it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..tree import SyntaxTree

DEF, USE, CALLEE, OBJECT = 1, 2, 4, 8
"""Flags of an occurrence. CALLEE: a called name, a use only if its definition is a value. OBJECT: a definition by
def, class or import."""


class Occurrence(NamedTuple):
    """One place in the source where a variable is defined, used, or both (the target of an augmented assignment)."""

    start: int
    """First byte of the name."""
    end: int
    name: str
    is_def: bool
    is_use: bool
    scope: int
    """Index into `DataFlow.scopes` of the scope that owns the variable."""


class Scope(NamedTuple):
    """A block of the program with names of its own."""

    kind: str
    """module, function, lambda, class, comprehension, or type_parameters."""
    name: str
    """Name of the function or class; empty elsewhere."""
    start: int
    """First byte of the construct."""
    parent: int
    """Index of the enclosing scope, -1 for the module."""


class DataFlow:
    """Reaching definitions of one program.

    Attributes:
        occurrences: every variable occurrence, sorted by start byte. A variable is a name that some scope of the
            program binds: builtins, attributes, keyword names and annotations are none.
        edges: (use, definitions): index of an occurrence that is a use and the indices, ascending, of the definitions
            that may reach it. A use that no definition reaches has no edge.
        assignments: (definition, uses): index of a definition and the indices, ascending, of the uses its value is
            computed from; definitions whose value uses no variable are left out.
        scopes: the scopes of the program, outer before inner; 0 is the module.
        variables: (scope, name) of each occurrence.
        definitions: whether each occurrence is a definition.
        parents: index of the scope around each scope, -1 for the module.

    The last three say without positions what a score compares; occurrences and scopes are made on first use.
    """

    def __init__(
        self,
        tree: SyntaxTree,
        places: list[int],
        variables: list[tuple[int, str]],
        flags: list[int],
        scopes: list[Scope],
    ) -> None:
        """`places` and the starts of `scopes` are nodes of the tree; `flags` are DEF and USE of each occurrence."""
        self.variables = variables
        self.definitions = [flag & DEF for flag in flags]
        self.parents = [scope.parent for scope in scopes]
        self.edges: list[tuple[int, tuple[int, ...]]] = []
        self.assignments: list[tuple[int, tuple[int, ...]]] = []
        self._tree, self._places, self._flags, self._scopes = tree, places, flags, scopes

    @cached_property
    def occurrences(self) -> list[Occurrence]:
        starts, ends = self._tree.starts, self._tree.ends
        new = tuple.__new__  # half the price of the generated constructor
        return [
            new(Occurrence, (starts[node], ends[node], name, flag & DEF > 0, flag & USE > 0, scope))
            for node, (scope, name), flag in zip(self._places, self.variables, self._flags, strict=True)
        ]

    @cached_property
    def scopes(self) -> list[Scope]:
        return place_scopes(self._scopes, self._tree)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataFlow) and self._parts() == other._parts()

    __hash__ = None  # type: ignore[assignment]

    def _parts(self) -> tuple:
        return self.occurrences, self.edges, self.assignments, self.scopes


def place_scopes(scopes: list[Scope], tree: SyntaxTree) -> list[Scope]:
    """The scopes of a walk, whose starts are nodes, with bytes for starts."""
    return [scope._replace(start=tree.starts[scope.start] if i else 0) for i, scope in enumerate(scopes)]
