"""Functions, closures, classes and comprehensions, written from the language reference.

https://docs.python.org/3/reference/executionmodel.html#naming-and-binding, compound statements 8.7 to 8.10 and
expressions 6.2.4 and 6.14.
"""

import pytest
from flows import check, unmark

from hf_structdistill.structure import analyse_dataflow, parse

PARAMETERS = [
    (
        "def f(a$1, /, b$2: int, *c$3, d$4=1, e$5: int = 2, **g$6):\n    a$11, b$12, c$13, d$14, e$15, g$16",
        "11<1 12<2 13<3 14<4 15<5 16<6",
    ),
    ("def f(*, a$1): a$2", "2<1"),
    # defaults are evaluated in the enclosing scope, when the function is defined
    ("x$1 = 1\ndef f(x$2=x$3):\n    return x$4\nx$5 = 2", "3<1 4<2"),
    ("x$1 = 1\ng = lambda y$2, *z$3, x$4=x$5, **k$6: (x$7, y$8, z$9, k$10)", "5<1 7<4 8<2 9<3 10<6"),
    ("f = lambda: 0", ""),
    # decorators too; annotations are no variables
    ("d$1 = 1\n@a.b(d$2)\ndef f(): pass\n@d$3\nclass A: pass", "2<1 3<1"),
    ("def d(f$1): return f$2\n@d\ndef g$3(): pass\ng$4", "2<1 4<3"),
    ("T$1 = int\ndef f(x$2: T) -> T: return x$3", "3<2"),
    # 8.10 type parameters belong to a scope around the function or class
    (
        "T$1 = 0\ndef f[T$2](x$3): return T$4, x$5\nclass A[T$6](B[T$7]):\n    t = T$8\n    def m(self): T$9\nT$10",
        "4<2 5<3 7<6 8<6 9<6 10<1",
    ),
]

CLOSURES = [
    # a function sees what reaches its creation and what is bound later, not what was overwritten before
    ("x$1 = 1\nx$2 = 2\ndef f(): return x$3\nx$4 = 3", "3<2,4"),
    ("def f(x$1):\n    def g$2(): return x$3\n    return g$4", "3<1 4<2"),
    (
        "def f():\n    def g(): return x$1\n    if a:\n        x$2 = 1\n    else:\n        x$3 = 2",
        "1<2,3",
    ),
    ("for i$1 in a:\n    fs = lambda: (i$2, j$3)\n    j$4 = 1", "2<1 3<4"),
    (
        "def f(x$1):\n    def g$2():\n        def h$3(): return x$4\n        return h$5\n    return g$6",
        "4<1 5<3 6<2",
    ),
    ("def f$1():\n    return f$2", "2<1"),
    ("def f():\n    return later$1\nlater$2 = 1", "1<2"),
    ("def f():\n    return x$1\nif a:\n    x$2 = 1\n    x$3 = 2", "1<2,3"),
    # either arm: the other arm cannot come after
    ("if a:\n    f = lambda: x$1\nelse:\n    x$2 = 1", ""),
    # a name bound in the function is local throughout it
    ("x$1 = 1\ndef f():\n    x\n    x$2 = 2\n    return x$3\nx$4", "3<2 4<1"),
    # 7.12 global, 7.13 nonlocal
    ("n$1 = 0\ndef f():\n    global n\n    n$2 += 1\n    return n$3\nn$4", "2<1,2 3<2 4<1,2"),
    ("n$1 = 0\nn$2\ndef f():\n    global n\n    n$3 = 1\nn$4\nn$5 = 2\nn$6", "2<1 4<1,3 6<3,5"),
    ("def f():\n    global made\n    made$1 = 1\ndef g(): return made$2", "2<1"),
    ("def f():\n    n$1 = 0\n    def g():\n        nonlocal n\n        n$2 = n$3 + 1\n    return n$4", "3<1,2 4<1,2"),
    (
        "x$1 = 0\ndef f():\n    x$2 = 1\n    def g():\n        global x\n        return x$3\n    x$4",
        "3<1 4<2",
    ),
    # a store into an outer object does not make its name local
    ("d$1 = {}\ndef f(k$2):\n    d$3[k$4] = 1\n    return d$5\ndef g(): return d$6", "3<1,3 4<2 5<3 6<1,3"),
    ("def f(d$1):\n    def g(): d$2.x = 1\n    return d$3", "2<1,2 3<1,2"),
    # a called name is a use where a value reaches it, and none where it is a function, class or module
    ("def f(g$1):\n    return g$2(1)", "2<1"),
    ("h$1 = lambda: 0\nh$2()", "2<1"),
    ("def f(): pass\nimport m\nclass A: pass\nf(); m(); A(); print()", ""),
    ("import m$1\nm$2.f()\nx$3 = m$4", "2<1 4<1"),
    ("async def f(a$1):\n    return await a$2", "2<1"),
]

CLASSES = [
    # the body runs at once, sees what reaches it, and hides its names from the functions in it
    (
        "x$1 = 1\nclass A:\n    y$2 = x$3\n    def f(self): return x$4, y$5\n    z = y$6\nx$7 = 2\ny$8 = 3",
        "3<1 4<1,7 5<8 6<2",
    ),
    ("x$1 = 1\nclass A:\n    x$2 = x$3\n    z = x$4", "3<1 4<2"),
    ("class A$1(B): pass\nclass C(A$2, metaclass=A$3): pass", "2<1 3<1"),
    (
        "def f(x$1):\n    class A$2:\n        y = x$3\n        def m(self): return x$4\n    return A$5",
        "3<1 4<1 5<2",
    ),
    ("class A$1:\n    def f(self$2):\n        self$3.x = 1\n        return self$4.x, A$5", "3<2 4<3 5<1"),
    ("class A:\n    n$1 = 3\n    xs = [n for i in range(n$2)]", "2<1"),
    ("a$1 = 1\nclass A:\n    a$2 += 1\n    b = a$3", "2<1 3<2"),
    # a name bound in the class that is unbound there falls back on the module, not on the function around
    ("x$1 = 1\ndef f(x$2):\n    class A:\n        if a:\n            x$3 = 0\n        y = x$4", "4<1,3"),
    # nor does a class in a class see them, its comprehensions included
    (
        "y$1 = 1\nclass A:\n    y$2 = 2\n    class B:\n        y$3\n        [y$4 for z$5 in y$6 if z$7]",
        "3<1 4<1 6<1 7<5",
    ),
    (
        "def f(y$1):\n    class A:\n        y$2 = 2\n        class B:\n            class C:\n                z = y$3",
        "3<1",
    ),
    ("class A:\n    y$1 = 2\n    class B(y$2):\n        y", "2<1"),
    ("class A:\n    class B[T$1]:\n        T$2 = 0\n        class C:\n            T$3", "3<1"),
    # the body of a class in a class runs at once as well: what the module binds later is not read
    (
        "y$1 = 1\nclass A:\n    class B:\n        if a:\n            y$2 = 2\n        y$3\n        y$4 = 3\ny$5 = 4",
        "3<1,2",
    ),
]

COMPREHENSIONS = [
    # 6.2.4: the first iterable outside, all else in a scope of its own
    ("x$1 = [1]\ny = [x$2 for x$3 in x$4 if x$5]\nx$6", "2<3 4<1 5<3 6<1"),
    ("{k$1: v$2 for k$3, v$4 in f()}", "1<3 2<4"),
    ("a$1 = f()\n{y$2 for x$3 in a$4 for y$5 in x$6 if y$7 in a$8}", "2<5 4<1 6<3 7<5 8<1"),
    ("g = f(x$1 for x$2 in [y$3 for y$4 in z])", "1<2 3<4"),
    ("async def f(a$1):\n    return [x$2 async for x$3 in a$4]", "2<3 4<1"),
    # assignment expressions bind outside, and the loop may run zero times
    ("m$1 = 0\n[m$2 := x$3 for x$4 in a]\nm$5", "3<4 5<1,2"),
    ("m$1 = 0\n[m$2 for x$3 in a if (m$4 := x$5)]\nm$6", "2<4 5<3 6<1,4"),
    ("t$1 = 0\n[t$2 := t$3 + x$4 for x$5 in a]\nt$6", "3<1,2 4<5 6<1,2"),
    ("def f(a$1):\n    any((w$2 := x$3) for x$4 in a$5)\n    return w$6", "3<4 5<1 6<2"),
    # functions inside see the item
    ("[lambda: x$1 for x$2 in a]", "1<2"),
    ("k$1 = 1\nsorted(a, key=lambda p$2: p$3[k$4])", "3<2 4<1"),
]

STRINGS = [
    ("w$1 = 3\nx$2 = 1\nf'{x$3!r:>{w$4}} {x$5=} {{x}}'", "3<2 4<1 5<2"),
    ("x$1 = 1\n'x' f'{x$2:{x$3}}' rf'{f'{x$4}'}'", "2<1 3<1 4<1"),
    ("a$1 = 1\nf'{(lambda y$2: y$3)(a$4):%Y}'", "3<2 4<1"),
]


@pytest.mark.parametrize(("source", "edges"), PARAMETERS)
def test_parameters_and_decorators(source, edges):
    check(source, edges)


@pytest.mark.parametrize(("source", "edges"), CLOSURES)
def test_closures_and_declarations(source, edges):
    check(source, edges)


@pytest.mark.parametrize(("source", "edges"), CLASSES)
def test_classes(source, edges):
    check(source, edges)


@pytest.mark.parametrize(("source", "edges"), COMPREHENSIONS)
def test_comprehensions(source, edges):
    check(source, edges)


@pytest.mark.parametrize(("source", "edges"), STRINGS)
def test_strings(source, edges):
    check(source, edges)


def test_scopes_name_the_owner_of_each_variable():
    source = "x = 1\ndef f(a):\n    g = lambda b: (a, b, x)\n    return [c for c in a]\nclass A:\n    y = x\n"
    flow = analyse_dataflow(parse(source))
    assert [(s.kind, s.name, s.parent) for s in flow.scopes] == [
        ("module", "", -1),
        ("function", "f", 0),
        ("lambda", "", 1),
        ("comprehension", "", 1),
        ("class", "A", 0),
    ]
    owners = {(o.name, flow.scopes[o.scope].kind) for o in flow.occurrences}
    assert owners == {
        ("x", "module"),
        ("f", "module"),
        ("A", "module"),
        ("a", "function"),
        ("g", "function"),
        ("b", "lambda"),
        ("c", "comprehension"),
        ("y", "class"),
    }


def test_edges_do_not_depend_on_names():
    marked = "def f(a$1, b$2):\n    for c$3 in a$4:\n        b$5 += c$6\n    return b$7\n"
    renamed = "def g(zz, y):\n    for x in zz:\n        y += x\n    return y\n"
    assert analyse_dataflow(parse(unmark(marked)[0])).edges == analyse_dataflow(parse(renamed)).edges
