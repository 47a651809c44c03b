"""Tests that run to their end and assert nothing judge nobody; scripts are run as scripts."""

from __future__ import annotations

import pytest
from jails import UNCOVERED, usable

from hf_structdistill.problems.problem import AssertTests, CheckTests, Problem
from hf_structdistill.sandbox import Verdict, verify

pytestmark = pytest.mark.filterwarnings(UNCOVERED)
RIGHT = "def add(a, b):\n    if a < 0:\n        raise ValueError('no')\n    return a + b\n"
WRONG = "def add(a, b):\n    return 0\n"
CASE = "def test_add():\n    assert add(2, 2) == 4\n\n"
GUARD = "if __name__ == '__main__':\n    "
CHECK = "def check(candidate):\n    assert candidate(2, 2) == 4\n\n"


def judged(tests: list[str | CheckTests], source: str, monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    problems = [
        Problem("p", "", t, "add") if isinstance(t, CheckTests) else Problem("p", "", AssertTests((t,))) for t in tests
    ]
    return verify(problems, [source] * len(tests), backend=usable("bubblewrap", monkeypatch))


NOTHING = [
    CASE,
    CASE + "print('done')",
    CASE + "add(1, 1)",
    CASE + "import math\nx = math.sqrt(4)",
    CASE + "import sys\nassert sys.version_info >= (3, 8)",
    CASE + "add(1, 1)\nassert True, 'prints'",
    CASE + "if add is None:\n    raise ImportError('add')",
    CASE + "try:\n    test_none()\nexcept NameError:\n    pass\nelse:\n    assert False",
    CASE + "def assert_add():\n    print(add(1, 1))\n\nassert_add()",
    CASE + "import sys\nadd(1, 1)\nsys.exit()",
    CASE + "import unittest\nif __name__ == '__main__':\n    unittest.main()",
    "class T:\n    def test(self):\n        assert add(2, 2) == 4\n\nprint(add(1, 1))",
    "for x in []:\n    assert add(x, x) == 2 * x",
    "assert True",
    CHECK,
    CheckTests("def check(candidate):\n    candidate(1, 1)\n"),
    CheckTests("def check(candidate):\n    def inner():\n        assert candidate(1, 1) == 2\n"),
    CheckTests("def check(candidate):\n    assert candidate(1, 1) == 2\n    yield\n"),
]


def test_where_no_assertion_runs_nobody_passes(monkeypatch: pytest.MonkeyPatch):
    forged = "add = 4\nglobals().update({'assertion held': print, 'exception caught': print, '__name__': 'x'})\n"
    for source in (RIGHT, WRONG):
        for tests, verdict in zip(NOTHING, judged(NOTHING, source, monkeypatch), strict=True):
            assert verdict.status == "unknown", tests
            assert verdict.reason == "no assertion of the tests ran"
    for tests, verdict in zip(NOTHING, judged(NOTHING, forged, monkeypatch), strict=True):
        assert verdict.status in ("unknown", "error", "failed"), tests


SOMETHING = [
    CASE + "test_add()",
    CASE + GUARD + "test_add()",
    CASE + GUARD + "test_add()\n    raise SystemExit",
    GUARD + "assert add(2, 2) == 4",
    CHECK + GUARD + "check(add)",
    "x = add(2, 2)\nassert x == 4",
    "if add(2, 2) != 4:\n    raise ValueError('wrong')",
    "for n in (1, 2):\n    if add(n, n) != 2 * n:\n        print(n)\n        raise SystemExit(1)",
    "import sys\nif add(2, 2) != 4:\n    sys.exit('wrong')",
    "if add(1, 1) == 3:\n    pass\nelif add(2, 2) == 4:\n    print('fine')\nelse:\n    assert False, 'wrong'",
    "try:\n    add(-1, 0)\n    assert False\nexcept ValueError:\n    pass",
    "try:\n    add(-1, 0)\nexcept ValueError:\n    pass\nelse:\n    raise AssertionError('no error')",
    "try:\n    assert add(2, 2) == 4\nexcept AssertionError:\n    print('wrong')",
    "import unittest\ncase = unittest.TestCase()\ncase.assertEqual(add(2, 2), 4)",
    "import unittest\nwith unittest.TestCase().assertRaises(ValueError):\n    add(-1, 0)",
    "from numpy.testing import assert_allclose\nassert_allclose(add(2, 2), 4.0)",
    CheckTests(CHECK),
    CheckTests("def check(candidate):\n    for n in range(1, 4):\n        assert candidate(n, n) == 2 * n\n"),
    CheckTests("def check(candidate):\n    # one\n\n    assert True\n    assert candidate(2, 2) == 4\n"),
]


def test_what_judges_passes_the_right_and_fails_the_wrong(monkeypatch: pytest.MonkeyPatch):
    verdicts = zip(judged(SOMETHING, RIGHT, monkeypatch), judged(SOMETHING, WRONG, monkeypatch), strict=True)
    for tests, (right, wrong) in zip(SOMETHING, verdicts, strict=True):
        assert (right.status, wrong.status) == ("passed", "failed"), tests


def test_values_and_built_in_types_are_asserted_without_a_call(monkeypatch: pytest.MonkeyPatch):
    tests = [
        "assert add == 4",
        "print(1)\nassert add == 4",
        CheckTests("def check(c):\n    x = c\n    assert c == 4\n"),
    ]
    assert [v.status for v in judged(tests, "add = 4", monkeypatch)] == ["passed"] * 3
    assert [v.status for v in judged(tests, "add = 5", monkeypatch)] == ["failed"] * 3
    types = ["assert add([1, 1]) == {1}", CheckTests("def check(c):\n    assert c([1, 1]) == {1}\n")]
    assert [v.status for v in judged(types, "add = set", monkeypatch)] == ["passed"] * 2


def test_marks_keep_the_line_that_failed_and_its_message(monkeypatch: pytest.MonkeyPatch):
    check = "def check(candidate):\n    x = candidate(1, 1)\n\n    if x:\n        assert x == 3, 'three'\n"
    verdict = judged([CheckTests(check)], RIGHT, monkeypatch)[0]
    assert verdict.failed_test == "assert x == 3, 'three'" and verdict.reason.startswith("AssertionError: three (")
