"""Branches, loops and jumps: the edges between blocks."""

from __future__ import annotations

from .blocks import Block, flow
from .python_bindings import Span, bind_target
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
    if w.kinds[condition] != w.n.integer:
        return False
    try:
        return int(w.tree.text(condition).rstrip(b"jJlL"), 0) != 0
    except ValueError:  # none of Python 3: 010
        return False


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


def evaluate(w: Walker, condition: int) -> None:
    """Push the evaluation of a condition. After it the walk is where it is true; `w.forks` holds the other side."""
    if condition in w.walrus_nodes or w.kinds[condition] in w.n.constants:
        yes, no = Block(), Block()
        w.tasks.append((_fork_known, yes, no))
        w.tasks.append((branch, condition, (yes, no)))
    else:
        w.tasks.append((_fork, None, None))
        w.tasks.append((None, condition, w.last[condition]))


def _fork(w: Walker, a: None, b: None) -> None:
    # The state where the condition is false is the state at its end.
    w.forks.append(w.block)
    w.start(w.fork())


def _fork_known(w: Walker, yes: Block, no: Block) -> None:
    w.forks.append(no)
    w.start(yes)


def if_statement(w: Walker, node: int) -> None:
    """The arms in order, each entered where the condition before it is false; all meet after the statement."""
    kinds, last, alternatives = w.kinds, w.last, []
    child, stop = last[node + 1], last[node]
    while child < stop:
        if kinds[child] == w.n.elif_clause or kinds[child] == w.n.else_clause:
            alternatives.append(child)
        child = last[child]
    _arm(w, node, alternatives[::-1], Block())


def _arm(w: Walker, clause: int, alternatives: list[int], after: Block) -> None:
    """`if` or `elif`: condition, suite, then the other clauses (the next one last in the list)."""
    kinds, last, extras = w.kinds, w.last, w.n.extras
    condition = clause + 2
    while kinds[condition] in extras and last[condition] < last[clause]:
        condition = last[condition]
    stop = min(last[clause], alternatives[-1]) if alternatives and clause < alternatives[-1] else last[clause]
    w.tasks.append((_otherwise, alternatives, after))
    if condition >= stop:  # broken code
        w.forks.append(w.block)
        return
    w.tasks.append((None, last[condition], stop))
    evaluate(w, condition)


def _otherwise(w: Walker, alternatives: list[int], after: Block) -> None:
    """A suite has ended: go on where its condition was false."""
    flow(w.block, after)
    test = w.forks.pop()
    if not alternatives:
        flow(test, after)
        w.start(after)
        return
    w.start(Block(test) if test.preds else Block())
    clause = alternatives.pop()
    if w.kinds[clause] == w.n.elif_clause:
        _arm(w, clause, alternatives, after)
    else:
        w.tasks.append((Walker.join, after, after))
        w.tasks.append((None, clause + 1, w.last[clause]))


def while_statement(w: Walker, node: int) -> None:
    """Condition, body and back; else where the condition is false, never after break."""
    kinds, last, extras = w.kinds, w.last, w.n.extras
    condition = node + 2
    while condition < last[node] and kinds[condition] in extras:
        condition = last[condition]
    if condition >= last[node]:
        return
    header = w.fork()
    w.start(header)
    w.raise_point()
    w.tasks.append((_loop_body, Loop(header, Block()), (last[condition], last[node])))
    evaluate(w, condition)


def _loop_body(w: Walker, loop: Loop, span: Span) -> None:
    """The suites of a loop in the nodes of `span`: the body from here, else from the state in `w.forks`."""
    kinds, last = w.kinds, w.last
    child, stop = span
    orelse = None
    while child < stop:
        if kinds[child] == w.n.else_clause:
            orelse = child
        child = last[child]
    w.unit.contexts.append(loop)
    w.tasks.append((_end_loop, loop, orelse))
    w.tasks.append((None, span[0], stop if orelse is None else orelse))


def _end_loop(w: Walker, loop: Loop, orelse: int | None) -> None:
    w.unit.contexts.pop()
    flow(w.block, loop.header)
    done = w.forks.pop()
    if orelse is None:
        flow(done, loop.exit)
        w.start(loop.exit)
    else:
        w.start(Block(done) if done.preds else Block())
        w.tasks.append((Walker.join, loop.exit, loop.exit))
        w.tasks.append((None, orelse + 1, w.last[orelse]))


def for_statement(w: Walker, node: int) -> None:
    """The iterable once; then target and body per item; else when the items run out, which may be at once."""
    kinds, named = w.kinds, w.n.operands
    found: list[int] = []
    child, stop = node + 1, w.last[node]
    while child < stop and len(found) < 2:
        if kinds[child] in named:
            found.append(child)
        child = w.last[child]
    if len(found) == 2:
        w.tasks.append((_for_items, found, (child, stop)))
        w.tasks.append((None, found[1], w.last[found[1]]))


def _for_items(w: Walker, target_and_iterable: list[int], span: Span) -> None:
    target, iterable = target_and_iterable
    header = w.fork()
    w.start(header)
    w.raise_point()  # the next item may fail to come
    w.forks.append(w.block)
    w.start(w.fork())
    w.tasks.append((_loop_body, Loop(header, Block()), span))
    # No zipping: `for a, b in (x, y)` takes each item apart, not the tuple.
    bind_target(w, target, iterable, None, False)


def jump(w: Walker, kind: str) -> None:
    """break, continue or return: to its target, through the nearest finally clause."""
    for context in w.unit.contexts[::-1]:
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
