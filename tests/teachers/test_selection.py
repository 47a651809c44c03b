"""Which traces become examples."""

from hf_structdistill.problems import AssertTests, Problem
from hf_structdistill.problems.prompting import format_completion, student_prompt
from hf_structdistill.sandbox import Verdict
from hf_structdistill.teachers import Trace, select_examples

PROBLEM = Problem(id="p", prompt="Add one.", tests=AssertTests(("assert f(1) == 2",)), split="train")


def trace(code, status="passed", syntax=None, dataflow=None, reasoning="Think.", **more):
    verdict = Verdict(status) if status else None
    return Trace("p", "t", reasoning, code, verdict=verdict, syntax=syntax, dataflow=dataflow, **more)


def select(*traces, problem=PROBLEM, **options):
    return select_examples(traces, {"p": problem}, **options)


def test_the_structurally_closest_comes_first_and_one_other_stays():
    far = trace("def f(n):\n    return 1 + n\n", syntax=0.2, dataflow=0.4)
    near = trace("def f(n):\n    return n + 1\n", syntax=0.9, dataflow=None)
    middle = trace("def f(n):\n    m = n\n    return m + 1\n", syntax=0.5, dataflow=0.5)
    examples = select(far, near, middle)
    assert [(example.trace, example.role) for example in examples] == [(near, "best"), (middle, "alternative")]
    assert [example.trace for example in select(far, near, middle, alternatives=0)] == [near]


def test_a_trace_that_reasons_comes_before_a_closer_one_that_does_not():
    bare = trace("def f(n):\n    return n + 1\n", syntax=1.0, reasoning="")
    reasoned = trace("def f(n):\n    return 1 + n\n", syntax=0.1)
    assert [example.trace for example in select(bare, reasoned)] == [reasoned, bare]


def test_an_alternative_is_another_program_and_not_another_layout():
    one = trace("def f(n):\n    return n + 1\n", syntax=1.0)
    same = trace("def f(n):  # add\n\n    return n+1\n", syntax=0.9)
    other = trace("def f(n):\n    if n:\n        n = n\n    return n + 1\n", syntax=0.8)
    moved = trace("def f(n):\n    if n:\n        n = n\n        return n + 1\n", syntax=0.7)
    assert [example.trace for example in select(one, same, other)] == [one, other]
    assert [example.trace for example in select(other, moved)] == [other, moved]


def test_the_wrong_pathway_is_the_one_that_parts_latest():
    right = trace("def f(n):\n    return n + 1\n")
    early = trace("def g(n):\n    return n + 1\n", status="error")
    late = trace("def f(n):\n    return n + 2\n", status="failed")
    [example] = select(early, right, late)
    assert example.rejected == format_completion("Think.", "def f(n):\n    return n + 2\n")


def test_unknown_and_missing_verdicts_are_neither_right_nor_wrong():
    right = trace("def f(n):\n    return n + 1\n")
    [example] = select(right, trace("x = 1", status="unknown"), trace("x = 2", status=None), trace(None, "error"))
    assert example.rejected is None
    assert select(trace("x = 1", status="unknown")) == []


def test_nothing_of_a_test_split_becomes_an_example():
    for split in ("test", "Test", "eval", "test-hard", "my_evaluation_2"):
        held_out = Problem(id="p", prompt="x", tests=None, split=split)
        assert select(trace("x = 1"), problem=held_out) == []


def test_a_problem_marked_unsolvable_gives_no_example():
    assert select(trace("x = 1", sampling={"unsolvable": True})) == []


def test_prompt_and_completion():
    [example] = select(trace("def f(n):\n    return n + 1\n", reasoning="1. Add."))
    assert example.prompt == student_prompt(PROBLEM) == "Add one.\n\n"
    assert example.completion == "1. Add.\n\n```python\ndef f(n):\n    return n + 1\n```\n"


def test_a_fence_inside_the_code_does_not_end_it():
    code = 'def f():\n    return """\n```\n"""\n'
    completion = format_completion("", code)
    assert completion.startswith("````python\n") and completion.endswith("\n````\n")
