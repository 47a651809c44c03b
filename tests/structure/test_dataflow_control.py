"""Branches, loops, exceptions, with and match, written from the language reference.

https://docs.python.org/3/reference/compound_stmts.html, sections 8.1 to 8.6.
"""

import pytest
from flows import check

IF = [
    ("x$1 = 0\nif x$2:\n    x$3 = 1\nx$4", "2<1 4<1,3"),
    ("x$1 = 0\nif x$2:\n    x$3 = 1\nelse:\n    x$4 = 2\nx$5", "2<1 5<3,4"),
    (
        "x$1 = 0\nif a:\n    x$2 = 1\nelif x$3:\n    x$4 = 2\nelif b:\n    pass\nelse:\n    x$5 = x$6\nx$7",
        "3<1 6<1 7<1,2,4,5",
    ),
    # 6.11 and 6.13: an operand that may not run
    ("m$1 = 0\nif a and (m$2 := f()):\n    m$3\nelse:\n    m$4\nm$5", "3<2 4<1,2 5<1,2"),
    ("m$1 = 0\nif a or (m$2 := f()):\n    m$3\nelse:\n    m$4", "3<1,2 4<2"),
    ("m$1 = 0\nif not (a or (m$2 := f())):\n    m$3\nelse:\n    m$4", "3<2 4<1,2"),
    ("m$1 = 0\nx$2 = a and (m$3 := f())\nm$4", "4<1,3"),
    ("m$1 = 0\nx = (m$2 := 1) if m$3 else (m$4 := 2)\nm$5", "3<1 5<2,4"),
    ("m$1 = 0\nx = (m$2) if (m$3 := 1) else m$4\nm$5", "2<3 4<3 5<3"),
    ("m$1 = 0\nx = 1 < (m$2 := f()) < (n$3 := m$4)\nm$5, n$6", "4<2 5<2 6<3"),
    ("m$1 = 0\nn$2 = 0\nx = 1 < a < (n$3 := m$4)\nn$5", "4<1 5<2,3"),
    ("def f(x$1):\n    if x$2:\n        return x$3\n    x$4 = 1\n    return x$5", "2<1 3<1 5<4"),
    ("def f(x$1):\n    if x$2:\n        x$3 = 2\n        raise E(x$4)\n    return x$5", "2<1 4<3 5<1"),
]

LOOPS = [
    # zero iterations; the edge back
    ("x$1 = 0\nfor i$2 in range(3):\n    x$3 = x$4 + i$5\nx$6, i$7", "4<1,3 5<2 6<1,3 7<2"),
    # else runs when the items run out, not after break
    (
        "x$1 = 0\nfor i in a:\n    if i$9:\n        x$2 = 1\n        break\nelse:\n    x$3\n    x$4 = 2\nx$5",
        "9<i@10 3<1 5<2,4",
    ),
    ("x$1 = 0\nfor i in a:\n    x$2 = 1\n    continue\n    x$3 = 2\nx$4", "4<1,2"),
    ("x$1 = 0\nwhile x$2 < 9:\n    x$3 += 1\nelse:\n    x$4\nx$5", "2<1,3 3<1,3 4<1,3 5<1,3"),
    # a condition that is always true leaves only through break
    ("x$1 = 0\nwhile True:\n    x$2 = f()\n    if x$3:\n        break\nx$4", "3<2 4<2"),
    ("x$1 = 0\nwhile 1:\n    x$2 = f()\n    if x$3: continue\n    break\nelse:\n    x\nx$4", "3<2 4<2"),
    ("x$1 = 0\nwhile (x$2 := f()):\n    x$3\nx$4", "3<2 4<2"),
    ("while True:\n    x$1 = 1\n    y$2 = x$3", "3<1"),
    ("x$1 = 0\nfor i in a:\n    x$2\n    x$3 = 1\n    continue\nelse:\n    x$4", "2<1,3 4<1,3"),
    ("x$1 = 0\nwhile x$2:\n    x$3 = 1\n    if a: continue\n    break\nelse:\n    x$4 = 2\nx$5", "2<1,3 5<3,4"),
    # nested loops; the target may itself be a store
    (
        "s$1 = 0\nfor i$2 in a:\n    for j$3 in i$4:\n        s$5 += j$6\n    s$7 = s$8\ns$9",
        "4<2 5<1,5,7 6<3 8<1,5,7 9<1,7",
    ),
    ("d$1 = {}\nfor d$2[0] in a:\n    d$3\nd$4", "2<1,2 3<2 4<1,2"),
    ("for i$1, (j$2, *k$3) in a:\n    i$4, j$5, k$6\n    i$7 = 1\ni$8", "4<1 5<2 6<3 8<7"),
    ("async def f(a$1):\n    async for x$2 in a$3:\n        await x$4\n    return x$5", "3<1 4<2 5<2"),
]

TRY = [
    # the handler sees any state of the body in which a statement starts, not the last binding
    ("x$1 = 0\ntry:\n    x$2 = f()\n    x$3 = g()\nexcept E:\n    x$4\nx$5", "4<1,2 5<1,2,3"),
    ("x$1 = 0\ntry:\n    x$2 = f()\nexcept E:\n    x$3 = 1\nelse:\n    x$4\nx$5", "4<2 5<2,3"),
    (
        "try:\n    x$1 = f()\nexcept E as e$2:\n    x$3 = e$4\nexcept (F, G) as e$5:\n    x$6 = e$7\nx$8",
        "4<2 7<5 8<1,3,6",
    ),
    # the name of the exception is deleted when its handler ends
    ("e$1 = 0\ntry:\n    f()\nexcept E as e$2:\n    pass\ne$3", "3<1"),
    ("try:\n    f()\nexcept* E as e$1:\n    e$2", "2<1"),
    # finally runs after each way out; what follows it came the normal way
    ("x$1 = 0\ntry:\n    x$2 = f()\n    x$3 = 2\nfinally:\n    x$4\nx$5", "4<1,2,3 5<3"),
    ("x$1 = 0\ntry:\n    x$2 = f()\nexcept E:\n    x$3 = g()\n    x$4 = 1\nfinally:\n    x$5\nx$6", "5<1,2,3,4 6<2,4"),
    ("x$1 = 0\ntry:\n    x$2 = f()\nexcept:\n    pass\nfinally:\n    x$3 = x$4\nx$5", "4<1,2 5<3"),
    (
        "def f(x$1):\n    for i in x$2:\n        try:\n            x$3 = g()\n            break\n"
        "        finally:\n            y$4 = x$5\n    return x$6, y$7",
        "2<1 5<1,3 6<1,3 7<4",
    ),
    ("def f():\n    x$1 = 0\n    try:\n        x$2 = 1\n        return x$3\n    finally:\n        x$4", "3<2 4<1,2"),
    # an exception that no handler takes reaches the enclosing try; nothing can raise after the last binding
    (
        "x$1 = 0\ntry:\n    try:\n        x$2 = f()\n        x$3 = g()\n    except E:\n        x$4 = 1\n        h()\n"
        "except F:\n    x$5",
        "5<1,2,4",
    ),
    ("x$1 = 0\ntry:\n    for i$2 in a:\n        x$3 = i$4\nexcept E:\n    x$5", "4<2 5<1,3"),
    (
        "x$1 = 0\ntry:\n    try:\n        x$2 = f()\n        g()\n    except E:\n        pass\nexcept F:\n    x$3",
        "3<1,2",
    ),
    # which it leaves as it was before a handler bound its name
    (
        "e$1 = 0\ntry:\n    g()\n    e$2 = 1\n    h()\nexcept E as e$3:\n    raise\nfinally:\n    e$4",
        "4<1,2,3",
    ),
    (
        "e$1 = 0\ntry:\n    e$2 = f()\n    try:\n        e$3 = g()\n        h()\n    except E as e$4:\n        pass\n"
        "except F:\n    e$5",
        "5<1,2,3,4",
    ),
    ("x$1 = 0\ntry:\n    (x$2 := f()) + g()\nexcept E:\n    x$3", "3<1,2"),
    ("x$1 = 0\ntry:\n    pass\nfinally:\n    try:\n        x$2 = f()\n    finally:\n        x$3\nx$4", "3<1,2 4<2"),
]

WITH = [
    ("a$1 = 1\nwith f(a$2) as b$3, b$4.c() as (d$5, e$6), d$7:\n    b$8, e$9", "2<1 4<3 7<5 8<3 9<6"),
    ("with (f() as a$1, g() as b$2):\n    a$3, b$4", "3<1 4<2"),
    ("o$1 = f()\nwith g() as o$2.x:\n    o$3", "2<1 3<2"),
    ("async def f(a$1):\n    async with a$2 as b$3:\n        return b$4", "2<1 4<3"),
]

MATCH = [
    ("x$1 = f()\nmatch x$2:\n    case [a$3, *b$4, _]:\n        a$5, b$6", "2<1 5<3 6<4"),
    ("match f():\n    case {'k': v$1, **rest$2}:\n        v$3, rest$4", "3<1 4<2"),
    ("match f():\n    case P(a$1, q=b$2) as c$3:\n        a$4, b$5, c$6", "4<1 5<2 6<3"),
    # both alternatives bind
    ("match f():\n    case P(a$1) | [a$2]:\n        a$3", "3<1,2"),
    # a dotted name is a value, a plain one a capture; _ captures nothing
    ("import m$1\nmatch f():\n    case m$2.A: pass\n    case n$3: n$4\n_$5 = 1", "2<1 4<3"),
    # cases are tried in order; a false guard keeps what the pattern bound
    (
        "x$1 = 0\nmatch f():\n    case 1:\n        x$2 = 1\n    case x$3 if x$4:\n        x$5\n"
        "    case _:\n        x$6\nx$7",
        "4<3 5<3 6<3 7<2,3",
    ),
    ("x$1 = 0\nmatch f():\n    case 1:\n        x$2 = 1\nx$3", "3<1,2"),
    ("x$1 = 0\nmatch f(), x$2:\n    case x$3:\n        pass\n    case y:\n        x$4 = 1\nx$5", "2<1 5<3"),
    ("match f():\n    case 'a', w$1: w$2\n    case (q$3): q$4\n    case str() | None | -1: pass", "2<1 4<3"),
]


@pytest.mark.parametrize(("source", "edges"), IF)
def test_if_and_short_circuits(source, edges):
    check(source, edges)


@pytest.mark.parametrize(("source", "edges"), LOOPS)
def test_loops(source, edges):
    check(source, edges)


@pytest.mark.parametrize("number", ["0", "00", "0_0", "0x0", "0X00", "0b0", "0o0_0", "0j", "010", "False"])
def test_no_zero_is_always_true(number):
    check(f"x$1 = 0\nwhile {number}:\n    x$2 = 1\nx$3", "3<1,2")
    check(f"if {number}:\n    x$1 = 1\nelse:\n    x$2 = 2\nx$3", "3<1,2")


@pytest.mark.parametrize("number", ["1", "0xb0", "0b10", "0o10", "1_000", "2j", "True"])
def test_other_integers_are_always_true(number):
    check(f"x$1 = 0\nwhile {number}:\n    x$2 = 1\n    if f(): break\nx$3", "3<2")


@pytest.mark.parametrize(("source", "edges"), TRY)
def test_exceptions(source, edges):
    check(source, edges)


@pytest.mark.parametrize(("source", "edges"), WITH)
def test_with(source, edges):
    check(source, edges)


@pytest.mark.parametrize(("source", "edges"), MATCH)
def test_match(source, edges):
    check(source, edges)
