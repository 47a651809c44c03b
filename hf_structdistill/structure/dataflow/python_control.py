"""Branches, loops, exceptions and pattern matching: the edges between blocks."""

from __future__ import annotations

from .blocks import UNBOUND, Block, flow
from .python_bindings import base_name, bind_target
from .walker import Task, Walker


class Loop:
    """An enclosing loop: where break and continue go."""

    __slots__ = ("header", "exit")

    def __init__(self, header: Block, exit: Block) -> None:
        self.header, self.exit = header, exit


class Try:
    """An enclosing try: where exceptions go, and whether a finally clause catches every way out."""

    __slots__ = ("dispatch", "is_finally", "pending", "outer")

    def __init__(self, is_finally: bool, outer: Block | None) -> None:
        self.dispatch = Block()
        self.is_finally = is_finally
        self.pending: list[str] = []
        """Ways out (break, continue, return) that wait for the finally clause."""
        self.outer = outer


def branch(w: Walker, condition: int, targets: tuple[Block, Block]) -> None:
    """Evaluate a condition and part: (block where it is true, block where it is false).

    and, or, not are taken apart only where an assignment expression makes their operands matter.
    """
    kind, n = w.kinds[condition], w.n
    yes, no = targets
    if condition in w.walrus_nodes:
        parts = w.parts(condition)
        if kind == n.parenthesized_expression and len(parts) == 3:
            w.later(branch, parts[1], targets)
            return
        if kind == n.not_operator and len(parts) == 2:
            w.later(branch, parts[1], (no, yes))
            return
        if kind == n.boolean_operator and len(parts) == 3:
            middle = Block()
            w.later(branch, parts[2], targets)
            w.later(Walker.start, middle)
            w.later(branch, parts[0], (middle, no) if w.kinds[parts[1]] == n.and_ else (yes, middle))
            return
    w.later(_part, targets, _always(w, condition))
    w.scan(condition)


def _part(w: Walker, targets: tuple[Block, Block], always: bool) -> None:
    flow(w.block, targets[0])
    if not always:
        flow(w.block, targets[1])


def _always(w: Walker, condition: int) -> bool:
    """A condition that cannot be false: `True` or a nonzero integer, as in `while True`."""
    if w.kinds[condition] == w.n.true:
        return True
    return w.kinds[condition] == w.n.integer and bool(w.source[w.starts[condition] : w.ends[condition]].strip(b"0"))


def boolean_operator(w: Walker, node: int) -> None:
    """A value whose operands may not all run; without assignment expressions below it, plain uses."""
    n = w.n
    if node not in w.walrus_nodes:
        w.tasks.append((None, node + 1, w.last[node]))
        return
    parts = w.parts(node)
    after = Block()
    if w.kinds[node] == n.conditional_expression and len(parts) == 5:
        yes, no = Block(), Block()
        w.later(Walker.join, after, after)
        w.scan(parts[4])
        w.later(Walker.join, after, no)
        w.scan(parts[0])
        w.later(Walker.start, yes)
        w.later(branch, parts[2], (yes, no))
    elif w.kinds[node] == n.boolean_operator:
        w.later(Walker.start, after)
        w.later(branch, node, (after, after))
    else:
        _comparison(w, parts[0::2], after)


def _comparison(w: Walker, operands: list[int], after: Block) -> None:
    """`a < b < c`: the operands after the second run only while the comparison holds."""
    w.later(Walker.join, after, after)
    for i in range(len(operands) - 1, -1, -1):
        w.scan(operands[i])
        if i > 1:
            w.later(_leave, after)


def _leave(w: Walker, target: Block, _: None) -> None:
    """Part here: into `target`, or on in a new block."""
    flow(w.block, target)
    w.start(w.fork())


def if_statement(w: Walker, node: int) -> None:
    n = w.n
    after = Block()
    arms: list[tuple[int | None, list[int]]] = []
    condition, body = None, []  # type: ignore[var-annotated]
    for part in w.parts(node)[1:]:
        kind = w.kinds[part]
        if kind == n.elif_clause:
            arms.append((condition, body))
            pieces = w.parts(part)[1:]
            condition, body = (pieces[0], pieces[1:]) if pieces else (None, [])
        elif kind == n.else_clause:
            arms.append((condition, body))
            condition, body = None, w.parts(part)[1:]
        elif condition is None and not arms and not body:
            condition = part
        else:
            body.append(part)
    arms.append((condition, body))
    if arms[-1][0] is not None:
        arms.append((None, []))
    w.later(_arms, (arms, 0), after)


def _arms(w: Walker, arms_and_index: tuple[list[tuple[int | None, list[int]]], int], after: Block) -> None:
    """One arm of an if; the next is entered where this one's condition is false."""
    arms, i = arms_and_index
    if i == len(arms):
        w.start(after)
        return
    condition, body = arms[i]
    if condition is None:
        w.later(_arms, (arms, len(arms)), after)
        w.later(Walker.join, after)
        _scan_all(w, body)
        return
    yes, no = Block(), Block()
    w.later(_arms, (arms, i + 1), after)
    w.later(Walker.join, after, no)
    _scan_all(w, body)
    w.later(Walker.start, yes)
    w.later(branch, condition, (yes, no))


def _scan_all(w: Walker, nodes: list[int]) -> None:
    for node in reversed(nodes):
        w.scan(node)


def while_statement(w: Walker, node: int) -> None:
    """Condition, body and back; else where the condition is false, never after break."""
    parts = [p for p in w.parts(node)[1:] if w.kinds[p] != w.n.colon]
    if not parts:
        return
    orelse = [p for p in parts[1:] if w.kinds[p] == w.n.else_clause]
    body = [p for p in parts[1:] if w.kinds[p] != w.n.else_clause]
    header, after, yes, no = w.fork(), Block(), Block(), Block()
    w.start(header)
    _loop_tail(w, Loop(header, after), body, orelse, no)
    w.later(_enter_loop, Loop(header, after), yes)
    w.later(branch, parts[0], (yes, no))
    w.later(Walker.raise_point)


def _loop_tail(w: Walker, loop: Loop, body: list[int], orelse: list[int], done: Block) -> None:
    """Push: body, back to the header, else clause from `done`, and on after the loop."""
    w.later(Walker.join, loop.exit, loop.exit)
    _scan_all(w, orelse)
    w.later(_end_loop, loop, done)
    _scan_all(w, body)


def _enter_loop(w: Walker, loop: Loop, body: Block) -> None:
    w.unit.contexts.append(loop)
    w.start(body)


def _end_loop(w: Walker, loop: Loop, done: Block) -> None:
    w.unit.contexts.pop()
    flow(w.block, loop.header)
    w.start(done)


def for_statement(w: Walker, node: int) -> None:
    """The iterable once; then target and body per item; else when the items run out, which may be at once."""
    n = w.n
    parts = [p for p in w.parts(node) if w.kinds[p] in w.named]
    if len(parts) < 2:
        return
    target, iterable = parts[0], parts[1]
    orelse = [p for p in parts[2:] if w.kinds[p] == n.else_clause]
    body = [p for p in parts[2:] if w.kinds[p] != n.else_clause]
    w.later(_for_items, (target, iterable), (body, orelse))
    w.scan(iterable)


def _for_items(w: Walker, target_and_iterable: tuple[int, int], suites: tuple[list[int], list[int]]) -> None:
    header = w.fork()
    loop = Loop(header, Block())
    w.start(header)
    w.raise_point()  # the next item may fail to come
    done = w.fork()
    _loop_tail(w, loop, *suites, done)
    w.later(_bind_item, *target_and_iterable)
    _enter_loop(w, loop, w.fork())


def _bind_item(w: Walker, target: int, iterable: int) -> None:
    bind_target(w, target, iterable, zipped=False)  # `for a, b in (x, y)` takes each item apart, not the tuple


def jump(w: Walker, kind: str) -> None:
    """break, continue or return: to its target, through the nearest finally clause."""
    for context in reversed(w.unit.contexts):
        if isinstance(context, Loop):
            if kind != "return":
                flow(w.block, context.exit if kind == "break" else context.header)
                return
        elif context.is_finally:
            flow(w.block, context.dispatch)
            if kind not in context.pending:
                context.pending.append(kind)
            return


def _jump(w: Walker, kind: str, _: None) -> None:
    if kind != "raise":
        jump(w, kind)
    w.start(Block())


def simple_return(w: Walker, node: int) -> tuple[int, Task]:
    """`return value`: nothing runs after it here."""
    return node + 1, (_jump, "return", None)


def jump_statement(w: Walker, node: int) -> None:
    """raise, break, continue (and return inside other statements): their value, then nothing more here."""
    w.later(_jump, w.tree.kind_name(node).removesuffix("_statement"))
    w.tasks.append((None, node + 1, w.last[node]))


# -- exceptions


def block(w: Walker, node: int) -> None:
    """A suite inside try: an exception may start at every statement."""
    for part in reversed(w.parts(node)):
        w.tasks.append((None, part, w.last[part]))
        w.later(Walker.raise_point)


def try_statement(w: Walker, node: int) -> None:
    n = w.n
    parts = w.parts(node)
    body = [p for p in parts if w.kinds[p] == n.block]
    handlers = [p for p in parts if w.kinds[p] == n.except_clause]
    orelse = [p for p in parts if w.kinds[p] == n.else_clause]
    final = [p for p in parts if w.kinds[p] == n.finally_clause]
    after = Block()
    if final:
        outer = Try(True, w.unit.dispatch)
        _enter_try(w, outer)
        w.later(_finally, (outer, final), after)
    else:
        w.later(Walker.start, after)
    inner = Try(False, w.unit.dispatch)
    w.later(_handlers, (inner, handlers), after)
    w.later(Walker.join, after)
    _scan_all(w, orelse)
    w.later(_leave_try, inner)
    _scan_all(w, body)
    if handlers:
        w.later(_enter_try, inner)


def _enter_try(w: Walker, context: Try, _: None = None) -> None:
    w.unit.contexts.append(context)
    w.unit.dispatch = context.dispatch


def _leave_try(w: Walker, context: Try, _: None = None) -> None:
    if w.unit.contexts and w.unit.contexts[-1] is context:
        w.unit.contexts.pop()
        w.unit.dispatch = context.outer


def _handlers(w: Walker, what: tuple[Try, list[int]], after: Block) -> None:
    """Each handler starts from any state the body could be in when it raised."""
    context, handlers = what
    catches_all = False
    for handler in reversed(handlers):
        parts = w.parts(handler)[1:]
        suite = [p for p in parts if w.kinds[p] == w.n.block]
        matched = [p for p in parts if w.kinds[p] in w.named and p not in suite]
        catches_all = catches_all or not matched
        w.later(_end_handler, matched, after)
        _scan_all(w, [*matched, *suite])
        w.later(_start_handler, context.dispatch)
    if not catches_all and context.outer is not None:
        flow(context.dispatch, context.outer)


def _start_handler(w: Walker, dispatch: Block, _: None) -> None:
    w.start(Block(*([dispatch] if dispatch.preds else [])))


def _end_handler(w: Walker, matched: list[int], after: Block) -> None:
    """`except E as name` deletes the name when the handler ends."""
    for part in matched:
        if w.kinds[part] == w.n.as_pattern:
            target = w.parts(part)[-1]
            name = base_name(w, w.parts(target)[0]) if w.parts(target) else None
            if name is not None:
                w.block.defs[w.text(name)] = UNBOUND
    flow(w.block, after)


def _finally(w: Walker, what: tuple[Try, list[int]], after: Block) -> None:
    """The clause runs on two paths, and is walked once for each: with an exception or jump under way, and without.

    Inside another finally clause's first walk the two are merged, so that nesting stays polynomial.
    """
    context, final = what
    _leave_try(w, context)
    if not context.dispatch.preds:
        w.start(after)
        _scan_all(w, final)
    elif w.in_finally:
        w.start(Block(*after.preds, *context.dispatch.preds))
        w.later(_resume, context)
        _scan_all(w, final)
    else:
        w.in_finally = True
        w.start(context.dispatch)
        w.later(_finally_normal, final, after)
        w.later(_resume, context)
        _scan_all(w, final)


def _resume(w: Walker, context: Try, _: None) -> None:
    """After finally, the exception or the jump that was under way goes on."""
    if context.outer is not None:
        flow(w.block, context.outer)
    for kind in context.pending:
        jump(w, kind)


def _finally_normal(w: Walker, final: list[int], after: Block) -> None:
    w.in_finally = False
    w.start(after)
    _scan_all(w, final)
