"""The walk over a Python tree in evaluation order, which feeds occurrences into code units and blocks.

One loop over the flat tree does the common case (names, calls, attributes); nodes that change scope, bind names or
branch have a handler (python_bindings.py, python_control.py, python_scopes.py). Handlers push tasks on a stack instead
of calling the walk again, so nesting depth costs memory and never the interpreter's stack.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from .blocks import Block, flow
from .graph import CALLEE, DEF, USE, Scope
from .python_nodes import CALL, DOT, INLINE, KEYWORD, PASS, SKIP, python_nodes
from .units import Frame, Unit, close

if TYPE_CHECKING:
    from ..tree import SyntaxTree

NOWHERE = Block()
"""Unreachable: what a deleted name is looked up in."""

Task = tuple[Callable[..., None] | None, Any, Any]
Handlers = dict[int, Callable[["Walker", int], Any]]


class Walker:
    """State of one analysis. Occurrences are numbered in the order in which they are evaluated."""

    def __init__(
        self, tree: SyntaxTree, handlers: Handlers, *, names: bool = False, annotations: bool = False
    ) -> None:
        """`names` records what a scope table needs; `annotations` walks annotations as if they were expressions."""
        self.tree = tree
        self.kinds, self.last = tree.kinds, tree.last
        self.named = tree.language.named_kinds
        self.n = python_nodes()
        self.handlers = handlers
        self.annotations = annotations
        self.words = tree.words if tree.source.isascii() else {i: _as_compared(w) for i, w in tree.words.items()}
        self.nodes: list[int] = []
        self.names: list[str] = []
        self.flags: list[int] = []
        self.reach: list[Any] = []
        """Definitions that reach each occurrence: None, one int, or a collection of ints."""
        self.owners: dict[int, int] = {}
        """Scope of an occurrence, where it is not that of the definitions that reach it."""
        self.assigned: list[tuple[int, int, int]] = []
        """(definition, first node, one past the last node): the uses between make its value."""
        self.pending: list[tuple[int, int]] = []
        """(use, definition) found while the use itself was not settled yet."""
        self.scopes: list[Scope] = [Scope("module", "", 0, -1)]
        """Their starts are nodes (`place_scopes`)."""
        self._scope_at: dict[int, int] = {}
        self.units: list[Unit] = []
        self.bound: dict[int, set[str]] | None = {} if names else None
        """Names that comprehensions and type parameters bind, only for the scope table."""
        self.used: list[set[str]] | None = [set()] if names else None
        """Names each scope mentions, only for the scope table."""
        self.module = self.unit = Unit(0, None)
        self.block = self.unit.block
        self.moves: list[tuple[int, Block]] = [(0, self.block)]
        """(first occurrence, block): from there on, occurrences are in this block."""
        self.elsewhere: dict[int, Block] = {}
        """Blocks of uses in a class body, seen from the unit around it."""
        self.tasks: list[Task] = []
        self.forks: list[Block] = []
        """For each open condition or loop, inner last, the state where it is false or done."""
        self.in_finally = False
        self.deletes = False
        """Whether some definition ends without another (del, the end of `except ... as`)."""
        self._by_name: dict[str, list[int]] = {}
        self._indexed = -1
        self.walrus_nodes: set[int] = set()
        self.table = self.n.annotated if annotations else self.n.plain
        if self.n.named_expression in tree.kinds:
            self._mark_walrus_nodes()

    def _mark_walrus_nodes(self) -> None:
        """Find what contains an assignment expression: there, and only there, expressions have branches."""
        self.table = self.n.branching(self.table)
        parents, walrus = self.tree.parents, self.n.named_expression
        for node, kind in enumerate(self.kinds):
            while kind == walrus and node >= 0 and node not in self.walrus_nodes:
                self.walrus_nodes.add(node)
                node = parents[node]

    # -- the walk

    def run(self) -> None:
        """Walk the whole tree and resolve every unit.

        The inner loop visits nodes [j, stop) in order until one needs a handler; the rest of the range becomes a
        task. A simple statement (`x = value`, `x += value`, `return value`) goes on inside: its value is visited, and
        what remains to do after it is a task.
        """
        kinds, last, words, tasks, handlers = self.kinds, self.last, self.words, self.tasks, self.handlers
        nodes, names, flags, reach = self.nodes, self.names, self.flags, self.reach
        identifier = self.n.identifier
        tasks.append((None, 0, len(kinds)))
        while tasks:
            function, j, stop = tasks.pop()
            if function is not None:
                function(self, j, stop)
                continue
            unit, block = self.unit, self.block
            defs, exposed = block.defs, unit.exposed
            table = self.table if unit.dispatch is None else self._guarded_table
            fast = not unit.frames and self.used is None
            while j < stop:
                kind = kinds[j]
                action = table[kind]
                if action == PASS:
                    j += 1
                elif action <= CALL:  # NAME or CALL
                    flag = USE
                    if action == CALL:
                        j += 1
                        if j >= stop or kinds[j] != identifier:
                            continue
                        flag = CALLEE
                    if fast:
                        name = words[j]
                        definition = defs.get(name)
                        if definition is None:
                            exposed.append((len(nodes), name, block))
                        elif definition < 0:
                            definition = None
                            exposed.append((len(nodes), name, NOWHERE))
                        nodes.append(j)
                        names.append(name)
                        flags.append(flag)
                        reach.append(definition)
                    else:
                        self.use(j, flag)
                    j += 1
                elif action == DOT:
                    j = self._after_attribute(j + 1, stop)
                elif action == KEYWORD:
                    j = min(j + 2, stop)
                elif action == SKIP:
                    j = last[j]
                else:
                    if last[j] < stop:
                        tasks.append((None, last[j], stop))
                    if action == INLINE:
                        simple = handlers[kind](self, j)
                        if simple is not None:
                            stop = last[j]
                            j, finish = simple
                            tasks.append(finish)
                            continue
                        kind = -kind
                    handlers[kind](self, j)
                    break
        close(self, self.module)
        self.units.append(self.module)

    @cached_property
    def _guarded_table(self) -> bytes:
        return self.n.guarded(self.table)

    def _after_attribute(self, j: int, stop: int) -> int:
        """Skip the attribute name after a dot; a line continuation may stand between."""
        while j < stop and self.kinds[j] in self.n.extras:
            j = self.last[j]
        return j + 1 if j < stop and self.kinds[j] == self.n.identifier else j

    def scan(self, node: int) -> None:
        """Visit the subtree of `node` next."""
        self.tasks.append((None, node, self.last[node]))

    def later(self, function: Callable[..., None], a: Any = None, b: Any = None) -> None:
        """Call function(walker, a, b) after the tasks pushed after this one."""
        self.tasks.append((function, a, b))

    # -- nodes

    def parts(self, node: int) -> list[int]:
        """Children of a node without comments, line continuations and what did not parse."""
        last, kinds, extras = self.last, self.kinds, self.n.extras
        stop, found = last[node], []
        node += 1
        while node < stop:
            if kinds[node] not in extras:
                found.append(node)
            node = last[node]
        return found

    def operands(self, node: int) -> list[int]:
        """Named children of a node: its parts without keywords and punctuation."""
        last, kinds, wanted = self.last, self.kinds, self.n.operands
        stop, found = last[node], []
        node += 1
        while node < stop:
            if kinds[node] in wanted:
                found.append(node)
            node = last[node]
        return found

    def text(self, node: int) -> str:
        """The name at a node, in the NFKC form in which Python compares names."""
        name = self.words.get(node)
        if name is None:  # no identifier: a keyword where broken code has a name
            name = _as_compared(self.tree.text(node).decode("utf-8", "surrogateescape"))
        return name

    # -- occurrences

    def add(self, node: int, name: str, flag: int) -> int:
        occurrence = len(self.nodes)
        self.nodes.append(node)
        self.names.append(name)
        self.flags.append(flag)
        self.reach.append(None)
        return occurrence

    def use(self, node: int, flag: int = USE) -> int:
        """A name is read here."""
        name = self.text(node)
        occurrence = self.add(node, name, flag)
        unit = self.unit
        if self.used is not None:
            self.used[unit.frames[-1].scope if unit.frames else unit.scope].add(name)
        for frame in reversed(unit.frames):
            if name in frame.bound:
                self.owners[occurrence] = frame.scope
                self.reach[occurrence] = frame.current.get(name)
                return occurrence
        if unit.is_class and unit.frames:
            unit.outer.append((occurrence, name))
            return occurrence
        definition = self.block.defs.get(name)
        if definition is None or definition < 0:
            unit.exposed.append((occurrence, name, self.block if definition is None else NOWHERE))
        else:
            self.reach[occurrence] = definition
        return occurrence

    def define(self, node: int, flag: int = DEF) -> int:
        """The unit binds a name here."""
        occurrence = len(self.nodes)
        self.nodes.append(node)
        self.names.append(self.text(node))
        self.flags.append(flag)
        self.reach.append(None)
        self.bind(occurrence)
        return occurrence

    def bind(self, occurrence: int) -> None:
        """From here on, `occurrence` is the definition of its name."""
        name, unit = self.names[occurrence], self.unit
        self.flags[occurrence] |= DEF
        self.block.defs[name] = occurrence
        if name in unit.declared:
            unit.escaping.setdefault(name, []).append((occurrence, self.block))
            return
        self.owners[occurrence] = unit.scope
        if name in unit.defs:
            unit.defs[name].append((occurrence, self.block))
        else:
            unit.defs[name] = [(occurrence, self.block)]

    def bind_partly(self, node: int) -> int | None:
        """The use at `node` has also changed its variable (x[i] = v, x.a = v): a definition that uses itself."""
        occurrence = len(self.nodes) - 1
        while occurrence >= 0 and self.nodes[occurrence] != node:
            occurrence -= 1
        if occurrence < 0:
            return None
        name = self.names[occurrence]
        self.flags[occurrence] |= DEF
        for frame in reversed(self.unit.frames):
            if name in frame.bound:
                frame.current[name] = occurrence
                return occurrence
        self.block.defs[name] = occurrence
        self.unit.escaping.setdefault(name, []).append((occurrence, self.block))
        return occurrence

    def bind_in(self, frame: Frame, node: int) -> int:
        """A comprehension binds a name of its own scope."""
        name = self.text(node)
        occurrence = self.add(node, name, DEF)
        self.owners[occurrence] = frame.scope
        frame.bound.add(name)
        frame.current[name] = occurrence
        return occurrence

    def add_reaching(self, occurrence: int, definitions: Iterable[int]) -> None:
        known = self.reach[occurrence]
        if known is None:
            self.reach[occurrence] = tuple(definitions)
        else:
            self.reach[occurrence] = {*((known,) if isinstance(known, int) else known), *definitions}

    def uses_named(self, name: str) -> list[int]:
        """Occurrences of a name so far that are read, callees included; the index is built on first need."""
        if self._indexed != len(self.nodes):
            self._by_name, self._indexed = {}, len(self.nodes)
            for occurrence, flag in enumerate(self.flags):
                if flag & (USE | CALLEE):
                    self._by_name.setdefault(self.names[occurrence], []).append(occurrence)
        return self._by_name.get(name, [])

    def block_of(self, occurrence: int) -> Block:
        """The block in which an occurrence is evaluated."""
        if occurrence in self.elsewhere:
            return self.elsewhere[occurrence]
        return self.moves[bisect_right(self.moves, occurrence, key=_first) - 1][1]

    # -- control flow

    def start(self, block: Block, _: Any = None) -> None:
        """Go on in `block`."""
        self.block = block
        self.moves.append((len(self.nodes), block))

    def join(self, target: Block, follow: Block | None = None) -> None:
        """The present block runs on into `target`; the walk goes on in `follow`."""
        flow(self.block, target)
        if follow is not None:
            self.start(follow)

    def fork(self) -> Block:
        """A new block after the current one; the walk stays where it is."""
        return Block(self.block) if self.block.preds else Block()

    def raise_point(self, a: Any = None, b: Any = None) -> None:
        """An exception may start here: the enclosing try sees the present state."""
        dispatch = self.unit.dispatch
        block = self.block
        if dispatch is None or not block.preds or (block.covered is dispatch and not block.defs):
            return
        flow(block, dispatch)
        self.start(Block(block))
        self.block.covered = dispatch

    # -- units

    def new_scope(self, kind: str, name: str, node: int) -> int:
        if node in self._scope_at:  # the second walk of a finally clause
            return self._scope_at[node]
        parent = self.unit.frames[-1].scope if self.unit.frames else self.unit.scope
        index = self._scope_at[node] = len(self.scopes)
        self.scopes.append(Scope(kind, name, node, parent))
        if self.used is not None:
            self.used.append(set())
        return index

    def enter_unit(self, scope: int, is_class: bool = False) -> None:
        self.unit.block = self.block
        self.unit = Unit(scope, self.unit, is_class)
        self.start(self.unit.block)

    def leave_unit(self, a: Any = None, b: Any = None) -> None:
        unit = self.unit
        assert unit.parent is not None
        close(self, unit)
        if self.used is not None:
            self.units.append(unit)
        self.unit = unit.parent
        self.start(self.unit.block)


def _as_compared(name: str) -> str:
    return name if name.isascii() else normalize("NFKC", name)


def _first(move: tuple[int, Block]) -> int:
    return move[0]
