"""Assignment in all its forms, written from the language reference.

https://docs.python.org/3/reference/simple_stmts.html, sections 7.2 to 7.13, and expressions, section 6.12.
"""

import pytest
from flows import check, check_values, definitions, variables


@pytest.mark.parametrize(
    ("source", "edges"),
    [
        # 7.2 assignment: the right-hand side is evaluated first, the targets bind from left to right
        ("x$1 = 1\nx$2 = x$3 + x$4\nx$5", "3<1 4<1 5<2"),
        ("a$1 = b$2 = c = 3\na$3, b$4", "3<1 4<2"),
        ("i$1 = a$2 = [0]\ni$3 = a$4[i$5] = i$6", "6<1 4<2 5<3"),
        ("(a$1) = 1\n[b$2, *c$3], d$4 = x = [], 2\na$5; b$6; c$7; d$8", "5<1 6<2 7<3 8<4"),
        ("a$1, b$2 = 1, 2\na$3, b$4 = b$5, a$6\na$7, b$8", "5<2 6<1 7<3 8<4"),
        ("x$1 = 0\nx$2 = (x$3)\nx$4", "3<1 4<2"),
        # subscript and attribute targets: the object is used, and changed for those who use it next
        ("d$1 = {}\nk$2 = 1\nd$3[k$4] = 2\nd$5", "3<1 4<2 5<3"),
        ("p$1 = f()\nv$2 = 3\np$3.x = v$4\np$5.y.z[v$6] = p$7\np$8", "3<1 4<2 7<3 5<3 6<2 8<5"),
        ("d$1 = {}\nd$2.get(1)[0] = 1\nd$3", "2<1 3<1"),
        ("d$1 = {}\nfor k$2 in 1, 2:\n    d$3[k$4] = 0\nd$5", "3<1,3 4<2 5<1,3"),
        # 7.2.1 augmented assignment: one occurrence that reads and binds
        ("x$1 = 1\nx$2 += x$3\nx$4", "2<1 3<1 4<2"),
        ("a$1 = [0]; i$2 = 0\na$3[i$4] += i$5\na$6", "3<1 4<2 5<2 6<3"),
        ("o$1 = f()\no$2.n -= 1\no$3", "2<1 3<2"),
        # 7.2.2 annotated assignment: the annotation is no variable, a bare one binds nothing
        ("T$1 = int\nx$2: T = 1\nx$3", "3<2"),
        ("y$1 = 1\nx: y\ny$2", "2<1"),
        ("o$1 = f(); v$2 = 1\no$3.a: int = v$4\no$5", "3<1 4<2 5<3"),
        # 6.12 assignment expressions
        ("if (n$1 := len('ab')) > 1:\n    n$2\nn$3", "2<1 3<1"),
        ("x$1 = 1\ny$2 = (x$3 := x$4 + 1) + x$5\nx$6", "4<1 5<3 6<3"),
        # 7.5 del reads the name and ends its definitions; on a part, it changes the object
        ("x$1 = 1\ndel x$2\nx", "2<1"),
        ("a$1, b$2 = 1, {}\ndel (a$3), b$4[0]\na\nb$5", "3<1 4<2 5<4"),
        ("x$1 = 1\nif x$2:\n    del x$3\nx$4", "2<1 3<1 4<1"),
        # 7.11 imports bind the first name of a dotted path, or the alias
        ("import os.path\nimport a.b as c$1, d$2.e\nc$3, d$4", "3<1 4<2"),
        ("from m import x$1, y as z$2\nx$3, z$4", "3<1 4<2"),
        ("from . import (x$1)\nfrom .n.o import p$2\nx$3; p$4", "3<1 4<2"),
        ("from __future__ import annotations$1\nannotations$2", "2<1"),
        ("from m import *\nx = 1", ""),
        # 7.14 type aliases bind a name; `type` is also an ordinary callee and name
        ("type X$1 = list[int]\nX$2", "2<1"),
        ("m$1 = f(); v$2 = 1\ntype(m$3).a = v$4", "3<1 4<2"),
        ("type$1 = 3; match$2 = 4\ntype$3, match$4", "3<1 4<2"),
        # the grammar reads a store into a variable called `type` as an alias too
        ("def f(type$1, i$2):\n    type$3[i$4] = i$5\n    return type$6", "3<1 4<2 5<2 6<3"),
        ("def f(type$1, i$2, b):\n    type$3[i$4].a = type$5[i$6].b\n    return type$7", "3<1 4<2 5<1 6<2 7<3"),
        ("def f(type$1, i$2):\n    type$3[0]: T = type$4[i$5] | i$6\n    return type$7", "3<1 4<1 5<2 6<2 7<3"),
        ("def f(type$1, i$2):\n    if i$3:\n        type$4[i$5][0] = 1\n    return type$6", "3<2 4<1 5<2 6<1,4"),
        ("def f(type$1, i$2):\n    type$3[i$4](i$5).a = 1\n    return type$6", "3<1 4<2 5<2 6<1"),
        ("def f(type$1, i$2):\n    type$3(i$4).a = i$5[i$6:i$7]\n    return type$8", "3<1 4<2 5<2 6<2 7<2 8<1"),
        # Unicode names are compared in NFKC; offsets are bytes
        ("ﬁ$1 = 1\nfi$2; é$3 = 2; é$4", "2<1 4<3"),
    ],
)
def test_edges(source, edges):
    check(source, edges)


@pytest.mark.parametrize(
    ("source", "assignments"),
    [
        ("a = 1\nb$1 = a$2 + a$3", "1<2,3"),
        ("a = b = 0\nc$1 = d$2 = a$3, b$4", "1<3,4 2<3,4"),
        # zipped targets take their own element
        ("a = b = 0\na$1, b$2 = b$3, a$4", "1<3 2<4"),
        ("a = b = c = 0\n[x$1, (y$2, z$3)] = a$4, [b$5, c$6]", "1<4 2<5 3<6"),
        ("a = b = c = 0\nx$1, *y$2, z$3 = a$4, b$5, c$6", "1<4 2<5 3<6"),
        ("a = b = 0\nx$1, *y, z$2 = (a$3, b$4)", "1<3 2<4"),
        # a starred target takes the elements in the middle
        ("a = b = c = d = 0\nx$1, *y$2, z$3 = a$4, b$5, c$6, d$7", "1<4 2<5,6 3<7"),
        # where the shapes cannot be matched, each target takes the whole value
        ("a = b = 0\nx$1, y$2 = *a$3, b$4", "1<3,4 2<3,4"),
        ("a = b = 0\nx$1, y$2 = f(a$3, b$4)", "1<3,4 2<3,4"),
        ("a = 0\na$1 += a$2", "1<1,2"),
        ("a = i = 0\nd$1 = {}\nd$2[i$3] = a$4", "2<2,3,4"),
        ("a = i = 0\nd = {}\nd$2[i$3] += a$4", "2<2,3,4"),
        ("a = 0\no = f()\no$1.x: int = a$2", "1<1,2"),
        ("a = 0\nif (b$1 := a$2): pass", "1<2"),
        ("a = 0\nfor x$1, y$2 in a$3, a$4: pass", "1<3,4 2<3,4"),
        ("a = 0\nwith a$1 as b$2: pass", "2<1"),
        ("a = 0\nc$1 = [x$2 for x$3 in a$4]", "1<2,4 3<4"),
        ("a = 0\ndef f(x, y$1=a$2, *z, w$3=a$4): pass", "1<2 3<4"),
        ("a = 0\ng$1 = lambda x$2=a$3: x$4", "1<3,4 2<3"),
        ("a = 0\nmatch a$1:\n    case [x$2, *y$3]: pass", "2<1 3<1"),
        ("a = i = 0\ntype = {}\ntype$1[i$2] = a$3", "1<1,2,3"),
        # a called name carries a value only where it is one
        ("def f(g):\n    x$1 = g$2(len)", "1<2"),
    ],
)
def test_values(source, assignments):
    check_values(source, assignments)


def test_augmented_target_is_one_occurrence_that_is_both():
    from hf_structdistill.structure import analyse_dataflow, parse

    flow = analyse_dataflow(parse("x = 1\nx += 2"))
    assert [(o.start, o.is_def, o.is_use) for o in flow.occurrences] == [(0, True, False), (6, True, True)]


def test_what_is_no_variable():
    assert variables("print(len(x))") == []
    assert variables("a.b.c(d=1)[0].e") == []
    assert variables("x: List[int] = []\ndef f(a: T) -> U: pass") == ["x", "f", "a"]
    assert variables("def f(): pass\nf()\nimport m\nm.f(); m()") == ["f", "m", "m"]
    assert definitions("class A:\n    def f(self): self.x = 1") == ["A", "f", "self", "self"]
