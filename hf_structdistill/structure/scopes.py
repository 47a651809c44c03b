"""The scope table of a Python program: for every scope, what each name in it refers to.

The same walk as the data flow, so that comparing this table with the `symtable` module of the running Python is a
second opinion on how the data flow resolves names (tests/structure/test_scopes_stdlib.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..errors import InputError
from .dataflow.graph import Scope, place_scopes
from .dataflow.python import handlers
from .dataflow.walker import Walker
from .tree import SyntaxTree

Reference = Literal["local", "cell", "free", "global"]
"""What a name in a scope is. local: bound there. cell: bound there and captured by a nested scope. free: bound by an
enclosing function (also where it only passes through to a nested scope). global: a module variable or a builtin, or
declared global. The module's own names are local."""


@dataclass(frozen=True)
class ScopeNames:
    """One scope and the names it mentions, callees included."""

    scope: Scope
    names: Mapping[str, Reference]


def scope_table(tree: SyntaxTree, *, annotations: bool = True) -> list[ScopeNames]:
    """The names of every scope of a Python tree, scopes in the order of `DataFlow.scopes`.

    `annotations` includes the names in annotations, which Python resolves unless they are postponed
    (`from __future__ import annotations`). Raises InputError for other languages.
    """
    if tree.language.name != "python":
        raise InputError(f"expected a Python tree, got {tree.language.name}: scope tables exist for Python only")
    walker = Walker(tree, handlers(), names=True, annotations=annotations)
    walker.run()
    return _Resolver(walker, place_scopes(walker.scopes, tree)).table()


class _Resolver:
    """Climbs from each mention of a name to the scope that binds it."""

    def __init__(self, walker: Walker, scopes: list[Scope]) -> None:
        self.scopes = scopes
        self.used = walker.used or []
        self.bound: dict[int, set[str]] = dict(walker.bound or {})
        self.declared: dict[int, dict[str, bool]] = {}
        for unit in walker.units:
            self.bound[unit.scope] = {name for name in unit.defs if name not in unit.declared}
            self.declared[unit.scope] = unit.declared

    def table(self) -> list[ScopeNames]:
        found: list[dict[str, Reference]] = []
        captures: list[tuple[int, int, str]] = []
        for scope in range(len(self.scopes)):
            declared = self.declared.get(scope, {})
            names: dict[str, Reference] = {}
            for name in sorted({*self.used[scope], *self.bound[scope], *declared}):
                owner = self._owner(scope, name)
                names[name] = "local" if owner == scope else "global" if owner <= 0 else "free"
                if owner > 0 and owner != scope:
                    captures.append((scope, owner, name))
            found.append(names)
        for scope, owner, name in captures:
            found[owner][name] = "cell"
            while (scope := self.scopes[scope].parent) != owner:  # the scopes between pass it through
                found[scope].setdefault(name, "free")
        return [ScopeNames(scope, names) for scope, names in zip(self.scopes, found, strict=True)]

    def _owner(self, scope: int, name: str) -> int:
        """The scope whose variable `name` is when mentioned in `scope`; 0, the module, also for builtins."""
        start = scope
        while scope > 0:
            declared = self.declared.get(scope, {}).get(name)
            if declared:
                return 0
            visible = scope == start or self.scopes[scope].kind != "class"
            if visible and declared is None and name in self.bound[scope]:
                return scope
            scope = self.scopes[scope].parent
        if start == 0 and name not in self.bound[0]:
            return -1
        return 0
