"""`verify` on small problems: the three forms of tests, what crosses, whose fault it is, order and limits."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy
import pytest
from jails import UNCOVERED, usable

from hf_structdistill.errors import InputError
from hf_structdistill.problems.problem import AssertTests, CheckTests, InputTests, Problem
from hf_structdistill.sandbox import Verdict, verify
from hf_structdistill.sandbox.verify import MAX_MEMORY, MAX_SECONDS

pytestmark = pytest.mark.filterwarnings(UNCOVERED)


def asserts(*tests: str, setup: str = "", entry_point: str | None = "f", reference: str | None = None) -> Problem:
    return Problem("p", "", AssertTests(tests, setup), entry_point, reference)


def check(code: str, entry_point: str | None = "f", reference: str | None = None) -> Problem:
    return Problem("p", "", CheckTests(code), entry_point, reference)


def inputs(reference: str, *arguments: tuple, atol: float = 0.0, oracle: str | None = None) -> Problem:
    return Problem("p", "", InputTests(arguments, reference, (), atol, oracle), "f")


def one(problem: Problem, candidate: str | None, **limits) -> Verdict:
    return verify([problem], [candidate], workers=1, backend=BACKEND, **limits)[0]


BACKEND = "bubblewrap"


@pytest.fixture(autouse=True)
def _backend(monkeypatch: pytest.MonkeyPatch) -> None:
    usable(BACKEND, monkeypatch)


SQUARE = "def f(x):\n    return x * x\n"


def test_many_at_once_in_their_order(monkeypatch: pytest.MonkeyPatch):
    problems = [asserts(f"assert f({n}) == {n * n}") for n in range(12)]
    sources = [SQUARE if n % 3 else f"def f(x):\n    return {n}\n" for n in range(12)]
    seen: list[int] = []
    verdicts = verify(problems, sources, workers=2, backend=BACKEND, progress=seen.append)
    assert [verdict.passed for verdict in verdicts] == [n % 3 != 0 or n * n == n for n in range(12)]
    assert seen == list(range(1, 13))
    again = verify(problems, sources, workers=1, backend=BACKEND)
    assert [(v.status, v.reason) for v in verdicts] == [(v.status, v.reason) for v in again]


def test_both_backends_say_the_same(backend: str):
    problems = [
        asserts("assert f(3) == 9"),
        check("def check(c):\n    assert c(2) == 4\n"),
        inputs(SQUARE, (3,), (4,)),
    ]
    right = verify(problems, [SQUARE] * 3, backend=backend)
    wrong = verify(problems, ["def f(x):\n    return x\n"] * 3, backend=backend)
    assert [v.status for v in right] == ["passed"] * 3 and [v.status for v in wrong] == ["failed"] * 3
    assert [v.failed_test for v in wrong] == ["assert f(3) == 9", "assert c(2) == 4", "f(3) == 9"]
    assert all(v.cpu_seconds > 0 for v in right)


def test_the_first_failing_test_is_named():
    verdict = one(asserts("assert f(1) == 1", "assert f(2) == 5"), SQUARE)
    assert (verdict.status, verdict.failed_test) == ("failed", "assert f(2) == 5")
    assert verdict.reason == "AssertionError (the last answer was 4)"


@pytest.mark.parametrize(
    ("source", "status", "reason"),
    [
        ("def f(x):\n    return 1 / 0\n", "error", "ZeroDivisionError: division by zero"),
        ("def g(x):\n    return x\n", "error", "NameError: name 'f' is not defined"),
        ("def f(x)\n", "error", "SyntaxError: expected ':' (<solution>, line 1)"),
        ("import no_such_module\n", "error", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f():\n    return 1\n", "error", "TypeError: f() takes 0 positional arguments but 1 was given"),
        (
            "def f(x):\n    return None\n",
            "failed",
            "TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'",
        ),
    ],
)
def test_reasons_are_what_a_person_expects(source: str, status: str, reason: str):
    verdict = one(asserts("assert f(1) + 1 == 2"), source)
    assert (verdict.status, verdict.reason) == (status, reason)


def test_arguments_that_the_candidate_changes_are_seen_changed():
    setup = "table = {'rows': [[3, 1], [2]]}\nrows = table['rows']"
    source = (
        "def f(t):\n    t['rows'][0].sort()\n    t['rows'].append(t['rows'][0])\n    t['n'] = 3\n"
        "    return t['rows']\n"
    )
    tests = (
        "assert f(table) is rows",
        "assert table == {'rows': [[1, 3], [2], [1, 3]], 'n': 3}",
        "assert table['rows'] is rows and rows[2] is rows[0]",
    )
    assert one(asserts(*tests, setup=setup), source).passed
    assert one(asserts("x = [2, 1]\nf(x)\nassert x == [2, 1]"), "def f(x):\n    x.sort()\n").status == "failed"


def test_classes_that_the_tests_construct():
    source = """
class Pair:
    count = 0
    def __init__(self, a, b=2):
        self.a, self.b = a, b
        Pair.count += 1
    def total(self, more=0):
        return self.a + self.b + more
    def __len__(self): return 7
    def __getitem__(self, i): return (self.a, self.b)[i]
    def __iter__(self): return iter((self.a, self.b))
    def __add__(self, other): return Pair(self.a + other.a, self.b + other.b)
    def __sub__(self, other): return 0
    def __bool__(self): return False
    def __eq__(self, other): return True
    def __hash__(self): return 1
def f(pairs):
    return sum(p.total() for p in pairs)
"""
    tests = (
        "assert f([Pair(1), Pair(3, b=4)]) == 10",
        "p = Pair(5)\nassert p.total(more=1) == 8 and p.a == 5",
        "p.left = Pair(1)\np.left.left = None\nassert p.left.left is None and p.left.b == 2",
        "assert len(p) == 7 and p[0] == 5 and list(p) == [5, 2] and 5 in p and 9 not in p and not p",
        "assert (p + Pair(1)).a == 6",
        "assert p == p and p != Pair(5) and p != 5",
    )
    assert one(asserts(*tests, reference=source), source).passed
    refused = one(asserts("assert Pair(1) - Pair(2) == 0", reference=source), source)
    assert refused.reason == "TypeError: sub of <Pair object> gave no object but 0"
    for test in tests[2:]:
        broken = test.replace("== 2", "== 3").replace("== 7", "== 8").replace("== 6", "== 7").replace("!= 5", "== 5")
        assert not one(asserts(tests[1], broken, reference=source), source).passed


def test_plain_names_of_objects_need_a_reference_that_has_them():
    stack = (
        "class f:\n    def __init__(self):\n        self.items = []\n    def append(self, x):\n"
        "        self.items.append(x)\n"
    )
    test = "s = f()\ns.append(3)\nassert s.items == [3] and s and str(s) == '<f object>'"
    assert one(asserts(test, reference=stack), stack).passed
    inherits = "class Base:\n    items = 0\n    def append(self, x): pass\nclass f(Base): pass\n"
    assert one(asserts(test, reference=inherits), stack).passed
    for reference in (None, "def f():\n    return []\n", "1 / 0", "class f(list): pass\n"):
        verdict = one(asserts(test, reference=reference), stack)
        assert verdict.reason == "AttributeError: append of <f object>: no class of the reference has it"


def test_generators_are_drained_and_are_no_lists():
    source = "def f(n):\n    for i in range(n):\n        yield i\n"
    assert one(asserts("assert list(f(3)) == [0, 1, 2]", "assert next(f(2)) == 0"), source).passed
    assert not one(asserts("assert f(3) == [0, 1, 2]"), source).passed


def test_an_endless_generator_of_growing_items():
    source = "def f():\n    a, b = 0, 1\n    while True:\n        yield a\n        a, b = b, a + b\n"
    test = "g = f()\nassert [next(g) for _ in range(5)] == [0, 1, 1, 2, 3]"
    assert one(asserts(test, reference=source), source, cpu_seconds=1).passed
    assert one(asserts(test.replace("3]", "4]")), source).status == "failed"
    powers = "def f():\n    n = 3\n    while True:\n        yield n\n        n *= n\n"
    assert one(asserts("assert next(f()) == 3", "assert sum(1 for _ in zip(range(15), f())) == 15"), powers).passed


def test_a_function_that_is_a_built_in_type():
    assert one(asserts("assert f('3') == 3"), "f = int\n").passed
    assert one(inputs("def f(x):\n    return set(x)\n", ([1, 1],), ([],)), "f = set\n").passed


def test_arguments_of_types_that_only_the_codec_knows():
    types = "def f(x, y=0):\n    return type(x).__name__, len(x), y\n"
    tests = ("assert f(bytearray(2)) == ('bytearray', 2, 0)", "assert f(range(3), y=[1]) == ('range', 3, [1])")
    assert one(asserts(*tests, "assert f(b'ab', y=1j) == ('bytes', 2, 1j)"), types).passed
    grows = "def f(x, y):\n    x.append(0)\n    y['k'] = x\n"
    setup = "from collections import deque\nq, d, a = deque([1]), {}, bytearray(b'a')"
    seen = ("f(q, d)", "assert list(q) == [1, 0] and d['k'] is q", "f(a, y=d)", "assert a == b'a\\0' and d['k'] is a")
    assert one(asserts(*seen, setup=setup), grows).passed
    assert one(asserts(*seen[:1], "assert list(q) == [1]", setup=setup), grows).status == "failed"


def test_arguments_of_any_name():
    source = "def f(**names):\n    return sum(names.values())\n"
    assert one(asserts("assert f(self=1, target=2, args=3, operation=4) == 10"), source).passed


def test_long_integers_cross_both_ways():
    assert one(
        asserts("n = 7 ** 9000\nassert f(n) == n * n and f([n]) == [n, n]"),
        "def f(x):\n    return x * (x if type(x) is int else 2)\n",
    ).passed


@pytest.mark.parametrize("digits", [0, 640, 100_000])
def test_a_candidate_that_asks_python_for_more_digits(digits: int):
    power = "import sys\ndef f(n):\n    return 10**n\n"
    asks = f"{power}sys.set_int_max_str_digits({digits})\n"
    tests = [f"assert f({n}) == 10**{n}" for n in (3, 1000, 5000)]
    kept = asks + f"def f(n):\n    assert sys.get_int_max_str_digits() == {digits}\n    return 10**n\n"
    assert one(asserts(*tests), kept).passed
    assert one(inputs(power, (3,), (5000,)), asks).passed


def test_exceptions_arrive_as_their_built_in_class():
    test = "try:\n    f(-1)\nexcept ValueError as e:\n    assert str(e) == 'no'\nelse:\n    assert False"
    assert one(asserts(test), "def f(x):\n    raise ValueError('no')\n").passed
    assert one(asserts(test), "class Mine(ValueError): pass\ndef f(x):\n    raise Mine('no')\n").passed
    assert one(asserts(test), "def f(x):\n    raise KeyError('no')\n").status == "error"
    assert one(asserts(test), "def f(x):\n    return 1\n").status == "failed"
    unicode = "try:\n    f(1)\nexcept {} as e:\n    assert 'codec' in str(e)\nelse:\n    assert False"
    for kind in ("UnicodeDecodeError", "UnicodeError", "ValueError"):
        assert one(asserts(unicode.format(kind)), "def f(x):\n    return b'\\xff'.decode()\n").passed
    assert one(asserts(unicode.format("UnicodeEncodeError")), "def f(x):\n    '\\udfff'.encode()\n").passed
    verdict = one(asserts("f(1)"), "def f(x):\n    '\\udfff'.encode()\n")
    assert verdict.status == "error" and verdict.reason.startswith("UnicodeEncodeError: 'utf-8' codec")


@pytest.mark.parametrize(
    ("raises", "kind", "sees"),
    [
        ("{}['k']", "KeyError", "str(e) == \"'k'\" and e.args == ('k',)"),
        ("{}[3]", "KeyError", "str(e) == '3' and e.args[0] == 3"),
        ("{}[3, 'k']", "LookupError", "str(e) == \"(3, 'k')\""),
        ("raise ValueError", "ValueError", "str(e) == '' and e.args == ()"),
        ("raise ValueError('no', 2.5)", "ValueError", "e.args == ('no', 2.5) and str(e) == \"('no', 2.5)\""),
        ("raise ValueError('x' * 9000)", "ValueError", "str(e).startswith('xxx')"),
        ("raise Mine(4)", "ValueError", "str(e) == 'mine' and e.args == (4,)"),
        ("open('none')", "FileNotFoundError", "e.errno == 2 and \"directory: 'none'\" in str(e)"),
        ("raise Odd('no', 3)", "SyntaxError", "str(e) == 'odd' and e.args == ('odd',)"),
        ("'\\udfff'.encode()", "UnicodeEncodeError", "'utf-8' in str(e)"),
        ("compile('(', '', 'exec')", "SyntaxError", "'was never closed' in str(e)"),
        pytest.param(
            *("asyncio.run(group())", "Exception", "str(e).startswith('unhandled errors')"),
            marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="no groups of exceptions"),
        ),
    ],
)
def test_what_an_exception_says_arrives(raises: str, kind: str, sees: str):
    source = (
        "import asyncio\nclass Mine(ValueError):\n    def __str__(self): return 'mine'\n"
        "class Odd(SyntaxError):\n    def __init__(self, *a): pass\n    def __str__(self): return 'odd'\n"
        "async def group():\n    async with asyncio.TaskGroup() as g: g.create_task(fails())\n"
        f"async def fails(): raise OSError\ndef f():\n    {raises}\n"
    )
    test = f"try:\n    f()\n    assert False\nexcept {kind} as e:\n    assert {sees}"
    verdict = one(asserts(test), source)
    assert verdict.passed, verdict
    assert one(asserts("assert f()"), source).status == "error"


def test_the_candidate_does_not_replace_the_names_of_the_tests():
    liar = "class L:\n    def __eq__(s, o): return True\ndef lie(*a, **k): return L()\n"
    sort = asserts("assert sorted(f([2, 1])) == [1, 2]")
    assert one(sort, liar + "sorted = len = lie\ndef f(x): return [5]\n").status == "failed"
    assert one(sort, "def sorted(x): return [1, 2]\ndef f(x): return [5]\n").status == "failed"
    close = asserts("assert math.isclose(f(2), 4)", reference="import math\n" + SQUARE)
    assert one(close, "def f(x): return x + 2\n").passed
    assert one(close, liar + "class math:\n    isclose = staticmethod(lie)\ndef f(x): return 0\n").status == "failed"
    bare = asserts("assert math.isclose(f(2), 4)")
    assert (
        one(bare, liar + "class math:\n    isclose = staticmethod(lambda *a: True)\ndef f(x): return 0\n").status
        == "failed"
    )
    named = asserts("assert isclose(f(2), 4)", reference="from math import isclose\n" + SQUARE)
    assert one(named, "def isclose(*a): return True\ndef f(x): return 0\n").status == "failed"


def test_a_built_in_name_is_the_candidates_where_the_problem_says_so():
    source = "def sum(a, b):\n    return a * b\n"
    assert one(asserts("assert sum(2, 3) == 6", entry_point="sum"), source).passed
    assert one(asserts("assert sum(2, 3) == 6", entry_point=None, reference=source), source).passed


def test_check_uses_the_references_helpers_not_the_candidates():
    reference = "def helper(x):\n    return x + 1\ndef f(x):\n    return x - 1\n"
    problem = check("def check(candidate):\n    assert helper(candidate(3)) == 3\n", reference=reference)
    assert one(problem, reference).passed
    assert one(problem, "def helper(x):\n    return 3\ndef f(x):\n    return 0\n").status == "failed"
    recursive = check(
        "def check(candidate):\n    assert candidate(2) == f(2) == 4\n", reference="def f(x): return 4\n"
    )
    assert one(recursive, SQUARE).passed and one(recursive, "def f(x): return 5\n").status == "failed"


def test_check_names_the_line_that_failed():
    code = (
        "def check(candidate):\n    for n in range(3):\n        assert candidate(n) == n * n\n"
        "    assert candidate(4) == 0, 'four'\n"
    )
    verdict = one(check(code), SQUARE)
    assert verdict.failed_test == "assert candidate(4) == 0, 'four'"
    assert verdict.reason == "AssertionError: four (the last answer was 16)"


def test_inputs_against_a_reference():
    add = "def f(a, b):\n    return a + b\n"
    assert one(inputs(add, (1, 2), ([1], [2]), ("a", "b")), add).passed
    verdict = one(inputs(add, (1, 2), ([1], [2])), "def f(a, b):\n    return 3\n")
    assert (verdict.status, verdict.failed_test, verdict.reason) == (
        "failed",
        "f([1], [2]) == [1, 2]",
        "AssertionError: answered 3",
    )
    third = inputs("def f(x):\n    return x / 3\n", (1,))
    assert one(third, "def f(x):\n    return x * 0.3333333\n").passed  # within 1e-6
    assert one(third, "def f(x):\n    return x * 0.3333\n").status == "failed"


@pytest.mark.parametrize(
    ("calls", "asked", "answered"), [(3000, 1, 1), (700, 1, 1000), (400, 1000, 4000), (10, 10**6, 10**6)]
)
def test_neither_side_waits_for_the_other(calls: int, asked: int, answered: int):
    """More calls than both sockets hold, whichever way fills first: a small message takes a kilobyte of them."""
    source = f"def f(n, text):\n    return str(n) * {answered}\n"
    problem = inputs(source, *((n % 10, "x" * asked) for n in range(calls)))
    assert one(problem, source, wall_seconds=4).passed
    assert one(problem, source.replace("str(n)", "str(n % 9)"), wall_seconds=4).status == "failed"


@pytest.mark.parametrize(
    "answer",
    [
        "[()] * (n * 600000)",
        "'x' * (n << 25)",
        "1 << (n << 25)",
        "functools.reduce(lambda inner, _: [inner], range(n * 200), [])",
    ],
)
def test_an_input_whose_answer_cannot_cross_is_left_out(answer: str):
    reference = f"import functools\ndef f(n):\n    return {answer}\n"
    problem = inputs(reference, (0,), (1,))
    assert one(problem, reference).passed
    assert one(problem, "def f(n):\n    return n\n").status == "failed"
    assert "no input is left" in one(inputs(reference, (1,)), reference).reason


def test_brackets_in_a_text_are_no_containers():
    assert one(asserts(r"assert f(600000) == '[\"\\' * 600000"), r"def f(n): return '[\"\\' * n").passed


def test_whatever_runs_first_verdicts_come_in_the_order_of_the_candidates():
    problems = [inputs(SQUARE, (n,), ("a",) if n == 3 else (1,)) for n in (5, 10**9, 3, -(10**6))]
    verdicts = verify(problems, [SQUARE, "def f(x):\n    return 0\n", SQUARE, SQUARE], workers=2, backend=BACKEND)
    assert [v.status for v in verdicts] == ["passed", "failed", "unknown", "passed"]
    assert verdicts[1].failed_test == "f(1000000000) == 1000000000000000000"


def test_a_candidate_that_changes_its_input_and_returns_it():
    problem = inputs("def f(x):\n    return sorted(x)\n", ([3, 1, 2],), ([2, 1],))
    assert one(problem, "def f(x):\n    x.sort()\n    return x\n").passed
    assert one(problem, "def f(x):\n    return x\n").status == "failed"


@pytest.mark.parametrize(
    ("oracle", "reference", "right", "wrong"),
    [
        ("set_equal", "return [1, 2, 2]", "return (2, 1)", "return (2, 1, 3)"),
        ("not_none", "return re.match('a', 'ab')", "return object()", "return None"),
        ("not_none", "return None", "return False", "return 1"),
        ("always_true", "return 1", "return 2", "raise ValueError"),
        ("zero_or_equal", "return 5", "return 0", "return 1"),
    ],
)
def test_special_oracles(oracle: str, reference: str, right: str, wrong: str):
    problem = inputs(f"import re\ndef f(x):\n    {reference}\n", (3,), oracle=oracle)
    assert one(problem, f"def f(x):\n    {right}\n").passed
    assert not one(problem, f"def f(x):\n    {wrong}\n").passed


def test_special_oracles_of_mbpp_558_and_581():
    digits = Problem("p", "", InputTests(((25, 125),), "def f(a, b):\n    return 9\n", oracle="digit_distance"), "f")
    assert (
        one(digits, "def f(a, b):\n    return 1\n").passed and not one(digits, "def f(a, b):\n    return 2\n").passed
    )
    cone = Problem("p", "", InputTests(((3, 4),), "def f(a, b):\n    return 33\n", oracle="pyramid_surface"), "f")
    assert one(cone, "def f(a, b):\n    return 35\n").passed and not one(cone, "def f(a, b):\n    return 34\n").passed


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (Problem("p", "", None), "the problem has no tests"),
        (asserts("assert f(1) =="), "the tests do not compile"),
        (asserts("assert f(lambda: 1)"), "an argument of type function, which cannot cross"),
        (asserts("class A: pass\nassert f([A])"), "an argument of type type, which cannot cross"),
        (check("def check(candidate):\n    pass\n", entry_point=None), "needs the problem's entry_point"),
        (check("x = 1"), "define no check(candidate)"),
        (inputs("def f(x):\n    return 1 / 0\n", (1,)), "the reference raised ZeroDivisionError"),
        (inputs(SQUARE, (1,), oracle="no such"), "no oracle is called 'no such'"),
        (asserts("import no_such_package"), "need what is not installed: No module named 'no_such_package'"),
        (inputs(SQUARE, (object(),)), "no plain value"),
        (asserts(), "the tests hold no statement"),
        (asserts("# assert f(1) == 1", "", setup="x = 1"), "the tests hold no statement"),
        (inputs(SQUARE), "no input is left to judge by"),
        (inputs("def f(n):\n    return [0] * n\n", (2_000_000,)), "no input is left to judge by"),
    ],
)
def test_what_cannot_be_judged_is_unknown_and_not_wrong(problem: Problem, reason: str):
    verdict = one(problem, SQUARE)
    assert verdict.status == "unknown" and reason in verdict.reason
    assert verdict.failed_test is None


DEEP = "def f(*a):\n    x = []\n    for _ in range(95): x = [x]\n    return x\n"
ENDLESS = "import itertools\ndef f(*a): return itertools.count()\n"
RAISES = "def f(*a):\n    raise ValueError('no')\n"


@pytest.mark.parametrize(
    ("test", "source"),
    [
        ("assert f(f(3)) == 81", ENDLESS),
        ("assert f([f(3)]) == 81", ENDLESS),
        ("x = []\nf(x)\nassert f(x) == 2", "import itertools\ndef f(x):\n    x.append(itertools.count())\n"),
        ("assert f(x := bytearray(), [[[[[[[f()]]]]]]]) == 2", DEEP),
        ("assert f(type(f(3))) == 81", "def f(x): return f\n"),
        ("assert f(type(f(3))) == 81", "def f(x): return range(3)\n"),
        ("assert f(iter(f([3]))) == 81", "import collections\ndef f(x): return collections.deque([f])\n"),
        ("try:\n    f(1)\nexcept ValueError as e:\n    assert f(e) == 2", RAISES),
        ("try:\n    f(1)\nexcept ValueError as e:\n    assert f(type(e)) == 2", RAISES),
    ],
)
def test_a_candidate_cannot_choose_to_be_unknown(test: str, source: str):
    assert one(asserts(test), source).status in ("error", "failed")


def test_no_code_is_an_error_and_runs_nothing():
    verdicts = verify([asserts("assert f(1) == 1")] * 2, [None, "x" * (1 << 21)], backend=BACKEND)
    assert verdicts[0] == Verdict("error", reason="no code")
    assert verdicts[1].status == "error" and "characters" in verdicts[1].reason
    assert verify([], [], backend=BACKEND) == []


def test_programs_of_a_numpy_array():
    sources = numpy.array([SQUARE, SQUARE.replace("*", "+"), SQUARE])
    verdicts = verify([asserts("assert f(3) == 9")] * 3, sources, backend=BACKEND)
    assert [v.status for v in verdicts] == ["passed", "failed", "passed"]


def test_a_slow_reference_gives_the_candidate_more_time():
    slow = "def f(x):\n    return sum(i & x for i in range(1500000))\n"
    assert one(inputs(slow, (1,)), slow + "# its own\n", cpu_seconds=0.02).passed
    assert one(asserts("assert f(1)"), slow, cpu_seconds=0.02).status == "timeout"


def test_cpu_time_decides_not_sleep():
    nap = "import time\ndef f(x):\n    time.sleep(0.4)\n    return x * x\n"
    assert one(asserts("assert f(3) == 9"), nap, cpu_seconds=0.2).passed


def test_as_many_threads_as_pythons_own_pools_have():
    """`ThreadPoolExecutor()` has cores + 4, at most 32: the verdict must not depend on the machine's cores."""
    source = "import time\nfrom concurrent.futures import ThreadPoolExecutor\ndef f(n):\n"
    source += "    with ThreadPoolExecutor(32) as pool:\n"
    source += "        return sum(pool.map(lambda i: time.sleep(0.05) or i, range(n)))\n"
    assert one(asserts("assert f(32) == 496"), source).passed


def test_a_timeout_is_run_again_alone_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without bubblewrap, where a candidate can tell its first run from its second."""
    usable("rlimits", monkeypatch)
    ran = str(tmp_path / "ran")
    hangs_once = f"import os\nif not os.path.exists({ran!r}):\n    open({ran!r}, 'w')\n    while True: pass\n"
    sources = [hangs_once + SQUARE, "while True: pass\n"]
    seen: list[int] = []
    limits = {"cpu_seconds": 0.2, "backend": "rlimits"}
    verdicts = verify([asserts("assert f(3) == 9")] * 2, sources, progress=seen.append, **limits)
    assert [v.status for v in verdicts] == ["passed", "timeout"] and seen == [1, 2]


def test_equal_programs_get_equal_verdicts_and_candidates_see_no_chance():
    source = "import random\ndef f(x):\n    return random.random(), list({'a', 'b', 'c', 'd'})\n"
    test = "assert f(0) == 1"
    first = one(asserts(test), source)
    assert {first.reason} == {v.reason for v in verify([asserts(test)] * 3, [source] * 3, backend=BACKEND)}
    assert first.reason == one(asserts(test), source + "\n").reason


def test_tests_may_use_installed_packages_and_candidates_may_not():
    code = "import numpy\ndef check(candidate):\n    assert numpy.allclose(candidate(2.0), [4.0000000001])\n"
    assert one(check(code), SQUARE).passed
    assert one(check(code), "import numpy\n" + SQUARE).reason == "ModuleNotFoundError: No module named 'numpy'"


def test_many_quick_answers_are_all_heard():
    tasks = [asserts(f"assert f({n}) == {n * n}") for n in range(300)]
    assert all(v.passed for v in verify(tasks, [SQUARE] * 300, workers=2, backend=BACKEND))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidates": []}, "1 problems and 0 candidates"),
        ({"candidates": [float("nan")]}, r"None where there is no code, found float \(nan\) at candidates\[0\]"),
        ({"candidates": [b"f = int"]}, "found bytes"),
        ({"candidates": [["f = int"]]}, "found list"),
        ({"cpu_seconds": 0}, "cpu_seconds"),
        ({"wall_seconds": -1}, "wall_seconds"),
        ({"cpu_seconds": float("nan")}, "cpu_seconds"),
        ({"cpu_seconds": float("inf")}, "cpu_seconds of at least 0.01 and at most 1000000, found inf"),
        ({"wall_seconds": float("inf")}, "wall_seconds"),
        ({"memory_mb": float("inf")}, "memory_mb"),
        ({"memory_mb": 10**14}, "memory_mb"),
        ({"memory_mb": 1}, "memory_mb"),
        ({"workers": 0}, "workers"),
        ({"backend": "docker"}, "docker"),
    ],
)
def test_wrong_arguments_say_what_was_expected(arguments: dict, message: str):
    arguments = {"problems": [asserts("assert f(1) == 1")], "candidates": [SQUARE], **arguments}
    with pytest.raises(InputError, match=message):
        verify(**arguments)


def test_the_largest_limits_are_no_limit_to_a_right_program():
    largest = {"cpu_seconds": MAX_SECONDS, "wall_seconds": MAX_SECONDS, "memory_mb": MAX_MEMORY}
    assert one(asserts("assert f(3) == 9"), SQUARE, **largest).passed
    assert one(inputs(SQUARE, (3,)), SQUARE, **largest).passed
