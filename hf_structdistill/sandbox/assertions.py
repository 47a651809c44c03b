"""Which statements of trusted tests can say no, and whether one of them judged the candidate in this run.

Tests that run to their end have judged nothing where all of their assertions sit in a function that nobody calls.
So the tests are compiled with marks, which tell an `Assertions` what held:

- `assert` (of no constant), when its test is true;
- `if` with a `raise`, `assert False`, `fail()` or `exit()` right below it, when the other branch is taken;
- `except` after a `try` with one of these, when it catches what the candidate raised;
- a library's assertion, such as `numpy.testing.assert_allclose(...)` or `with raises(...)`, when it returns.

It counts only once the candidate was asked for something, or where a plain value of its own is asserted.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection

from .remote import Candidate, CandidateRaised

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from typing import Any

HELD, CAUGHT = "assertion held", "exception caught"  # no identifiers: neither tests nor candidates have such names
MARKS = {HELD, CAUGHT}

# Tests whose first statement is an assertion need no marks: where they end, it held. `ast` would cost 10 ms.
_STRAIGHT = re.compile(r"assert\b")
_STRAIGHT_CHECK = re.compile(r"^def check\((\w+)\):\n(?:[ \t]*(?:#.*)?\n)*[ \t]+assert\b.*\b\1\(", re.MULTILINE)
_SPEAKING = re.compile("assert|raise|fail|exit")


class Assertions:
    """What held in one run of the tests, and what did not and was caught by the tests themselves."""

    def __init__(self, candidate: Candidate):
        self.candidate = candidate
        self.held = self.refused = 0

    def marks(self) -> dict[str, Any]:
        return {HELD: self.hold, CAUGHT: self.catch}

    def hold(self, value: Any, names: Collection[str]) -> bool:
        """The truth of an assertion that mentions `names`."""
        truth = bool(value)
        if self.candidate.calls > 1 or not self.candidate.plain.isdisjoint(names):  # the first was to load it
            self.held += truth
            self.refused += not truth
        return truth

    def catch(self) -> None:
        """The tests' handler of the exception that they expect."""
        self.held += isinstance(sys.exc_info()[1], CandidateRaised)


def is_straight(source: str, check: bool = False) -> bool:
    """Whether an assertion on the candidate holds wherever these tests (or their `check`) end."""
    if check:
        return "yield" not in source and _STRAIGHT_CHECK.search(source) is not None
    return _STRAIGHT.match(source) is not None


def marked(source: str, filename: str) -> ast.Module | str:
    """The tests with marks, to be compiled; as they are where nothing in them can say no.

    Raises SyntaxError or ValueError for what is no code.
    """
    if not _SPEAKING.search(source):
        return source
    import ast

    tree = ast.parse(source, filename)
    own = _own_names(tree)
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            node.test = _held(node.test, node.test)
        elif isinstance(node, ast.If) and any(map(says_no, node.body)):
            node.test = ast.UnaryOp(ast.Not(), _held(ast.UnaryOp(ast.Not(), node.test)))
        elif isinstance(node, ast.If) and _otherwise_no(node.orelse):
            node.test = _held(node.test)
        elif isinstance(node, ast.Try) and any(map(says_no, node.body + node.orelse)):
            for handler in node.handlers:
                handler.body.insert(0, ast.Expr(ast.Call(ast.Name(CAUGHT, ast.Load()), [], [])))
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list):
                _mark_libraries(block, own)
    return ast.fix_missing_locations(tree)


def _held(test: ast.expr, asserted: ast.AST | None = None) -> ast.expr:
    """A call that tells whether `test` is true, with the names in what is asserted."""
    import ast

    nodes = list(ast.walk(asserted)) if asserted else []
    names = sorted({node.id for node in nodes if isinstance(node, ast.Name)} - MARKS)
    mentioned = ast.Tuple([ast.Constant(name) for name in names], ast.Load())
    return ast.copy_location(ast.Call(ast.Name(HELD, ast.Load()), [test, mentioned], []), asserted or test)


def _mark_libraries(block: list[ast.stmt], own: set[str]) -> None:
    """A mark behind each assertion of a library."""
    import ast

    for i in reversed(range(len(block))):
        statement = block[i]
        if isinstance(statement, ast.With):
            calls = [item.context_expr for item in statement.items]
        else:
            calls = [statement.value] if isinstance(statement, ast.Expr) else []
        for call in calls:
            if _is_library(call, own):
                block.insert(i + 1, ast.Expr(_held(ast.Constant(True), call)))


def _otherwise_no(block: list[ast.stmt]) -> bool:
    """Does an `else` say no, after any number of `elif`?"""
    import ast

    if len(block) == 1 and isinstance(block[0], ast.If):
        return _otherwise_no(block[0].orelse)
    return any(map(says_no, block))


def says_no(node: ast.AST) -> bool:
    """Whether this is a statement that fails the tests wherever it is reached."""
    import ast

    if isinstance(node, ast.Assert):
        return isinstance(node.test, ast.Constant) and not node.test.value
    return isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and _callee(node.value) in ("fail", "exit"))


def can_judge(tree: ast.AST) -> bool:
    """Whether anything in these tests, run or not, can say no."""
    import ast

    own = _own_names(tree)
    return any(isinstance(node, ast.Assert) or says_no(node) or _is_library(node, own) for node in ast.walk(tree))


def _own_names(tree: ast.AST) -> set[str]:
    """Functions of the tests: what these assert is marked inside, whatever they are called."""
    import ast

    return {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def _is_library(node: ast.AST, own: set[str]) -> bool:
    name = _callee(node)
    return name not in own and (name.startswith("assert") or name == "raises")


def _callee(node: ast.AST) -> str:
    """The name that is called, without the module or object before it."""
    import ast

    called = node.func if isinstance(node, ast.Call) else None
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
