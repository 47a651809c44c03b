"""Where code is found in a text: the fences of CommonMark, and texts that are code as a whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_structdistill.structure import Region, code_regions
from hf_structdistill.structure.regions import bare_code, parse_prefix


def blocks(text: str) -> list[tuple[str, bool]]:
    data = text.encode()
    return [(data[r.start : r.end].decode(), r.closed) for r in code_regions(data)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no fence at all", []),
        ("Sure:\n```python\nx = 1\n```\nDone.", [("x = 1\n", True)]),
        ("```\nx\n```", [("x\n", True)]),
        ("```PYTHON\nx\n```", [("x\n", True)]),
        ("```py title=a.py\nx\n```", [("x\n", True)]),
        ("``` {.python}\nx\n```", [("x\n", True)]),
        ("```python:main.py\nx\n```", [("x\n", True)]),
        ("```bash\npip install x\n```", []),
        ("```text\n```\n```python\nx\n```", [("x\n", True)]),
        ("```pythonic\nx\n```", []),
        ("~~~python\nx\n~~~", [("x\n", True)]),
        ("~~~python\n```\n~~~", [("```\n", True)]),
        ("````python\n```\n````", [("```\n", True)]),  # a closing fence is at least as long as the opening one
        ("```python\nx\n`````", [("x\n", True)]),
        ("```python\nx\n``` end\n```", [("x\n``` end\n", True)]),  # nothing may follow a closing fence
        ("```python\nx\n```  \t\nafter", [("x\n", True)]),
        ("   ```python\n   x\n   ```", [("   x\n", True)]),
        ("    ```python\n    x\n    ```", []),  # four spaces make an indented block
        ("a ```python\nx", []),  # not at the start of a line
        ("```inline``` code", []),  # backticks behind backticks open nothing
        ("~~~ a`b\nx\n~~~", []),
        ("``\nx\n``", []),
        ("```python\nx = 1", [("x = 1", False)]),
        ("```python\n", [("", False)]),
        ("```python", [("", False)]),
        ("```bash\nx\n```python\ny", []),  # still inside the first block
        ("```python\n```", [("", True)]),
        ("```python\r\nx\r\ny\r\n```\r\n", [("x\r\ny\r\n", True)]),
        ("```python\rx\r```\r", [("x\r", True)]),
        ("```python\na\n```\ntext\n```python\nb\n```\n```", [("a\n", True), ("b\n", True), ("", False)]),
        ("```python\ns = '漢🤖'\n```", [("s = '漢🤖'\n", True)]),
    ],
)
def test_fences(text, expected):
    assert blocks(text) == expected


def test_positions_are_bytes():
    assert code_regions("é\n```\nx\n```".encode()) == [Region(7, 9, True, True)]


def test_other_languages_have_other_names():
    text = b"```python\nx\n```\n```js\ny\n```"
    assert [text[r.start : r.end] for r in code_regions(text, ("javascript", "js"))] == [b"y\n"]


@given(st.lists(st.sampled_from([b"```", b"~~~", b"````", b"python", b"\n", b"\r\n", b"  ", b"x = 1", b"\xff"])))
def test_regions_are_disjoint_ascending_and_hold_no_closing_fence(parts):
    text = b"".join(parts)
    end = 0
    for region in code_regions(text):
        assert end <= region.start <= region.end <= len(text)
        assert region.closed or region.end == len(text)
        end = region.end


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x\n",
        " def f(x):\n    return x\n",  # the dummy space
        "\n\n    total = 0\n    return total\n",  # the body that completes a prompt
        "import os",
        "x = 1",
        "x: int = 1",
        "print('hello there')",
        "# Adds two numbers, then stops.\nx = 1 + 2\n",
        '"""A module that does nothing."""\nimport os\n',
        "for x in y: pass",
        "if not done and x is None: raise ValueError",
        "@cache\ndef f(): ...",
        "yield x",
    ],
)
def test_code_without_a_fence(text):
    assert bare_code(text.encode()) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "Yes",
        "42",
        "a, b, c",
        "yes/no",
        "well-known",
        "Answer: 42",
        "Result: done",
        "Hello (world)",
        "The function returns the sum of its arguments.",
        "First, sort the list.\nThen return it.",
        "Steps:\n1. sort\n2. return",
        "I think so.\n\ndef f(x):\n    return x\n",  # reasoning, then code without a fence
        "x = 1\n```\n",  # whatever has a fence is not bare
        "def f(x:\n",
        "# only a comment",
    ],
)
def test_prose_without_a_fence(text):
    assert bare_code(text.encode()) is None


def test_code_that_was_cut_off_counts_up_to_the_cut():
    text = b"def f(x):\n    y = x\n    return max([y,\n        2, (3,\n"
    assert bare_code(text) is None
    tree = bare_code(text, complete=False)
    assert tree is not None and tree.source == b"def f(x):\n    y = x\n"


def test_a_cut_is_only_made_where_it_helps():
    broken = b"def f(x:\n    y = = x\n    return y\n"
    assert parse_prefix(broken, "python", complete=False).source == broken
    assert parse_prefix(b"x = (\n", "python", complete=True).source == b"x = (\n"
    assert parse_prefix(b"x = 1\ny = (", "python", complete=False).source == b"x = 1\n"
