"""try, except, else, finally: where control goes when something is raised."""

from __future__ import annotations

from .blocks import UNBOUND, Block, flow
from .python_bindings import base_name
from .python_control import Try, jump
from .walker import Walker


def _scan_all(w: Walker, nodes: list[int]) -> None:
    for node in reversed(nodes):
        w.scan(node)


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
    """Each handler starts from any state the body could be in when it raised.

    What no handler takes leaves in that state, before any `as` binds a name.
    """
    context, handlers = what
    if w.unit.dispatch is not None:
        flow(context.dispatch, w.unit.dispatch)
    for handler in reversed(handlers):
        parts = w.parts(handler)[1:]
        suite = [p for p in parts if w.kinds[p] == w.n.block]
        matched = [p for p in parts if w.kinds[p] in w.named and p not in suite]
        w.later(_end_handler, matched, after)
        for part in reversed([*matched, *suite]):
            w.scan(part)
        w.later(_start_handler, context.dispatch)


def _start_handler(w: Walker, dispatch: Block, _: None) -> None:
    w.start(Block(*([dispatch] if dispatch.preds else [])))
    w.block.covered = w.unit.dispatch


def _end_handler(w: Walker, matched: list[int], after: Block) -> None:
    """`except E as name` deletes the name when the handler ends."""
    for part in matched:
        if w.kinds[part] == w.n.as_pattern:
            target = w.parts(part)[-1]
            name = base_name(w, w.parts(target)[0]) if w.parts(target) else None
            if name is not None:
                w.block.defs[w.text(name)] = UNBOUND
                w.deletes = True
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
