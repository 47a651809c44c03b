"""A class body that may not have bound a name falls back on the module; the name stays the class's."""

import pytest

from hf_structdistill.structure import analyse_dataflow, parse


@pytest.mark.parametrize("before", ["a = 1", "del a", "b = 1"])
def test_maybe_bound_name_belongs_to_the_class(before):
    flow = analyse_dataflow(parse(f"{before}\nclass A:\n    for a in b:\n        pass\n    a += 1\n"))
    use = flow.occurrences[-1]
    assert use.name == "a" and flow.scopes[use.scope].kind == "class"
    (sources,) = [sources for index, sources in flow.edges if flow.occurrences[index] == use]
    assert {flow.scopes[flow.occurrences[s].scope].kind for s in sources} == (
        {"class", "module"} if before == "a = 1" else {"class"}
    )
