"""Constructs with names of their own: functions, lambdas, classes, comprehensions."""

from __future__ import annotations

from .blocks import Block, flow
from .python_bindings import bind_target
from .python_control import branch
from .units import Frame
from .walker import DEF, OBJECT, Walker


def function_definition(w: Walker, node: int) -> None:
    """Defaults in the enclosing scope, then the name, then the body as a unit of its own."""
    n = w.n
    parts = w.parts(node)
    named = [p for p in parts if w.kinds[p] in w.tree.language.named_kinds]
    if not named or w.kinds[named[0]] != n.identifier:
        return
    parameters = next((p for p in named if w.kinds[p] == n.kinds["parameters"]), None)
    generic = next((p for p in named if w.kinds[p] == n.kinds["type_parameter"]), None)
    body = [p for p in named if w.kinds[p] == n.kinds["block"]]
    first = len(w.nodes)
    w.later(_function, (named[0], parameters, generic, body), (node, first))
    if w.annotations:
        for part in named[1:]:
            if w.kinds[part] == n.kinds["type"]:
                w.scan(part)
    _scan_defaults(w, parameters)


def lambda_expression(w: Walker, node: int) -> None:
    parts = [p for p in w.parts(node) if w.kinds[p] in w.tree.language.named_kinds]
    parameters = parts[0] if parts and w.kinds[parts[0]] == w.n.kinds["lambda_parameters"] else None
    body = parts[1:] if parameters is not None else parts
    w.later(_enter_function, (parameters, body, ("lambda", "")), (node, len(w.nodes)))
    _scan_defaults(w, parameters)


def _scan_defaults(w: Walker, parameters: int | None) -> None:
    """Push the default values (and annotations, where they count), in order."""
    if parameters is None:
        return
    kinds = w.n.kinds
    for part in reversed(w.parts(parameters)):
        kind = w.kinds[part]
        if kind in (kinds["default_parameter"], kinds["typed_default_parameter"]):
            w.scan(w.parts(part)[-1])
        if w.annotations and kind in (kinds["typed_parameter"], kinds["typed_default_parameter"]):
            for piece in w.parts(part):
                if w.kinds[piece] == kinds["type"]:
                    w.scan(piece)


def _function(w: Walker, what: tuple[int, int | None, int | None, list[int]], node_first: tuple[int, int]) -> None:
    name, parameters, generic, body = what
    w.define(name, DEF | OBJECT)
    text = w.text(name).decode("utf-8", "replace")
    if generic is not None:
        w.later(_leave_frame)
        w.later(_enter_function, (parameters, body, ("function", text)), node_first)
        _enter_type_parameters(w, generic, text)
    else:
        _enter_function(w, (parameters, body, ("function", text)), node_first)


def _enter_type_parameters(w: Walker, generic: int, name: str) -> None:
    """Type parameters are names of a scope around the function or class."""
    frame = Frame(w.new_scope("type_parameters", name, generic), set())
    w.unit.frames.append(frame)
    for part in w.parts(generic):
        first = next((i for i in range(part, w.last[part]) if w.kinds[i] == w.n.identifier), None)
        if first is not None:
            w.bind_in(frame, first)
    if w.bound is not None:
        w.bound[frame.scope] = frame.bound


def _leave_frame(w: Walker, a: None, b: None) -> None:
    w.unit.frames.pop()


def _enter_function(
    w: Walker, what: tuple[int | None, list[int], tuple[str, str]], node_first: tuple[int, int]
) -> None:
    parameters, body, (kind, name) = what
    node, first = node_first
    w.enter_unit(w.new_scope(kind, name, node))
    stop = first + sum(1 for _ in range(first, len(w.nodes)))
    if parameters is not None:
        for part in w.parts(parameters):
            _parameter(w, part, first, stop)
    w.later(Walker.leave_unit)
    for part in reversed(body):
        w.scan(part)


def _parameter(w: Walker, part: int, first: int, stop: int) -> None:
    """Define a parameter; its value comes from the uses in its default."""
    kinds = w.n.kinds
    kind = w.kinds[part]
    default = None
    if kind in (kinds["default_parameter"], kinds["typed_default_parameter"]):
        pieces = w.parts(part)
        part, default = pieces[0], pieces[-1]
    elif kind == kinds["typed_parameter"]:
        part = w.parts(part)[0]
    stack = [part]
    while stack:
        part = stack.pop()
        if w.kinds[part] == w.n.identifier:
            occurrence = w.define(part, DEF)
            if default is not None and first < stop:
                w.assigned.append((occurrence, first, stop, default, w.last[default]))
        elif w.kinds[part] in w.tree.language.named_kinds:
            stack.extend(reversed(w.parts(part)))


def class_definition(w: Walker, node: int) -> None:
    """Bases first, then the body at once in a unit of its own, then the name."""
    n = w.n
    named = [p for p in w.parts(node) if w.kinds[p] in w.tree.language.named_kinds]
    if not named or w.kinds[named[0]] != n.identifier:
        return
    generic = next((p for p in named if w.kinds[p] == n.kinds["type_parameter"]), None)
    body = [p for p in named if w.kinds[p] == n.kinds["block"]]
    arguments = [p for p in named[1:] if p != generic and p not in body]
    text = w.text(named[0]).decode("utf-8", "replace")
    w.later(_define_class, named[0])
    if generic is not None:
        w.later(_leave_frame)
    w.later(_enter_class, (body, text), node)
    for part in reversed(arguments):
        w.scan(part)
    if generic is not None:
        _enter_type_parameters(w, generic, text)


def _define_class(w: Walker, name: int, _: None) -> None:
    w.define(name, DEF | OBJECT)


def _enter_class(w: Walker, body_and_name: tuple[list[int], str], node: int) -> None:
    body, name = body_and_name
    w.enter_unit(w.new_scope("class", name, node), is_class=True)
    w.later(Walker.leave_unit)
    for part in reversed(body):
        w.scan(part)


# -- comprehensions


def comprehension(w: Walker, node: int) -> None:
    """The first iterable outside; the rest in a scope of its own, element last."""
    kinds = w.n.kinds
    named = w.tree.language.named_kinds
    parts = [p for p in w.parts(node) if w.kinds[p] in named]
    clauses = [p for p in parts if w.kinds[p] in (kinds["for_in_clause"], kinds["if_clause"])]
    elements = [p for p in parts if p not in clauses]
    if not clauses:
        w.tasks.append((None, node + 1, w.last[node]))
        return
    w.later(_enter_comprehension, (node, clauses, elements), len(w.nodes))
    for part in reversed(_iterables(w, clauses[0])):
        w.scan(part)


def _enter_comprehension(w: Walker, what: tuple[int, list[int], list[int]], first: int) -> None:
    """With the first iterable evaluated, open the scope; push the other clauses and the element."""
    node, clauses, elements = what
    frame = Frame(w.new_scope("comprehension", "", node), set())
    for clause in clauses:
        if w.kinds[clause] == w.n.kinds["for_in_clause"]:
            frame.bound.update(_target_names(w, clause))
    if w.bound is not None:
        w.bound[frame.scope] = frame.bound
    w.unit.frames.append(frame)
    done = Block() if node in w.walrus_nodes else None
    w.later(_leave_comprehension, done)
    for element in reversed(elements):
        w.scan(element)
    for clause in reversed(clauses[1:]):
        w.later(_clause, (clause, frame), done)
    _bind_items(w, clauses[0], frame, first, done)


def _target_names(w: Walker, clause: int) -> list[bytes]:
    target = _target(w, clause)
    if target is None:
        return []
    kinds = w.n.kinds
    names, stack = [], [target]
    while stack:
        node = stack.pop()
        if w.kinds[node] == w.n.identifier:
            names.append(w.text(node))
        elif w.kinds[node] not in (kinds["subscript"], kinds["attribute"], kinds["call"]):
            stack.extend(w.parts(node))
    return names


def _target(w: Walker, clause: int) -> int | None:
    named = w.tree.language.named_kinds
    return next((p for p in w.parts(clause) if w.kinds[p] in named), None)


def _iterables(w: Walker, clause: int) -> list[int]:
    named = w.tree.language.named_kinds
    return [p for p in w.parts(clause) if w.kinds[p] in named][1:]


def _clause(w: Walker, clause_and_frame: tuple[int, Frame], done: Block | None) -> None:
    """A later `for` or `if` of the comprehension."""
    clause, frame = clause_and_frame
    if w.kinds[clause] == w.n.kinds["if_clause"]:
        condition = w.parts(clause)[-1]
        if done is None:
            w.scan(condition)
        else:
            yes = Block()
            w.later(_start, yes)
            w.later(branch, condition, (yes, done))
        return
    w.later(_later_items, (clause, frame, len(w.nodes)), done)
    for part in reversed(_iterables(w, clause)):
        w.scan(part)


def _start(w: Walker, block: Block, _: None) -> None:
    w.start(block)


def _later_items(w: Walker, what: tuple[int, Frame, int], done: Block | None) -> None:
    _bind_items(w, *what, done)


def _bind_items(w: Walker, clause: int, frame: Frame, first: int, done: Block | None) -> None:
    """Bind the target of a `for` clause to the items; with assignment expressions about, as a loop of blocks."""
    if done is not None:
        w.start(w.fork())
        flow(w.block, done)
        if not done.defs and done.covered is None:
            done.covered = w.block  # the header of the outermost loop, for the edge back
        w.start(w.fork())
    target, iterables = _target(w, clause), _iterables(w, clause)
    if target is not None and iterables:
        value = iterables[0]
        bind_target(w, target, value, first, len(w.nodes), frame=frame, zipped=False)


def _leave_comprehension(w: Walker, done: Block | None, _: None) -> None:
    w.unit.frames.pop()
    if done is not None:
        header, done.covered = done.covered, None
        if header is not None:
            flow(w.block, header)
        flow(w.block, done)
        w.start(done)
