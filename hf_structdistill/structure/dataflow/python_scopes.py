"""Constructs with names of their own: functions, lambdas, classes, comprehensions."""

from __future__ import annotations

from .blocks import Block, flow
from .graph import DEF, OBJECT
from .python_bindings import bind_target
from .python_control import branch
from .units import Frame
from .walker import Walker

Function = tuple[int, int | None, int | None, list[int]]
"""A function or lambda: node, name, parameters, body."""


def function_definition(w: Walker, node: int) -> None:
    """Defaults in the enclosing scope, then the name, then the body as a unit of its own."""
    n = w.n
    name = parameters = generic = None
    body, annotations = [], []
    for part in w.parts(node):
        kind = w.kinds[part]
        if kind == n.identifier:
            name = part
        elif kind == n.parameters:
            parameters = part
        elif kind == n.block:
            body.append(part)
        elif kind == n.type_parameter:
            generic = part
        elif kind == n.type:
            annotations.append(part)
    if name is None:
        return
    function = (node, name, parameters, body)
    inside = w.kinds[parameters : w.last[parameters]] if parameters is not None else []
    if w.annotations or generic is not None or not w.n.defaults.isdisjoint(inside):
        w.later(_function, function, generic)
        for part in annotations if w.annotations else ():
            w.scan(part)
        if parameters is not None:
            _scan_defaults(w, parameters)
    else:
        _function(w, function, None)


def lambda_expression(w: Walker, node: int) -> None:
    parts = w.operands(node)
    parameters = parts[0] if parts and w.kinds[parts[0]] == w.n.lambda_parameters else None
    body = parts[1:] if parameters is not None else parts
    w.later(_enter_function, (node, None, parameters, body))
    if parameters is not None:
        _scan_defaults(w, parameters)


def _scan_defaults(w: Walker, parameters: int) -> None:
    """Push the default values (and annotations, where they count), in order."""
    n = w.n
    for part in reversed(w.parts(parameters)):
        kind = w.kinds[part]
        if kind in (n.default_parameter, n.typed_default_parameter):
            w.scan(w.parts(part)[-1])
        if w.annotations and kind in (n.typed_parameter, n.typed_default_parameter):
            for piece in w.parts(part):
                if w.kinds[piece] == n.type:
                    w.scan(piece)


def _function(w: Walker, function: Function, generic: int | None) -> None:
    _, name, _, _ = function
    assert name is not None
    w.define(name, DEF | OBJECT)
    if generic is None:
        _enter_function(w, function)
    else:
        w.later(_leave_frame)
        w.later(_enter_function, function)
        _enter_type_parameters(w, generic, w.text(name))


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


def _enter_function(w: Walker, function: Function, _: None = None) -> None:
    node, name, parameters, body = function
    w.enter_unit(w.new_scope("lambda", "", node) if name is None else w.new_scope("function", w.text(name), node))
    if parameters is not None:
        for part in w.parts(parameters):
            if w.kinds[part] == w.n.identifier:
                w.define(part)
            else:
                _parameter(w, part)
    w.later(Walker.leave_unit)
    for part in reversed(body):
        w.scan(part)


def _parameter(w: Walker, part: int) -> None:
    """Define a parameter; its value comes from the uses in its default."""
    n = w.n
    kind = w.kinds[part]
    default = None
    if kind in (n.default_parameter, n.typed_default_parameter):
        pieces = w.parts(part)
        part, default = pieces[0], pieces[-1]
    elif kind == n.typed_parameter:
        part = w.parts(part)[0]
    stack = [part]
    while stack:
        part = stack.pop()
        if w.kinds[part] == w.n.identifier:
            occurrence = w.define(part, DEF)
            if default is not None:
                w.assigned.append((occurrence, default, w.last[default]))
        elif w.kinds[part] in w.named:
            stack.extend(reversed(w.parts(part)))


def class_definition(w: Walker, node: int) -> None:
    """Bases first, then the body at once in a unit of its own, then the name."""
    n = w.n
    named = w.operands(node)
    if not named or w.kinds[named[0]] != n.identifier:
        return
    generic = next((p for p in named if w.kinds[p] == n.type_parameter), None)
    body = [p for p in named if w.kinds[p] == n.block]
    arguments = [p for p in named[1:] if p != generic and p not in body]
    text = w.text(named[0])
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


Clause = tuple[int, int, int]
"""A `for` clause: its node, target and iterable; an `if` clause: its node, the condition twice."""


def comprehension(w: Walker, node: int) -> None:
    """The first iterable outside; the rest in a scope of its own, element last."""
    n, kinds = w.n, w.kinds
    clauses: list[Clause] = []
    elements: list[int] = []
    for part in w.operands(node):
        if kinds[part] == n.for_in_clause or kinds[part] == n.if_clause:
            operands = w.operands(part)
            if operands:
                clauses.append((part, operands[0], operands[-1]))
        else:
            elements.append(part)
    if not clauses:
        w.tasks.append((None, node + 1, w.last[node]))
        return
    first, target, _ = clauses[0]
    w.tasks.append((_enter_comprehension, (clauses, elements), node))
    w.tasks.append((None, w.last[target], w.last[first]))


def _enter_comprehension(w: Walker, clauses_and_elements: tuple[list[Clause], list[int]], node: int) -> None:
    """With the first iterable evaluated, open the scope; push the other clauses and the element."""
    clauses, elements = clauses_and_elements
    frame = Frame(w.new_scope("comprehension", "", node), set())
    for clause, target, _ in clauses:
        if w.kinds[clause] == w.n.for_in_clause:
            _add_names(w, target, frame.bound)
    if w.bound is not None:
        w.bound[frame.scope] = frame.bound
    w.unit.frames.append(frame)
    done = Block() if node in w.walrus_nodes else None
    w.tasks.append((_leave_comprehension, done, None))
    for element in reversed(elements):
        w.tasks.append((None, element, w.last[element]))
    for i in range(len(clauses) - 1, 0, -1):
        w.tasks.append((_clause, (clauses[i], frame), done))
    _bind_items(w, (clauses[0], frame), done)


def _add_names(w: Walker, target: int, names: set[str]) -> None:
    """The names that a target binds."""
    stack = [target]
    while stack:
        node = stack.pop()
        if w.kinds[node] == w.n.identifier:
            names.add(w.text(node))
        elif w.kinds[node] not in w.n.stores:
            stack.extend(w.operands(node))


def _clause(w: Walker, clause_and_frame: tuple[Clause, Frame], done: Block | None) -> None:
    """A later `for` or `if` of the comprehension."""
    node, target, last_operand = clause_and_frame[0]
    if w.kinds[node] == w.n.for_in_clause:
        w.tasks.append((_bind_items, clause_and_frame, done))
        w.tasks.append((None, w.last[target], w.last[node]))
    elif done is None:
        w.tasks.append((None, last_operand, w.last[last_operand]))
    else:
        yes = Block()
        w.later(Walker.start, yes)
        w.later(branch, last_operand, (yes, done))


def _bind_items(w: Walker, clause_and_frame: tuple[Clause, Frame], done: Block | None) -> None:
    """Bind the target of a `for` clause to the items; with assignment expressions about, as a loop of blocks."""
    (node, target, iterable), frame = clause_and_frame
    if done is not None:
        w.start(w.fork())
        flow(w.block, done)
        if not done.defs and done.covered is None:
            done.covered = w.block  # the header of the outermost loop, for the edge back
        w.start(w.fork())
    if iterable != target:
        bind_target(w, target, iterable, frame, False)


def _leave_comprehension(w: Walker, done: Block | None, _: None) -> None:
    w.unit.frames.pop()
    if done is not None:
        header, done.covered = done.covered, None
        if header is not None:
            flow(w.block, header)
        flow(w.block, done)
        w.start(done)
