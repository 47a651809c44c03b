"""The published data flow: a walk in source order that remembers where each name was last seen.

Between the few node types that `rules` lists, the walk only passes from one variable token to the next, so it runs
over slices of tokens, with a stack of its own: no recursion, and no visit of a node that changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection

from ...structure.languages import Language
from . import rules as r
from .flows import FlowItem, PublishedFlows
from .tokens import find_variables
from .trees import FlatTree

State = dict[str, tuple[int, ...]]
"""Name -> the tokens that a mention of it now comes from."""
_MEMO_DEPTH = 3  # the published walk does a loop twice, so one nested n deep 2^n times; from here on, remember


class _Unreadable(Exception):
    """The published walk fails here (a part is missing, or not where it looks): it then finds no data flow at all."""


def published_dataflow(tree: FlatTree, language: Language) -> PublishedFlows:
    """The data flows of a program, in the order of its tokens; tokens that are linked to no other are left out."""
    walk = _Walk(tree, r.rules_of(language))
    try:
        walk.run()
    except _Unreadable:
        return PublishedFlows()
    found = walk.found
    return PublishedFlows(found[position].item() for position in sorted(walk.linked.intersection(found)))


class _Found:
    """What the walk found out about one token."""

    __slots__ = ("name", "relation", "sources", "relations")

    def __init__(self, name: str, relation: str, sources: list[str] | set[str]) -> None:
        self.name, self.relation, self.sources = name, relation, sources
        self.relations: tuple[str, ...] = ()  # the earlier ones

    def add(self, relation: str, sources: Collection[str]) -> None:
        if relation == self.relation and sources == self.sources and len(sources) < 2:
            return  # nothing new, and one name has but one order
        if not isinstance(self.sources, set):
            self.sources = set(self.sources)
        self.sources.update(sources)
        if relation != self.relation and relation not in self.relations:
            self.relations += (self.relation,)
            self.relation = relation

    def item(self) -> FlowItem:
        return self.name, self.relation, self.sources


class _Walk:
    """One walk over one program. The stack holds (method, *arguments), last in, first run."""

    def __init__(self, tree: FlatTree, rules: r.KindRules) -> None:
        self.tree, self.rules = tree, rules
        variables = find_variables(tree, rules)
        self.names, self.positions, self.binds = variables.names, variables.positions, variables.binds
        self.before = variables.before
        self.found: dict[int, _Found] = {}
        self.linked: set[int] = set()
        self.state: State = {}
        self.stack: list[tuple] = []
        self.actions, self.loop_depth = _special_nodes(tree, rules)
        self.special = list(self.actions)
        self.memo: dict[tuple, State] = {}

    def run(self) -> None:
        stack = self.stack
        stack.append((self._span, 0, len(self.tree.kinds)))
        while stack:
            task = stack.pop()
            task[0](*task[1:])

    def _then(self, *tasks: tuple) -> None:
        """Run these next, in this order."""
        self.stack.extend(reversed(tasks))

    def _visit(self, node: int) -> tuple:
        return (self._span, node, self.tree.last[node])

    # What happens at tokens -----------------------------------------------------------------------------------------

    def _span(self, node: int, stop: int) -> None:
        """Walk the nodes [node, stop): variable tokens up to the first special node, that node, and what follows."""
        at = bisect_left(self.special, node)
        special = self.special[at] if at < len(self.special) and self.special[at] < stop else stop
        if node < special:
            self._mention(self.before[node], self.before[special])
        if special < stop:
            behind = self.tree.last[special]
            if behind < stop:
                self.stack.append((self._span, behind, stop))
            self.stack.append((self._act, special))

    def _mention(self, first: int, stop: int) -> None:
        names, positions, state, linked, found = self.names, self.positions, self.state, self.linked, self.found
        for v in range(first, stop):
            name, position = names[v], positions[v]
            origin = state.get(name)
            if origin is not None:
                linked.add(position)
                linked.update(origin)
                sources = [name]
            else:
                sources = []
                if self.binds[v]:
                    state[name] = (position,)
            item = found.get(position)
            if item is None:
                found[position] = _Found(name, "comesFrom", sources)
            else:
                item.add("comesFrom", sources)

    def _record(self, name: str, position: int, relation: str, sources: list[str]) -> None:
        item = self.found.get(position)
        if item is None:
            self.found[position] = _Found(name, relation, sources)
        else:
            item.add(relation, sources)

    def _bind(self, target: int, value: int | None, relation: str, one_by_one: bool) -> None:
        """Each variable token of `target` comes from all of `value`'s; `one_by_one`: in as many separate items."""
        names, positions, before, last = self.names, self.positions, self.before, self.tree.last
        sources = slice(before[value], before[last[value]]) if value is not None else slice(0, 0)
        origin = positions[sources]
        for v in range(before[target], before[last[target]]):
            name, position = names[v], positions[v]
            if origin:
                self.linked.add(position)
                self.linked.update(origin)
            if origin or value is None or not one_by_one:
                self._record(name, position, relation, names[sources])
                if one_by_one and len(origin) > 1:
                    self.found[position].add(relation, ())
            self.state[name] = (position,)

    # What happens at special nodes ----------------------------------------------------------------------------------

    def _act(self, node: int) -> None:
        if self.loop_depth.get(node, 0) >= _MEMO_DEPTH and self._remembered(node):
            return
        _ACTIONS[self.actions[node]](self, node)

    def _clauses_first(self, node: int) -> None:
        """A comprehension: its for clauses come before its element."""
        children, clauses = self.tree.children(node), self.rules.comprehension_clauses
        first = [child for child in children if self.tree.kinds[child] in clauses]
        rest = [child for child in children if self.tree.kinds[child] not in clauses]
        self._then(*[self._visit(child) for child in first + rest])

    def _declare(self, node: int) -> None:
        if self.rules.declares_by_position:
            children = self.tree.children(node)
            name = children[1] if len(children) > 1 else None
            value = children[2] if len(children) > 2 else None
        else:
            name, value = self._child(node, "name"), self._child(node, "value")
        target = _present(name)
        bind = (self._bind, target, value, "comesFrom", True)
        self._then(*([] if value is None else [self._visit(value)]), bind)

    def _assign(self, node: int) -> None:
        target, value = _present(self._child(node, "left")), _present(self._child(node, "right"))
        self._then(self._visit(value), (self._bind, target, value, "computedFrom", True))

    def _increment(self, node: int) -> None:
        self._bind(node, node, "computedFrom", True)

    def _assign_paired(self, node: int) -> None:
        if self.tree.kinds[node] in self.rules.comprehension_clauses:
            value = self.tree.children(node)[-1]
            pairs = [(_present(self._child(node, "left")), value)]
        elif self._child(node, "right") is None:  # "x: int" mentions nothing
            return
        else:
            pairs = self._pairs(node)
        self._then(*self._bind_pairs(pairs))

    def _pairs(self, node: int) -> list[tuple[int, int]]:
        """Parts of the left side with parts of the right side where both have as many, else the two wholes."""
        left, right = _present(self._child(node, "left")), _present(self._child(node, "right"))
        kinds, commas = self.tree.kinds, self.rules.commas
        lefts = [child for child in self.tree.children(left) if kinds[child] not in commas]
        rights = [child for child in self.tree.children(right) if kinds[child] not in commas]
        if len(lefts) != len(rights) or not lefts:
            return [(left, right)]
        if kinds[left] in self.rules.whole or kinds[right] in self.rules.whole:
            raise _Unreadable  # `self.name = "x"`: three parts each, and the walk trips over those of the string
        return list(zip(lefts, rights, strict=True))

    def _bind_pairs(self, pairs: list[tuple[int, int]]) -> list[tuple]:
        visits = [self._visit(value) for _, value in pairs]
        return visits + [(self._bind, target, value, "computedFrom", False) for target, value in pairs]

    def _for_paired(self, node: int) -> None:
        tasks = self._bind_pairs(self._pairs(node))
        body = self.tree.children(node)[-1]
        if self.tree.kinds[body] in self.rules.blocks:  # with an else clause, that comes last and the body is lost
            tasks.append(self._visit(body))
        self._then(*tasks, *tasks)

    def _repeat(self, node: int) -> None:
        inside = (self._span, node + 1, self.tree.last[node])
        self._then(inside, inside)

    def _for_clauses(self, node: int) -> None:
        kinds, stop = self.tree.kinds, self.tree.last[node]
        tasks: list[tuple] = [(self._span, node + 1, stop)]
        marker = next((c for c in self.tree.children(node) if kinds[c] in self.rules.again_behind), None)
        if marker is not None:
            update = self._child(marker, "update") if self.rules.rules.update_first else None
            if update is not None:
                tasks.append(self._visit(update))
            tasks.append((self._span, self.tree.last[marker], stop))
        self._then(*tasks)

    def _for_each(self, node: int) -> None:
        name, value, body = (_present(self._child(node, part)) for part in ("name", "value", "body"))
        tasks = [self._visit(value), (self._bind, name, value, "computedFrom", True), self._visit(body)]
        self._then(*tasks, *tasks)

    def _branch(self, node: int) -> None:
        kinds, rules = self.tree.kinds, self.rules
        children = self.tree.children(node)
        states = _BranchStates(self.state)
        tasks: list[tuple] = []
        in_arms = False
        for child in children:
            arm = in_arms or kinds[child] in rules.arms
            in_arms = arm and rules.rules.arms_to_the_end
            tasks += [(self._enter, states, arm), self._visit(child), (self._leave, states, arm)]
        covered = any(kinds[child] in rules.elses for child in children)
        self._then(*tasks, (self._join, states, rules.rules.keeps_state_before or not covered))

    def _enter(self, states: _BranchStates, arm: bool) -> None:
        self.state = dict(states.before) if arm else states.current

    def _leave(self, states: _BranchStates, arm: bool) -> None:
        if arm:
            states.arms.append(self.state)
        else:
            states.current = self.state

    def _join(self, states: _BranchStates, before_too: bool) -> None:
        joined: State = {}
        for state in [*states.arms, states.current, *([states.before] if before_too else [])]:
            for name, origin in state.items():
                known = joined.get(name)
                if known is None:
                    joined[name] = origin
                elif known != origin:
                    joined[name] = tuple(sorted({*known, *origin}))
        self.state = joined

    # Deeply nested loops --------------------------------------------------------------------------------------------

    def _remembered(self, node: int) -> bool:
        """Whether this loop was walked from the same state before; then only its outcome is applied again."""
        names = sorted(set(self.names[self.before[node] : self.before[self.tree.last[node]]]))
        key = (node, *[self.state.get(name) for name in names])
        outcome = self.memo.get(key)
        if outcome is not None:
            self.state.update(outcome)
            return True
        self.stack.append((self._remember, key, names))
        return False

    def _remember(self, key: tuple, names: list[str]) -> None:
        self.memo[key] = {name: self.state[name] for name in names if name in self.state}

    def _child(self, node: int, field: str) -> int | None:
        field_id = self.rules.fields[field]
        return None if field_id is None else self.tree.child(node, field_id)


class _BranchStates:
    """The states of one branching statement: before it, along its straight part, and at the end of each arm."""

    def __init__(self, before: State) -> None:
        self.before, self.current = before, dict(before)
        self.arms: list[State] = []


_ACTIONS = {
    r.DECLARE: _Walk._declare,
    r.ASSIGN: _Walk._assign,
    r.ASSIGN_PAIRED: _Walk._assign_paired,
    r.INCREMENT: _Walk._increment,
    r.BRANCH: _Walk._branch,
    r.FOR_PAIRED: _Walk._for_paired,
    r.FOR_CLAUSES: _Walk._for_clauses,
    r.FOR_EACH: _Walk._for_each,
    r.REPEAT: _Walk._repeat,
    r.CLAUSES_FIRST: _Walk._clauses_first,
}


def _present(node: int | None) -> int:
    if node is None:
        raise _Unreadable
    return node


def _special_nodes(tree: FlatTree, rules: r.KindRules) -> tuple[dict[int, int], dict[int, int]]:
    """Node -> action, in preorder, and loop -> how many loops it lies in. Strings are leaves to the published walk."""
    actions: dict[int, int] = {}
    depth: dict[int, int] = {}
    loop_ends: list[int] = []
    kinds, last, of_kind = tree.kinds, tree.last, rules.actions
    in_order, skip_to = True, 0
    for i, parent in tree.marked:
        kind = kinds[i]
        if i < skip_to:
            continue
        if kind in rules.whole:
            skip_to = last[i]
            continue
        actions[i] = of_kind[kind]
        if kind in rules.comprehension_clauses:
            if kinds[parent] not in of_kind:
                actions[parent] = r.CLAUSES_FIRST
                in_order = False
        elif kind in rules.loops:
            while loop_ends and loop_ends[-1] <= i:
                loop_ends.pop()
            depth[i] = len(loop_ends)
            loop_ends.append(last[i])
    return actions if in_order else dict(sorted(actions.items())), depth
