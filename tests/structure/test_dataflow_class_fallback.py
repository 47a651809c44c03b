"""A class body that may not have bound a name falls back on the module; the name stays the class's."""

import pytest
from flows import check, unmark
from invariants import check_anything

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


@pytest.mark.parametrize(
    ("source", "edges"),
    [
        ("y$1 = 0\nif y$2:\n    y$3 = 2\nclass C:\n    if y$4:\n        y$5 = 1\n    y$6", "2<1 4<1,3 6<1,3,5"),
        (
            "for q in xs:\n    class C:\n        for y in xs:\n            w$1\n            w$2 = 1\n    w$3 = 0",
            "1<2,3",
        ),
        ("y$1 = 0\ndef f(y$2):\n    class C:\n        if a:\n            y$3 = 1\n        y$4\ny$5 = 2", "4<1,3,5"),
        # what a function of the module does to the name is seen as well
        (
            "y$1 = 0\ndef f():\n    global y\n    y$2 = 1\nclass C:\n    if a:\n        y$3 = 2\n    y$4",
            "4<1,2,3",
        ),
        # a store in the class body, and one in the function around it, whose variable is that of the module
        (
            "y$1 = [0]\ndef f():\n    if a:\n        y$2[0] = 1\n    class C:\n        if a:\n            y$3[0] = 2\n"
            "        y$4",
            "2<1,2,3 3<1,2,3 4<1,2,3",
        ),
    ],
)
def test_fallback_adds_to_what_the_class_has_found(source, edges):
    check(source, edges)


@pytest.mark.parametrize(
    ("source", "edges"),
    [
        # a store into what may be the variable of the module changes that one
        ("x$1 = [1]\nclass A:\n    if a:\n        x$2 = [2]\n    x$3[0] = 3\n    x$4\nx$5", "3<1,2 4<3 5<1,3"),
        (
            "x$1 = [1]\ndef f():\n    class A:\n        if a:\n            x$2 = [2]\n        x$3[0] = 3\nx$4",
            "3<1,2,3 4<1,3",
        ),
        ("x$1 = [1]\nclass A:\n    x$2[0] = 3\n    x$3 = [2]\nclass B:\n    x$4\n    x$5 = 1", "2<1 4<1,2"),
        # not where the class has bound it for certain
        ("x$1 = [1]\nclass A:\n    x$2 = [2]\n    x$3[0] = 3\nx$4", "3<2 4<1"),
        ("x$1 = 1\nclass A:\n    x$2 += 1\nx$3", "2<1 3<1"),
    ],
)
def test_store_into_a_name_that_falls_back(source, edges):
    check(source, edges)
    check_anything(unmark(source)[0])


def test_fallback_through_a_branch_leaves_the_name_with_the_class():
    flow = analyse_dataflow(parse("y = 0\nif y:\n    y = 2\nclass C:\n    if y:\n        y = 1\n    print(y)\n"))
    assert [flow.scopes[o.scope].kind for o in flow.occurrences if o.start > 20] == ["module"] + 3 * ["class"]
