"""A comment or a continued line between `=` and the value changes nothing."""

import pytest

from hf_structdistill.structure import analyse_dataflow, parse


def names(source: str) -> list[tuple[str, tuple[str, ...]]]:
    flow = analyse_dataflow(parse(source))
    name = [occurrence.name for occurrence in flow.occurrences]
    return [(name[target], tuple(name[use] for use in uses)) for target, uses in flow.assignments]


@pytest.mark.parametrize("gap", [" ", " \\\n    ", " (  # why\n    "])
def test_value_behind_a_gap(gap):
    end = ")" if "(" in gap else ""
    assert ("x", ("a",)) in names(f"def f(a):\n    x ={gap}a % 100{end}\n    return x\n")
