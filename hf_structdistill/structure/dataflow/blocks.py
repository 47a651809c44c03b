"""Basic blocks, and the backward search that finds the definitions reaching a point.

A block keeps the last definition of each name in it. A use whose name is defined earlier in its own block is answered
on the spot; the others are answered once the control-flow graph of their code unit is complete, by walking the
predecessors until each path meets a definition. Nothing is computed for names that are never used, and straight-line
code, most of all code, needs no sets at all.
"""

from __future__ import annotations

UNBOUND = -1
"""In `Block.defs`: the name was deleted here, no earlier definition lives on."""


class Block:
    """A stretch of code without branches."""

    __slots__ = ("defs", "preds", "memo", "covered")

    def __init__(self, *preds: Block | None) -> None:
        self.defs: dict[str, int] = {}
        self.preds: list[Block | None] = list(preds)
        """Blocks that run just before; [None] is the entry of a unit, [] is unreachable code."""
        self.memo: dict[str, tuple[tuple[int, ...], bool]] | None = None
        self.covered: Block | None = None
        """The exception dispatch that already knows the state this block starts with."""


def flow(source: Block, target: Block) -> None:
    """Control may pass from the end of `source` to the start of `target`; unreachable code passes on nothing."""
    if source.preds:
        target.preds.append(source)


def reaching(block: Block, name: str) -> tuple[tuple[int, ...], bool]:
    """Definitions of `name` that reach the start of `block`, ascending, and whether the unit's entry does.

    Iterative; memoised on every block that starts a search, which keeps sequences of branches linear.
    """
    # Follow a chain of single predecessors without any set.
    while len(block.preds) == 1:
        above = block.preds[0]
        if above is None:
            return (), True
        found = above.defs.get(name)
        if found is not None:
            return ((found,) if found >= 0 else ()), False
        block = above
    memo = block.memo
    if memo is None:
        memo = block.memo = {}
    elif name in memo:
        return memo[name]
    answer = memo[name] = _search(block, name)
    return answer


def _search(block: Block, name: str) -> tuple[tuple[int, ...], bool]:
    found: set[int] = set()
    entry = False
    seen = {block}
    stack = [block]
    while stack:
        for above in stack.pop().preds:
            if above is None:
                entry = True
                continue
            definition = above.defs.get(name)
            if definition is not None:
                if definition >= 0:
                    found.add(definition)
            elif above not in seen:
                seen.add(above)
                if above.memo is not None and name in above.memo:
                    known, known_entry = above.memo[name]
                    found.update(known)
                    entry = entry or known_entry
                else:
                    stack.append(above)
    return tuple(sorted(found)), entry


def spread_marks(block: Block, marks: dict[Block, int], before: dict[Block, int]) -> int:
    """The marks (one bit each) of the blocks from which `block` can be reached over at least one edge.

    Itself counts only when it is in a loop. `before` keeps what is found for all blocks on the way: each is visited
    once or twice and about once more for each loop around it, however many blocks are asked about.
    """
    if block not in before:
        order = _ascending(block, before)
        before.update(dict.fromkeys(order, 0))
        changed = True
        while changed:
            changed = False
            for here in order:
                found = before[here]
                for above in here.preds:
                    if above is not None:
                        found |= before[above] | marks.get(above, 0)
                if found != before[here]:
                    before[here] = found
                    changed = True
    return before[block]


def _ascending(block: Block, known: dict[Block, int]) -> list[Block]:
    """The block and all before it that are not known, each after its predecessors but for the edges back of loops."""
    order: list[Block] = []
    seen: set[Block] = set()
    stack: list[tuple[Block, bool]] = [(block, False)]
    while stack:
        here, done = stack.pop()
        if done:
            order.append(here)
        elif here not in seen:
            seen.add(here)
            stack.append((here, True))
            for above in here.preds:
                if above is not None and above not in seen and above not in known:
                    stack.append((above, False))
    return order
