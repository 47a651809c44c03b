"""The match statement: captures are definitions, class and value patterns are uses."""

from __future__ import annotations

from .blocks import Block, flow
from .graph import CALLEE, DEF
from .python_control import branch
from .walker import Walker


def match_statement(w: Walker, node: int) -> None:
    parts = w.parts(node)
    named = w.named
    suite = parts[-1] if w.kinds[parts[-1]] == w.n.block else None
    subjects = [p for p in parts[1:] if w.kinds[p] in named and p != suite]
    cases = [c for c in w.parts(suite) if w.kinds[c] == w.n.case_clause] if suite is not None else []
    span = (subjects[0], w.last[subjects[-1]]) if subjects else (0, 0)
    w.later(_case, (cases, 0, span), Block())
    for subject in reversed(subjects):
        w.scan(subject)


def _case(w: Walker, what: tuple[list[int], int, tuple[int, int]], after: Block) -> None:
    """One case: where its pattern fails, or its guard is false, the next one is tried."""
    cases, i, span = what
    if i == len(cases):
        flow(w.block, after)
        w.start(after)
        return
    parts = w.parts(cases[i])[1:]
    n = w.n
    patterns = [p for p in parts if w.kinds[p] == n.case_pattern]
    guard = [p for p in parts if w.kinds[p] == n.if_clause]
    suite = [p for p in parts if w.kinds[p] == n.block]
    failed = Block()
    if not _irrefutable(w, patterns):
        flow(w.block, failed)
    w.start(w.fork())
    w.later(_case, (cases, i + 1, span), after)
    w.later(_end_case, failed, after)
    for body in reversed(suite):
        w.scan(body)
    if guard:
        yes = Block()
        w.later(Walker.start, yes)
        condition = w.parts(guard[0])[-1]
        w.later(branch, condition, (yes, failed))
        w.later(Walker.raise_point)
    for pattern in reversed(patterns):
        w.later(_pattern, pattern, span)


def _end_case(w: Walker, failed: Block, after: Block) -> None:
    flow(w.block, after)
    w.start(failed)


def _irrefutable(w: Walker, patterns: list[int]) -> bool:
    """`case name:` and `case _:` always match."""
    if len(patterns) != 1:
        return False
    parts = w.parts(patterns[0])
    if len(parts) != 1:
        return False
    if w.kinds[parts[0]] == w.n.underscore:
        return True
    return w.kinds[parts[0]] == w.n.dotted_name and len(w.parts(parts[0])) == 1


def _pattern(w: Walker, node: int, span: tuple[int, int]) -> None:
    """Bind the captures of one pattern in order; alternatives join."""
    kind, n = w.kinds[node], w.n
    if kind == w.n.identifier:
        _capture(w, node, span)
        return
    if kind == n.dotted_name:
        parts = w.parts(node)
        if len(parts) == 1:
            _capture(w, parts[0], span)
        elif parts:
            w.use(parts[0])
        return
    parts = w.parts(node)
    if kind == n.union_pattern:
        after = Block()
        before = w.block
        w.later(Walker.start, after)
        for part in reversed(parts):
            w.later(_alternative_done, before, after)
            w.later(_pattern, part, span)
        w.start(Block(before) if before.preds else Block())
        return
    if kind == n.class_pattern and parts and w.kinds[parts[0]] == n.dotted_name:
        names = w.parts(parts[0])
        w.use(names[0], CALLEE if len(names) == 1 else 2)
        parts = parts[1:]
    elif kind == n.keyword_pattern:
        parts = parts[1:]
    for part in reversed(parts):
        if w.last[part] > part + 1 or w.kinds[part] == w.n.identifier:
            w.later(_pattern, part, span)


def _alternative_done(w: Walker, before: Block, after: Block) -> None:
    flow(w.block, after)
    w.start(Block(before) if before.preds else Block())


def _capture(w: Walker, node: int, span: tuple[int, int]) -> None:
    if w.words.get(node) == "_":
        return
    occurrence = w.define(node, DEF)
    w.assigned.append((occurrence, *span))
