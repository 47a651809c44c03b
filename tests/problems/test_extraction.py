"""The code of a completion."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_structdistill.problems.extraction import Extraction, extract_code

F = "def f(x):\n    return x\n"
G = "def g(x):\n    return -x\n"


def fenced(code: str, info: str = "python") -> str:
    return f"```{info}\n{code}```\n"


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("Think.\n\n" + fenced(F) + "\nDone.", Extraction(F, "Think.", "ok")),
        (fenced(F, ""), Extraction(F, "", "ok")),
        ("~~~python\n" + F + "~~~", Extraction(F, "", "ok")),
        # several blocks: the last one that defines the entry point
        (fenced(F) + fenced(G), Extraction(F, "", "ok")),
        (
            fenced("f = 1\n") + fenced(F) + "Use it:\n" + fenced("print(f(3))\n"),
            Extraction(F, fenced("f = 1\n").strip(), "ok"),
        ),
        (
            fenced(F) + "Faster:\n" + fenced("f = lambda x: x\n"),
            Extraction("f = lambda x: x\n", fenced(F) + "Faster:", "ok"),
        ),
        # nobody defines it: the last that defines anything, then the last that does something, then the last
        (fenced(G) + fenced("print(g(3))\n"), Extraction(G, "", "ok")),
        (fenced("x = 1\n") + fenced("[1, 2]\n", ""), Extraction("x = 1\n", "", "ok")),
        (fenced("1\n", "") + fenced("2\n", ""), Extraction("2\n", fenced("1\n", "").strip(), "ok")),
        # other languages, no code
        (
            fenced("pip install f\n", "bash") + fenced(F),
            Extraction(F, fenced("pip install f\n", "bash").strip(), "ok"),
        ),
        (fenced("pip install f\n", "bash"), Extraction(None, fenced("pip install f\n", "bash").strip(), "no_code")),
        (fenced(""), Extraction(None, "```python\n```", "no_code")),
        ("I cannot do that.", Extraction(None, "I cannot do that.", "no_code")),
        ("", Extraction(None, "", "no_code")),
        # cut off
        ("Think.\n```python\ndef f(x):\n", Extraction(None, "Think.", "unclosed_fence")),
        ("```python", Extraction(None, "```python", "unclosed_fence")),
        (fenced(F) + "```python\nprint(f(", Extraction(F, "", "ok")),
        (
            fenced(F) + "Better:\n```python\ndef f(x):\n    ret",
            Extraction(None, fenced(F) + "Better:", "unclosed_fence"),
        ),
        ("<think>Let me see", Extraction(None, "Let me see", "unclosed_think")),
        ("<think>" + fenced(F), Extraction(None, fenced(F).strip(), "unclosed_think")),
        # thinking
        ("<think>\nHm.\n</think>\n\n" + fenced(F), Extraction(F, "Hm.", "ok")),
        ("<think>" + fenced(G) + "</think>So:\n" + fenced(F), Extraction(F, fenced(G) + "\nSo:", "ok")),
        ("Opened by the prompt.\n</think>\n" + fenced(F), Extraction(F, "Opened by the prompt.", "ok")),
        ("<think>Only that.</think>", Extraction(None, "Only that.", "no_code")),
        (
            fenced('def f(x):\n    return x.split("</think>")\n'),
            Extraction('def f(x):\n    return x.split("</think>")\n', "", "ok"),
        ),
        # unfenced
        (F, Extraction(F, "", "ok")),
        ("\n" + F.rstrip(), Extraction(F, "", "ok")),
        ("    return x\n", Extraction("    return x\n", "", "ok")),
        ("Here it is:\n\n" + F + "\nThat is all there is.", Extraction(F, "Here it is:", "ok")),
        (
            "Sure.\nimport math\n\n@cache\n" + F + "\n\nprint(f(2))\nx = f(1)\nIt works for all inputs.",
            Extraction("import math\n\n@cache\n" + F + "\n\nprint(f(2))\nx = f(1)\n", "Sure.", "ok"),
        ),
        ("from what we know, def is a keyword", Extraction(None, "from what we know, def is a keyword", "no_code")),
        ("Text\ndef f(x:\n  broken (", Extraction(None, "Text\ndef f(x:\n  broken (", "no_code")),
        # an indented fence takes its indentation off
        ("1. So:\n   ```python\n   def f(x):\n       return x\n   ```\n", Extraction(F, "1. So:", "ok")),
        ("```python\r\nx = 1\r\n```\r\n", Extraction("x = 1\r\n", "", "ok")),
    ],
)  # fmt: skip
def test_extraction(completion, expected):
    found = extract_code(completion, "f")
    assert (found.code, found.status) == (expected.code, expected.status)
    if expected.reasoning or expected.code is None:
        assert found.reasoning == expected.reasoning


def test_methods_and_classes_count_as_definitions():
    solution = "class Solution:\n    def f(self, x):\n        return x\n"
    assert extract_code(fenced(solution) + fenced(G), "f").code == solution
    assert extract_code(fenced(solution) + fenced(G), "Solution").code == solution
    assert extract_code(fenced(solution) + fenced("f = 1\nprint(Solution)\n"), "f").code == solution


def test_without_an_entry_point_the_last_definition_wins():
    assert extract_code(fenced(F) + fenced(G) + fenced("print(1)\n")).code == G


def test_reasoning_content_comes_first():
    found = extract_code("So:\n" + fenced(F), "f", reasoning_content="Long thoughts.")
    assert found == Extraction(F, "Long thoughts.\n\nSo:", "ok")


@given(
    st.lists(
        st.sampled_from(["```", "```python\n", "\n", "<think>", "</think>", F, "text ", "\ud800", "🤖", "\r", "def "])
    )
)
def test_any_completion_gets_a_status(parts):  # fmt: skip
    found = extract_code("".join(parts), "f")
    assert (found.code is not None) == (found.status == "ok")


def test_every_recorded_reply_gives_its_code(shared_data):
    for name in ("mbpp_traces.jsonl", "teacher_responses.jsonl"):
        rows = [json.loads(line) for line in (shared_data / name).read_text().splitlines()]
        found = [extract_code(row["response"]) for row in rows]
        assert [e.status for e in found] == ["ok"] * len(rows)
        if name == "mbpp_traces.jsonl":
            assert [e.code.strip() for e in found] == [row["solution"].strip() for row in rows]
