"""Everything that binds names without branching: assignments, targets, imports, del, global, with-as."""

from __future__ import annotations

from .blocks import UNBOUND
from .graph import CALLEE, DEF, OBJECT, USE
from .units import Frame
from .walker import Task, Walker

Span = tuple[int, int]
"""First node and one past the last."""


def simple_assignment(w: Walker, node: int) -> tuple[int, Task] | None:
    """`x = value`: where the value starts, and how to finish after it; None for every other form."""
    kinds, value = w.kinds, node + 3
    if kinds[node + 1] != w.n.identifier or value >= w.last[node] or kinds[node + 2] != w.n.equals:
        return None
    if kinds[value] == w.n.assignment or w.last[value] != w.last[node]:
        return None
    return value, (_bind_name, node + 1, value)


def _bind_name(w: Walker, target: int, value: int) -> None:
    w.assigned.append((w.define(target), value, w.last[value]))


def assignment(w: Walker, node: int) -> None:
    """`a = b = value`, `a: T = value`, `a: T`. The value first, then the targets from left to right."""
    n = w.n
    target = node + 1
    value = w.last[target] + 1
    plain = value < w.last[node] and w.kinds[value - 1] == n.equals and w.kinds[value] != n.assignment
    if plain and w.last[value] == w.last[node]:  # else a comment or a continued line stands before the value
        w.tasks.append((bind_target, target, value))
        w.tasks.append((None, value, w.last[node]))
        return
    targets = []
    annotation: int | None = None
    given: int | None = None
    while True:
        parts = w.parts(node)
        targets.append(parts[0])
        kinds = [w.kinds[p] for p in parts]
        if n.colon in kinds[1:-1]:
            annotation = parts[kinds.index(n.colon, 1) + 1]
        if n.equals not in kinds[1:-1]:
            break
        given = parts[kinds.index(n.equals, 1) + 1]
        if w.kinds[given] != n.assignment:
            break
        node = given
    if annotation is not None and w.annotations:
        w.scan(annotation)
    if given is None:
        w.later(_annotate, targets[0])
    else:
        for target in reversed(targets):
            w.later(bind_target, target, given)
        w.scan(given)


def _annotate(w: Walker, target: int, _: None) -> None:
    """A bare annotation makes the name local to its scope and gives it no value."""
    if w.kinds[target] == w.n.identifier:
        if w.text(target) not in w.unit.declared:
            w.unit.defs.setdefault(w.text(target), [])
    else:
        w.scan(target)


def bind_target(w: Walker, target: int, value: int, frame: Frame | None = None, zipped: bool = True) -> None:
    """Bind a target, however nested, in the unit or in `frame`; its value is computed from the uses below `value`.

    Where both sides are displays of matching shape (`a, b = b, a`), each target takes the element it is zipped with.
    """
    if w.kinds[target] == w.n.identifier:
        _bind_leaf(w, (target, (value, w.last[value])), frame)
        return
    leaves: list[tuple[int, Span]] = []
    stack: list[tuple[int, int | None, Span]] = [(target, value if zipped else None, (value, w.last[value]))]
    stores = False
    while stack:
        target, display, span = stack.pop()
        kind = w.kinds[target]
        if kind == w.n.identifier or kind in w.n.stores:
            leaves.append((target, span))
            stores = stores or kind != w.n.identifier
        else:
            elements = w.operands(target)
            pairs = zip_elements(w, elements, display) if display is not None else None
            stack.extend(reversed(pairs or [(element, None, span) for element in elements]))
    if not stores:
        for leaf in leaves:
            _bind_leaf(w, leaf, frame)
        return
    for leaf in reversed(leaves):  # each store reads its parts after the targets before it are bound
        if w.kinds[leaf[0]] == w.n.identifier:
            w.later(_bind_leaf, leaf, frame)
        else:
            w.later(_store, *leaf)
            w.scan(leaf[0])


def _bind_leaf(w: Walker, leaf_and_span: tuple[int, Span], frame: Frame | None) -> None:
    leaf, span = leaf_and_span
    occurrence = w.define(leaf) if frame is None else w.bind_in(frame, leaf)
    w.assigned.append((occurrence, *span))


def _store(w: Walker, target: int, span: Span) -> None:
    """The store into part of a variable: a use of it, and a new definition computed from itself and the value."""
    base = base_name(w, target)
    occurrence = w.bind_partly(base) if base is not None else None
    if occurrence is not None:
        w.assigned.append((occurrence, *span))
        w.assigned.append((occurrence, target, w.last[target]))


def base_name(w: Walker, node: int) -> int | None:
    """The variable that a store into `node` changes: x in x[i].a; none where a call stands in between."""
    kinds, n = w.kinds, w.n
    while kinds[node] == n.subscript or kinds[node] == n.attribute or kinds[node] == n.parenthesized_expression:
        node += 2 if kinds[node] == n.parenthesized_expression else 1
    return node if kinds[node] == n.identifier else None


def zip_elements(w: Walker, targets: list[int], value: int) -> list[tuple[int, int | None, Span]] | None:
    """Each target with its element of the display `value`, and the nodes it spans; None where shapes do not match.

    A starred target takes the elements in the middle.
    """
    n = w.n
    while w.kinds[value] == n.parenthesized_expression:
        inner = w.operands(value)
        if len(inner) != 1:
            return None
        value = inner[0]
    if w.kinds[value] not in (n.tuple, n.list, n.expression_list):
        return None
    values = w.operands(value)
    kinds = [w.kinds[target] for target in targets]
    if n.list_splat in [w.kinds[v] for v in values]:
        return None
    if n.list_splat_pattern not in kinds:
        if len(values) != len(targets):
            return None
        return [(target, value, (value, w.last[value])) for target, value in zip(targets, values, strict=True)]
    stars = [i for i, kind in enumerate(kinds) if kind == n.list_splat_pattern]
    if len(stars) > 1 or len(values) < len(targets) - 1:
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


def simple_augmented_assignment(w: Walker, node: int) -> tuple[int, Task] | None:
    """`x += value`: the name is read first and bound last."""
    if w.kinds[node + 1] != w.n.identifier:
        return None
    return node + 2, (bind_augmented, w.use(node + 1), node)


def augmented_assignment(w: Walker, node: int) -> None:
    """`x += value`: one occurrence, a use and then a definition that depends on itself."""
    parts = w.parts(node)
    target, value = parts[0], parts[-1]
    if w.kinds[target] == w.n.identifier:
        w.later(bind_augmented, w.use(target), node)
        w.scan(value)
    else:
        w.later(_store, target, (value, w.last[value]))
        w.scan(value)
        w.scan(target)


def bind_augmented(w: Walker, occurrence: int, node: int) -> None:
    w.bind(occurrence)
    w.assigned.append((occurrence, node, w.last[node]))


def named_expression(w: Walker, node: int) -> None:
    """`(name := value)` binds in the unit, also from inside a comprehension."""
    parts = w.parts(node)
    if len(parts) > 1 and w.kinds[parts[0]] == w.n.identifier:
        w.later(_bind_named, parts[0], parts[-1])
        w.scan(parts[-1])


def _bind_named(w: Walker, target: int, value: int) -> None:
    if w.used is not None and w.unit.frames:
        w.used[w.unit.frames[-1].scope].add(w.text(target))
    _bind_leaf(w, (target, (value, w.last[value])), None)
    w.raise_point()


def as_pattern(w: Walker, node: int) -> None:
    """`value as target` in with and except."""
    parts = w.parts(node)
    target = next((p for p in parts if w.kinds[p] == w.n.as_pattern_target), None)
    if target is not None and w.parts(target):
        w.later(Walker.raise_point)
        w.later(bind_target, w.parts(target)[0], parts[0])
    w.scan(parts[0])


def import_statement(w: Walker, node: int) -> None:
    """`import a.b` binds a, `import a.b as c` binds c, `from m import a as b` binds b."""
    parts = w.parts(node)
    # `from module` comes first in a from import
    for part in parts[2:] if w.kinds[node] == w.n.import_from_statement else parts:
        if w.kinds[part] == w.n.dotted_name:
            w.define(w.parts(part)[0], DEF | OBJECT)
        elif w.kinds[part] == w.n.aliased_import:
            w.define(w.parts(part)[-1], DEF | OBJECT)


def delete_statement(w: Walker, node: int) -> None:
    """`del x` reads x and ends its definitions; `del x[i]` and `del x.a` change x."""
    stack = w.parts(node)[1:]
    targets = []
    named = w.named
    while stack:
        target = stack.pop()
        if w.kinds[target] == w.n.identifier or w.kinds[target] in w.n.stores:
            targets.append(target)
        elif w.kinds[target] in named:
            stack.extend(w.parts(target))
    for target in targets:  # popped last to first, and tasks run last in first out
        w.later(_delete, target)


def _delete(w: Walker, target: int, _: None) -> None:
    if w.kinds[target] != w.n.identifier:
        w.later(_store, target, (0, 0))
        w.scan(target)
        return
    w.use(target)
    name = w.text(target)
    w.block.defs[name] = UNBOUND
    w.deletes = True
    if name not in w.unit.declared:
        w.unit.defs.setdefault(name, [])


def global_statement(w: Walker, node: int) -> None:
    """`global x` and `nonlocal x` (`is_global` False) say that x belongs to an outer scope."""
    is_global = w.kinds[node] == w.n.global_statement
    if is_global and w.unit is w.module:
        return
    for part in w.parts(node)[1:]:
        if w.kinds[part] == w.n.identifier:
            w.unit.declared[w.text(part)] = is_global
            if is_global:
                w.module.defs.setdefault(w.text(part), [])  # a variable of the module, wherever it is bound


def type_alias_statement(w: Walker, node: int) -> None:
    """`type X = ...` binds X; the rest is an annotation.

    The grammar also reads `type[i] = value` and `type(x).a = value` as aliases; what follows `type` there is no name.
    """
    parts = w.parts(node)
    n = w.n
    inner = parts[1] + 1
    if w.kinds[inner] == n.generic_type:
        inner += 1
    if w.kinds[inner] == n.identifier:
        w.define(inner, DEF | OBJECT)
        return
    if w.kinds[inner] == n.constrained_type:  # `type[i]: T = value`
        parts[1] = inner + 1
    w.later(_store_into_type, parts)
    for part in _expressions(w, parts[1]):
        w.scan(part)
    w.later(_use_type, parts)
    for part in _expressions(w, parts[-1]):
        w.scan(part)


def _use_type(w: Walker, parts: list[int], _: None) -> None:
    """Read the name `type`: called, unless the grammar took the brackets behind it for a list."""
    inner = parts[1] + 1
    while w.kinds[inner] in w.n.stores:
        inner += 1
    w.use(parts[0], USE if w.kinds[inner] == w.n.list else CALLEE)


def _store_into_type(w: Walker, parts: list[int], _: None) -> None:
    """`type[i] = value`, `type[i].a = value`: a store as into any other variable; `type(x).a` changes no variable."""
    keyword, target, value = parts[0], parts[1], parts[-1]
    inner = target + 1
    while w.kinds[inner] == w.n.subscript or w.kinds[inner] == w.n.attribute:
        inner += 1
    occurrence = w.bind_partly(keyword) if w.kinds[inner] == w.n.list else None
    if occurrence is not None:
        w.assigned.append((occurrence, value, w.last[value]))
        w.assigned.append((occurrence, keyword, w.last[target]))


def _expressions(w: Walker, node: int) -> list[int]:
    """The expressions, last to first, that the grammar took for a type: `a[i]` is generic there, `a[i].b` a member."""
    found, stack = [], [node]
    while stack:
        node = stack.pop()
        if w.kinds[node] == w.n.member_type:
            stack.extend(w.operands(node)[:1])
        elif w.kinds[node] in w.n.types:
            stack.extend(w.operands(node))
        else:
            found.append(node)
    return found


def decorator(w: Walker, node: int) -> None:
    """`@name` calls the name; any other decorator is an expression."""
    parts = w.parts(node)
    if len(parts) > 1:
        w.later(_called, parts[1])


def _called(w: Walker, value: int, _: None) -> None:
    if w.kinds[value] in w.named and w.kinds[value] != w.n.identifier:
        w.scan(value)
    else:
        w.use(value, CALLEE)
