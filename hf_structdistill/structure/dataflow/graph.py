"""The data-flow graph: variable occurrences, and edges from each use to the definitions that reach it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


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


@dataclass(frozen=True)
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
    """

    occurrences: list[Occurrence] = field(default_factory=list)
    edges: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    assignments: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
