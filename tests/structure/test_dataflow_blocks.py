"""Which blocks of a unit can run before which others, and what finding that out costs."""

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from hf_structdistill.structure import analyse_dataflow, parse
from hf_structdistill.structure.dataflow.blocks import Block, spread_marks


def blocks_before(block: Block) -> set[Block]:
    """One search for each block: plain, and quadratic for a whole program."""
    seen, stack = set(), [block]
    while stack:
        for above in stack.pop().preds:
            if above is not None and above not in seen:
                seen.add(above)
                stack.append(above)
    return seen


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25), st.permutations(range(10)))
def test_marks_spread_to_whatever_can_run_later(edges, asked):
    blocks = [Block(None), *[Block() for _ in range(9)]]
    for source, target in edges:
        blocks[target].preds.append(blocks[source])
    marks = {block: 1 << i for i, block in enumerate(blocks) if i % 2}
    before = {}
    for i in asked:
        expected = sum(mark for block, mark in marks.items() if block in blocks_before(blocks[i]))
        assert spread_marks(blocks[i], marks, before) == expected


def test_memory_grows_with_the_program_and_not_with_its_square():
    def peak(branches: int) -> int:
        head = "x = 0\ndef f():\n    global x\n    x = 1\n"
        tree = parse(head + "".join(f"if x:\n    y{i} = x\n" for i in range(branches)))
        tracemalloc.start()
        flow = analyse_dataflow(tree)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(flow.edges) == 2 * branches
        return found

    assert peak(800) < 3 * peak(400)
