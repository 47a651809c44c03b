"""Everything that binds names without branching: assignments, targets, imports, del, global, with-as."""

from __future__ import annotations

from .blocks import UNBOUND
from .units import Frame
from .walker import CALLEE, DEF, OBJECT, USE, Walker

Span = tuple[int, int]
"""First node and one past the last."""


def assignment(w: Walker, node: int) -> None:
    """`a = b = value`, `a: T = value`, `a: T`. The value first, then the targets from left to right."""
    n = w.n
    targets = []
    annotation = value = None
    while True:
        parts = w.parts(node)
        targets.append(parts[0])
        kinds = [w.kinds[p] for p in parts]
        if n.colon in kinds[1:]:
            annotation = parts[kinds.index(n.colon, 1) + 1]
        if n.equals not in kinds[1:-1]:
            break
        value = parts[kinds.index(n.equals, 1) + 1]
        if w.kinds[value] != n.kinds["assignment"]:
            break
        node = value
    if annotation is not None and w.annotations:
        w.scan(annotation)
    if value is None:
        w.later(_annotate, targets[0])
    else:
        w.later(_bind_targets, (targets, value), len(w.nodes))
        w.scan(value)


def _annotate(w: Walker, target: int, _: None) -> None:
    """A bare annotation makes the name local to its scope and gives it no value."""
    if w.kinds[target] == w.n.identifier:
        if w.text(target) not in w.unit.declared:
            w.unit.defs.setdefault(w.text(target), [])
    else:
        w.scan(target)


def _bind_targets(w: Walker, targets_and_value: tuple[list[int], int], first: int) -> None:
    targets, value = targets_and_value
    for target in reversed(targets):
        w.later(_bind_target, (target, value), (first, len(w.nodes)))


def _bind_target(w: Walker, target_and_value: tuple[int, int], uses: tuple[int, int]) -> None:
    bind_target(w, *target_and_value, *uses)


def bind_target(
    w: Walker, target: int, value: int, first: int, stop: int, frame: Frame | None = None, zipped: bool = True
) -> None:
    """Bind a target, however nested; its value is computed from the uses first..stop that lie below `value`.

    Where both sides are displays of matching shape (`a, b = b, a`), each target takes the element it is zipped with.
    """
    leaves: list[tuple[int, Span, bool]] = []
    stack: list[tuple[int, int | None, Span]] = [(target, value if zipped else None, (value, w.last[value]))]
    while stack:
        target, display, span = stack.pop()
        kind = w.kinds[target]
        if kind == w.n.identifier:
            leaves.append((target, span, True))
        elif kind in _store_kinds(w):
            leaves.append((target, span, False))
        else:
            elements = _elements(w, target)
            pairs = zip_elements(w, elements, display) if display is not None else None
            stack.extend(reversed(pairs or [(element, None, span) for element in elements]))
    if all(plain for *_, plain in leaves):
        for leaf, span, _ in leaves:
            _bind_leaf(w, (leaf, span, first, stop), frame)
        return
    for leaf, span, plain in reversed(leaves):
        if plain:
            w.later(_bind_leaf, (leaf, span, first, stop), frame)
        else:
            w.later(_store, (leaf, span, first, stop))
            w.later(_mark, leaf)


def _bind_leaf(w: Walker, what: tuple[int, Span, int, int], frame: Frame | None) -> None:
    leaf, span, first, stop = what
    occurrence = w.define(leaf) if frame is None else w.bind_in(frame, leaf)
    if first < stop:
        w.assigned.append((occurrence, first, stop, *span))


def _mark(w: Walker, leaf: int, _: None) -> None:
    """Read the parts of `x[i]` or `x.a` before the store."""
    w.scan(leaf)


def _store(w: Walker, what: tuple[int, Span, int, int], _: None) -> None:
    """The store into part of a variable: a use of it, and a new definition computed from itself and the value."""
    leaf, span, first, stop = what
    base = base_name(w, leaf)
    if base is None:
        return
    w.bind_partly(base)
    occurrence = _occurrence_of(w, base)
    if occurrence is None:
        return
    w.assigned.append((occurrence, first, stop, *span))
    w.assigned.append((occurrence, occurrence, len(w.nodes), leaf, w.last[leaf]))


def _occurrence_of(w: Walker, node: int) -> int | None:
    for occurrence in range(len(w.nodes) - 1, -1, -1):
        if w.nodes[occurrence] == node:
            return occurrence
    return None


def base_name(w: Walker, node: int) -> int | None:
    """The variable that a store into `node` changes: x in x[i].a; none where a call stands in between."""
    kinds = w.n.kinds
    through = (kinds["subscript"], kinds["attribute"], kinds["parenthesized_expression"])
    while w.kinds[node] in through:
        parts = w.parts(node)
        node = parts[1] if w.kinds[node] == kinds["parenthesized_expression"] and len(parts) > 1 else parts[0]
    return node if w.kinds[node] == w.n.identifier else None


def _store_kinds(w: Walker) -> tuple[int, int, int]:
    kinds = w.n.kinds
    return kinds["subscript"], kinds["attribute"], kinds["call"]


def _elements(w: Walker, node: int) -> list[int]:
    """Elements of a tuple or list display or pattern, without its punctuation."""
    named = w.tree.language.named_kinds
    return [p for p in w.parts(node) if w.kinds[p] in named]


def zip_elements(w: Walker, targets: list[int], value: int) -> list[tuple[int, int | None, Span]] | None:
    """Each target with its element of the display `value`, and the nodes it spans; None where shapes do not match.

    A starred target takes the elements in the middle.
    """
    kinds = w.n.kinds
    while w.kinds[value] == kinds["parenthesized_expression"]:
        inner = w.parts(value)[1:-1]
        if len(inner) != 1:
            return None
        value = inner[0]
    if w.kinds[value] not in (kinds["tuple"], kinds["list"], kinds["expression_list"]):
        return None
    values = _elements(w, value)
    stars = [i for i, t in enumerate(targets) if w.kinds[t] == kinds["list_splat_pattern"]]
    if any(w.kinds[v] == kinds["list_splat"] for v in values) or len(stars) > 1:
        return None
    if len(values) != len(targets) if not stars else len(values) < len(targets) - 1:
        return None
    pairs: list[tuple[int, int | None, Span]] = []
    extra = len(values) - len(targets)
    taken = 0
    for i, target in enumerate(targets):
        if i in stars:
            middle = values[taken : taken + extra + 1]
            pairs.append((target, None, (middle[0], w.last[middle[-1]]) if middle else (0, 0)))
            taken += extra + 1
        else:
            element = values[taken]
            pairs.append((target, element, (element, w.last[element])))
            taken += 1
    return pairs


def augmented_assignment(w: Walker, node: int) -> None:
    """`x += value`: one occurrence, a use and then a definition that depends on itself."""
    parts = w.parts(node)
    target, value = parts[0], parts[-1]
    if w.kinds[target] == w.n.identifier:
        occurrence = w.use(target, USE)
        w.later(_bind_augmented, occurrence, node)
    else:
        w.later(_store, (target, (0, 0), len(w.nodes), len(w.nodes)))
        w.later(_widen, (target, value), len(w.nodes))
    w.scan(value)
    if w.kinds[target] != w.n.identifier:
        w.scan(target)


def _bind_augmented(w: Walker, occurrence: int, node: int) -> None:
    w.bind(occurrence)
    w.assigned.append((occurrence, occurrence, len(w.nodes), node, w.last[node]))


def _widen(w: Walker, target_and_value: tuple[int, int], first: int) -> None:
    base = base_name(w, target_and_value[0])
    occurrence = _occurrence_of(w, base) if base is not None else None
    if occurrence is not None:
        value = target_and_value[1]
        w.assigned.append((occurrence, first, len(w.nodes), value, w.last[value]))


def named_expression(w: Walker, node: int) -> None:
    """`(name := value)` binds in the unit, also from inside a comprehension."""
    parts = w.parts(node)
    w.later(_bind_named, (parts[0], parts[-1]), len(w.nodes))
    w.scan(parts[-1])


def _bind_named(w: Walker, target_and_value: tuple[int, int], first: int) -> None:
    target, value = target_and_value
    if w.kinds[target] != w.n.identifier:
        return
    stop = len(w.nodes)
    occurrence = w.define(target)
    if w.used is not None and w.unit.frames:
        w.used[w.unit.frames[-1].scope].add(w.text(target))
    if first < stop:
        w.assigned.append((occurrence, first, stop, value, w.last[value]))
    w.raise_point()


def as_pattern(w: Walker, node: int) -> None:
    """`value as target` in with and except."""
    parts = w.parts(node)
    target = next((p for p in parts if w.kinds[p] == w.n.kinds["as_pattern_target"]), None)
    if target is not None and w.parts(target):
        w.later(_bind_as, (w.parts(target)[0], parts[0]), len(w.nodes))
    w.scan(parts[0])


def _bind_as(w: Walker, target_and_value: tuple[int, int], first: int) -> None:
    w.later(Walker.raise_point)
    bind_target(w, *target_and_value, first, len(w.nodes))


def import_statement(w: Walker, node: int) -> None:
    """`import a.b` binds a, `import a.b as c` binds c, `from m import a as b` binds b."""
    parts = w.parts(node)
    if w.kinds[node] == w.n.id["import_from_statement"]:
        parts = parts[2:]  # from, module
        names = w.n.kinds["dotted_name"]
    else:
        parts = parts[1:]
        names = w.n.kinds["dotted_name"]
    for part in parts:
        if w.kinds[part] == names:
            w.define(w.parts(part)[0], DEF | OBJECT)
        elif w.kinds[part] == w.n.kinds["aliased_import"]:
            w.define(w.parts(part)[-1], DEF | OBJECT)


def delete_statement(w: Walker, node: int) -> None:
    """`del x` reads x and ends its definitions; `del x[i]` and `del x.a` change x."""
    stack = w.parts(node)[1:]
    targets = []
    named = w.tree.language.named_kinds
    while stack:
        target = stack.pop()
        if w.kinds[target] == w.n.identifier or w.kinds[target] in _store_kinds(w):
            targets.append(target)
        elif w.kinds[target] in named:
            stack.extend(w.parts(target))
    for target in targets:  # popped last to first, and tasks run last in first out
        w.later(_delete, target)


def _delete(w: Walker, target: int, _: None) -> None:
    if w.kinds[target] != w.n.identifier:
        w.later(_store, (target, (0, 0), len(w.nodes), len(w.nodes)))
        w.scan(target)
        return
    w.use(target)
    name = w.text(target)
    w.block.defs[name] = UNBOUND
    if name not in w.unit.declared:
        w.unit.defs.setdefault(name, [])


def global_statement(w: Walker, node: int) -> None:
    """`global x` and `nonlocal x` (`is_global` False) say that x belongs to an outer scope."""
    is_global = w.kinds[node] == w.n.id["global_statement"]
    if is_global and w.unit is w.module:
        return
    for part in w.parts(node)[1:]:
        if w.kinds[part] == w.n.identifier:
            w.unit.declared[w.text(part)] = is_global
            if is_global:
                w.module.defs.setdefault(w.text(part), [])  # a variable of the module, wherever it is bound


def type_alias_statement(w: Walker, node: int) -> None:
    """`type X = ...` binds X; the rest is an annotation.

    The grammar also reads `type(x).a = value` as an alias; there, what follows `type` is no name.
    """
    parts = w.parts(node)
    kinds = w.n.kinds
    inner = parts[1] + 1
    if w.kinds[inner] == kinds["generic_type"]:
        inner += 1
    if w.kinds[inner] == w.n.identifier:
        w.define(inner, DEF | OBJECT)
        return
    w.tasks.append((None, inner, w.last[parts[1]]))
    w.later(_called, parts[0])
    w.tasks.append((None, parts[-1] + 1, w.last[parts[-1]]))


def decorator(w: Walker, node: int) -> None:
    """`@name` calls the name; any other decorator is an expression."""
    parts = w.parts(node)
    if len(parts) > 1:
        w.later(_called, parts[1])


def _called(w: Walker, value: int, _: None) -> None:
    if w.kinds[value] in w.tree.language.named_kinds and w.kinds[value] != w.n.identifier:
        w.scan(value)
    else:
        w.use(value, CALLEE)
