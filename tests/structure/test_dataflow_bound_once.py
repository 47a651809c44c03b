"""A name bound once, before any branch, needs no search for what reaches its uses; unless something ends it."""

import pytest
from flows import check


@pytest.mark.parametrize(
    "source, edges",
    [
        ("def f(a$1, b$2):\n    if b$3:\n        return a$4\n    return a$5", "3<2 4<1 5<1"),
        ("def f(a$1, b$2):\n    del a$3\n    if b$4:\n        return a$5", "3<1 4<2"),
        ("def f(a$1, b$2):\n    if b$3:\n        del a$4\n    return a$5", "3<2 4<1 5<1"),
        ("def f(b$1):\n    if b$2:\n        return a$3\n    a$4 = 1", "2<1"),
        ("def f(b$1):\n    while b$2:\n        b$3 = a$4\n    a$5 = 1", "2<1,3"),
        ("def f(b$1, a$2):\n    return b$3\n    if b$4:\n        return a$5", "3<1"),
        ("def f(a$1, b$2):\n    if b$3:\n        a$4[0] = 1\n    return a$5", "3<2 4<1 5<1,4"),
        (
            "def f(e$1, b$2):\n    try:\n        b$3()\n    except E as e$4:\n        pass\n    if b$5:\n        e$6",
            "3<2 5<2 6<1",
        ),
    ],
)
def test_edges(source, edges):
    check(source, edges)
