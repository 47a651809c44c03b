"""Code units (module, function, lambda, class body) and how names are resolved when one of them ends.

A name that a unit uses but does not bind belongs to an enclosing unit. Uses climb outward one unit at a time, at the
moment the inner unit ends: the outer unit is then still at the point where the inner one was created, so what reaches
that point is known. A function runs later than that, so it also sees what is defined afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .blocks import Block, reaching, spread_marks

if TYPE_CHECKING:
    from .walker import Walker


class Frame:
    """A scope that runs inline in its unit: a comprehension, or the type parameters of a generic function."""

    __slots__ = ("scope", "bound", "current")

    def __init__(self, scope: int, bound: set[str]) -> None:
        self.scope = scope
        self.bound = bound
        self.current: dict[str, int] = {}


Captured = tuple[int, str, Block, int, "int | None"]
"""A use (or an escaping definition) inside a nested function, seen from an enclosing unit: (occurrence, name, block of
the enclosing unit in which the function is created, first occurrence of the enclosing unit after the creation, the
definition that block already holds at that point). A plain tuple, because there is one for every builtin called."""


class Unit:
    """One stretch of code with a control-flow graph of its own."""

    __slots__ = (
        "scope",
        "is_class",
        "parent",
        "block",
        "entry",
        "defs",
        "declared",
        "escaping",
        "exposed",
        "outer",
        "captured",
        "floating",
        "frames",
        "contexts",
        "dispatch",
        "_marks",
        "_before",
    )

    def __init__(self, scope: int, parent: Unit | None, is_class: bool = False) -> None:
        self.scope = scope
        self.parent = parent
        self.is_class = is_class
        self.entry = self.block = Block(None)
        """Where the walk stands in this unit (kept up to date while an inner unit is walked)."""
        self.defs: dict[str, list[tuple[int, Block]]] = {}
        """Every name this unit binds, with its definitions (none for a bare annotation or del)."""
        self.declared: dict[str, bool] = {}
        """Names under a global (True) or nonlocal (False) statement."""
        self.escaping: dict[str, list[tuple[int, Block]]] = {}
        """Definitions of declared names, and partial definitions (x[i] = v), whose variable may be an outer one."""
        self.exposed: list[tuple[int, str, Block]] = []
        """Uses with no definition earlier in their block."""
        self.outer: list[tuple[int, str]] = []
        """Uses in a comprehension of a class body: they do not see the names of the class."""
        self.captured: list[Captured] = []
        self.floating: list[Captured] = []
        self.frames: list[Frame] = []
        self.contexts: list[Any] = []
        """Enclosing loops and try statements, inner last."""
        self.dispatch: Block | None = None
        """Where an exception raised now goes inside this unit."""
        self._marks: dict[Block, int] = {}
        """A bit for each block in which a function was created, for `may_precede`."""
        self._before: dict[Block, int] = {}

    def may_precede(self, first: Block, after: int, second: Block, occurrence: int) -> bool:
        """Whether `occurrence`, in block `second`, can run after the point `after` of block `first`."""
        if first is second and occurrence >= after:
            return True
        if not self._marks:  # the walk has ended: all functions are known
            asked = [self.entry, *[use[2] for use in self.floating], *[use[2] for use in self.captured]]
            self._marks = {block: 1 << i for i, block in enumerate(dict.fromkeys(asked))}
        return spread_marks(second, self._marks, self._before) & self._marks[first] != 0


def close(walker: Walker, unit: Unit) -> None:
    """Resolve the names of a unit whose walk has ended, and hand what it does not bind to its parent."""
    for name, definitions in unit.escaping.items():
        if name in unit.defs and name not in unit.declared:
            unit.defs[name].extend(definitions)
            for occurrence, _ in definitions:
                walker.owners[occurrence] = unit.scope
        elif unit.parent is not None:
            for occurrence, _ in definitions:
                _escape(walker, unit, occurrence, name)
    floats = _settle_floating(walker, unit) if unit.floating else {}
    _settle_exposed(walker, unit)
    _settle_captured(walker, unit, floats)
    if unit.parent is not None:
        for occurrence, name in unit.outer:
            _use_in(walker, unit.parent, occurrence, name)


def _settle_exposed(walker: Walker, unit: Unit) -> None:
    """Uses of the unit's own code that found no definition in their block."""
    defs, declared, parent, entry = unit.defs, unit.declared, unit.parent, unit.entry
    owners, reach, scope, inner = walker.owners, walker.reach, unit.scope, walker.elsewhere
    stores = {made for found in unit.escaping.values() for made, _ in found} if unit.is_class else set()
    for occurrence, name, block in unit.exposed:
        if name in defs and name not in declared:
            if occurrence in inner:  # a class body that may have bound the name keeps what it found, and the name
                owners.setdefault(occurrence, scope)
                walker.add_reaching(occurrence, reaching(block, name)[0])
                continue
            owners[occurrence] = scope
            definitions = defs[name]
            if (
                len(definitions) == 1
                and definitions[0][1] is entry is not block
                and block.preds
                and not walker.deletes
            ):
                reach[occurrence] = definitions[0][0]  # say a parameter: bound before any branch, and never again
                continue
            reach[occurrence], unbound = reaching(block, name)
            if unbound and unit.is_class:  # a class body falls back on the module, not on enclosing functions
                _use_global(walker, unit, occurrence, name)
                if occurrence in stores:
                    _float(walker, walker.module, occurrence, name)
            continue
        if name in unit.escaping:
            found, unbound = reaching(block, name)
            walker.add_reaching(occurrence, found)
            if not unbound:
                continue
        if parent is None:
            continue
        if declared.get(name):
            _use_global(walker, unit, occurrence, name)
        elif unit.is_class:
            _use_in(walker, parent, occurrence, name)
        else:
            _capture(walker, parent, occurrence, name)


def _settle_captured(walker: Walker, unit: Unit, floats: dict[str, list[int]]) -> None:
    """Uses inside functions created here: what reached the creation, and what is defined after it."""
    defs = unit.defs
    for occurrence, name, block, after, definition in unit.captured:
        if unit.is_class or name not in defs or name in unit.declared:
            if unit.parent is not None:
                if unit.declared.get(name) and not unit.is_class:
                    _use_global(walker, unit, occurrence, name)
                else:
                    _capture(walker, unit.parent, occurrence, name)
            continue
        walker.owners.setdefault(occurrence, unit.scope)  # a class body that falls back on the module keeps its name
        found = {definition} if definition is not None else set(reaching(block, name)[0])
        definitions = defs[name]
        if len(definitions) > len(found):
            for made, where in definitions:
                if made not in found and unit.may_precede(block, after, where, made):
                    found.add(made)
        found.discard(-1)
        found.update(floats.get(name, ()))
        walker.add_reaching(occurrence, found)


def _settle_floating(walker: Walker, unit: Unit) -> dict[str, list[int]]:
    """Definitions that functions created here make of this unit's variables (global, nonlocal, x[i] = v).

    They may run at any time after the function exists, and nothing certainly ends them: each reaches every use of the
    variable that can come after the creation.
    """
    floats: dict[str, list[int]] = {}
    own: dict[str, list[tuple[int, Block]]] = {}
    for occurrence, name, block, after, _ in unit.floating:
        if unit.is_class or name not in unit.defs or name in unit.declared:
            if unit.parent is not None:
                _float(walker, unit.parent, occurrence, name)
            continue
        walker.owners.setdefault(occurrence, unit.scope)
        floats.setdefault(name, []).append(occurrence)
        if name not in own:
            own[name] = _uses_in(walker, unit, name)
        for use, where in own[name]:
            if unit.may_precede(block, after, where, use):
                walker.pending.append((use, occurrence))
    return floats


def _uses_in(walker: Walker, unit: Unit, name: str) -> list[tuple[int, Block]]:
    """Uses of a variable in the unit's own code and in class bodies there, not in the functions it creates."""
    found = []
    for use in walker.uses_named(name):
        if walker.owners.get(use, unit.scope) == unit.scope or use in walker.elsewhere:
            block = walker.block_of(use)
            if unit.may_precede(unit.entry, 0, block, use):
                found.append((use, block))
    return found


def _use_in(walker: Walker, unit: Unit, occurrence: int, name: str) -> None:
    """A use that runs at the point where `unit` stands; what is inside a class does not see the names of the class."""
    if _found_in_frames(walker, unit, occurrence, name):
        return
    while unit.is_class and unit.parent is not None:
        unit = unit.parent
        if _found_in_frames(walker, unit, occurrence, name):
            return
    walker.elsewhere[occurrence] = unit.block
    definition = unit.block.defs.get(name)
    if definition is None:
        unit.exposed.append((occurrence, name, unit.block))
    elif definition >= 0:
        walker.add_reaching(occurrence, (definition,))
    else:  # deleted here; a class that may bind the name, and falls back on this unit, stays its owner
        walker.owners.setdefault(occurrence, unit.scope)


def _capture(walker: Walker, unit: Unit, occurrence: int, name: str) -> None:
    """A use inside a function that is created at the point where `unit` stands."""
    if not _found_in_frames(walker, unit, occurrence, name):
        block = unit.block
        unit.captured.append((occurrence, name, block, len(walker.nodes), block.defs.get(name)))


def _found_in_frames(walker: Walker, unit: Unit, occurrence: int, name: str) -> bool:
    """Whether a comprehension, or type parameters, around the place where `unit` stands bind the name that is used."""
    for frame in reversed(unit.frames):
        if name in frame.bound:
            walker.owners[occurrence] = frame.scope
            if name in frame.current:
                walker.add_reaching(occurrence, (frame.current[name],))
            return True
    return False


def _use_global(walker: Walker, unit: Unit, occurrence: int, name: str) -> None:
    """A use of a module variable, past every unit in between."""
    module = walker.module
    around = unit
    while around.is_class and around.parent is not None:
        around = around.parent
    if around is module:  # class bodies only: runs where the module stands
        _use_in(walker, module, occurrence, name)
    else:
        block = module.block
        module.captured.append((occurrence, name, block, len(walker.nodes), block.defs.get(name)))


def _escape(walker: Walker, unit: Unit, occurrence: int, name: str) -> None:
    target = walker.module if unit.declared.get(name) else unit.parent
    if target is not None:
        _float(walker, target, occurrence, name)


def _float(walker: Walker, unit: Unit, occurrence: int, name: str) -> None:
    for frame in reversed(unit.frames):
        if name in frame.bound:
            walker.owners[occurrence] = frame.scope
            return
    unit.floating.append((occurrence, name, unit.block, len(walker.nodes), None))
