"""Rows to `Problem`s: MBPP, MBPP+, HumanEval, the built-in seed problems, files of the user."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import InputError
from .evalplus import oracle_of, restore_inputs
from .problem import AssertTests, CheckTests, InputTests, Problem, Tests
from .rows import Row, RowSet, optional, require
from .splits import split_name

# Austin et al. 2021, arXiv 2108.07732: https://github.com/google-research/google-research/tree/master/mbpp
MBPP_SPLITS = {"prompt": range(1, 11), "test": range(11, 511), "validation": range(511, 601), "train": range(601, 975)}


def mbpp_split(task: int) -> str:
    """The official split of an MBPP task id (also of the MBPP+ task of that id)."""
    for name, ids in MBPP_SPLITS.items():
        if task in ids:
            return name
    raise InputError(f"Expected an MBPP task_id from 1 to 974, found {task}; is this file MBPP?")


def unix_lines(code: str) -> str:
    """MBPP's code has Windows line ends and spaces before them; a student should not learn to write either."""
    code = code.replace("\r\n", "\n").replace("\r", "\n")
    if '"""' in code or "'''" in code:
        return code  # the spaces may belong to a string
    return "\n".join(line.rstrip(" \t") for line in code.split("\n"))


def with_tests(text: str, asserts: Sequence[str]) -> str:
    """The task and the tests it shows, in the words of MBPP's own prompts."""
    if not asserts:
        return text.strip()
    return f"{text.strip()}\n\nYour code should pass these tests:\n\n" + "\n".join(asserts)


def called_function(code: str, asserts: Sequence[str]) -> str | None:
    """The one function that `code` defines and every test calls, outermost first; None where there is no such."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in MBPP's patterns
            functions = {node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}
            found = [list(_calls(ast.parse(test), functions)) for test in asserts]
    except (SyntaxError, ValueError):
        return None
    common = [name for name in (found[0] if found else []) if all(name in names for names in found)]
    return common[0] if common else None


def _calls(tree: ast.AST, names: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):  # breadth first: the outermost call comes first
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node.func.id


def mbpp(source: RowSet) -> Iterator[Problem]:
    """MBPP: `text`, `code`, `task_id`, `test_list`, `test_setup_code`, `challenge_test_list`."""
    for index, row in enumerate(source.rows):
        where = source.where(index)
        task = require(row, "task_id", int, where)
        asserts = _strings(row, "test_list", where)
        code = unix_lines(require(row, "code", str, where))
        setup = unix_lines(optional(row, "test_setup_code", str, where) or "")
        yield Problem(
            id=f"mbpp/{task}",
            prompt=with_tests(require(row, "text", str, where), asserts),
            tests=AssertTests(asserts, setup),
            entry_point=called_function(code, asserts),
            reference=code,
            source="mbpp",
            split=mbpp_split(task),
            metadata={"challenge_tests": list(row.get("challenge_test_list") or ())},
        )


def mbpp_plus(source: RowSet) -> Iterator[Problem]:
    """MBPP+ as EvalPlus releases it (inputs and a canonical solution) or as its Hub data set has it (a program)."""
    for index, row in enumerate(source.rows):
        where = source.where(index)
        label = require(row, "task_id", (str, int), where)
        try:
            task = int(str(label).rpartition("/")[2])
        except ValueError:
            raise InputError(f"Expected a task_id such as 'Mbpp/2' in {where}, found '{label}'; mend it.") from None
        build = _plus_program if "test" in row else _plus_inputs
        yield build(row, task, where)


def _plus_inputs(row: Row, task: int, where: str) -> Problem:
    entry_point = require(row, "entry_point", str, where)
    reference = require(row, "canonical_solution", str, where).strip("\n") + "\n"
    asserts = [line for line in (row.get("assertion") or "").split("\n") if line.strip()]
    tests = InputTests(
        base_inputs=restore_inputs(task, _argument_lists(row, "base_input", where)),
        plus_inputs=restore_inputs(task, _argument_lists(row, "plus_input", where)),
        reference=reference,
        atol=float(row.get("atol") or 0.0),
        oracle=oracle_of(task, entry_point),
    )
    text = require(row, "prompt", str, where).strip().strip("'\"").strip()
    return Problem(
        id=f"mbpp_plus/{task}",
        prompt=with_tests(text, asserts),
        tests=tests,
        entry_point=entry_point,
        reference=reference,
        source="mbpp_plus",
        split=mbpp_split(task),
        metadata={"contract": row.get("contract") or ""},
    )


def _plus_program(row: Row, task: int, where: str) -> Problem:
    asserts = _strings(row, "test_list", where)
    code = unix_lines(require(row, "code", str, where))
    entry_point = called_function(code, asserts)
    program = unix_lines(require(row, "test", str, where))
    # The program calls the solution by its name; check() hands the candidate in under that name.
    check = f"_PROGRAM = {program!r}\n\n\ndef check(candidate):\n    exec(_PROGRAM, {{{entry_point!r}: candidate}})\n"
    return Problem(
        id=f"mbpp_plus/{task}",
        prompt=with_tests(require(row, "prompt", str, where), asserts),
        tests=CheckTests(check) if entry_point else AssertTests((program,)),
        entry_point=entry_point,
        reference=code,
        source="mbpp_plus",
        split=mbpp_split(task),
    )


def _argument_lists(row: Row, field: str, where: str) -> Sequence[Sequence[Any]]:
    value = require(row, field, (list, str, dict), where)
    if isinstance(value, dict) and not value:
        return []  # how the first release writes "no inputs"
    if not isinstance(value, str):
        return require(row, field, list, where)
    try:
        return json.loads(value)  # kept as text where a viewer could not show it
    except json.JSONDecodeError as error:
        raise InputError(f"Expected JSON in field '{field}' of {where}: {error.msg}; mend it.") from None


def humaneval(source: RowSet) -> Iterator[Problem]:
    """HumanEval: `prompt` is the head of the function, `canonical_solution` its body. All of it is a test split."""
    for index, row in enumerate(source.rows):
        where = source.where(index)
        prompt = require(row, "prompt", str, where)
        yield Problem(
            id="humaneval/" + require(row, "task_id", str, where).rpartition("/")[2],
            prompt=prompt,
            tests=CheckTests(require(row, "test", str, where)),
            entry_point=require(row, "entry_point", str, where),
            reference=prompt + require(row, "canonical_solution", str, where),
            source="humaneval",
            split="test",
        )


def rows_of_user(source: RowSet, name: str = "jsonl") -> Iterator[Problem]:
    """A file of the user, and the built-in seed problems, which have the same form.

    Fields: `prompt` (required); `tests`, a list of asserts or a program that defines `check(candidate)`; `id`,
    `entry_point`, `solution` or `reference`, `split` (of "val", "dev", "eval", … the usual name), `setup`. Everything
    else goes into `metadata`.
    """
    known = {"id", "prompt", "tests", "entry_point", "solution", "reference", "split", "setup", "_split"}
    seen: dict[str, str] = {}
    for index, row in enumerate(source.rows):
        where = source.where(index)
        label = f"{name}/{index}" if row.get("id") is None else str(row["id"])  # a table has the column in every row
        if label in seen:
            raise InputError(f"Expected unique ids, found '{label}' in {where} and in {seen[label]}; rename one.")
        seen[label] = where
        reference = _unix(optional(row, "solution", str, where) or optional(row, "reference", str, where))
        tests = _user_tests(row, where)
        entry_point = optional(row, "entry_point", str, where)
        if entry_point is None and reference and isinstance(tests, AssertTests):
            entry_point = called_function(reference, tests.asserts)
        yield Problem(
            id=label,
            prompt=_unix(require(row, "prompt", str, where)),
            tests=tests,
            entry_point=entry_point,
            reference=reference,
            source=name,
            split=split_name(str(row.get("split") or row.get("_split") or "")),
            metadata={key: value for key, value in row.items() if key not in known},
        )


def _unix(text: Any) -> Any:
    """A text of the user, or None, without Windows' line ends: a student would learn to write them."""
    return text and text.replace("\r\n", "\n")


def _user_tests(row: Row, where: str) -> Tests | None:
    tests = optional(row, "tests", (list, str), where)
    if tests is None:
        return None
    if isinstance(tests, str):
        if "def check(" not in tests:
            raise InputError(
                f"Expected field 'tests' in {where} to be a list of asserts or a program that defines "
                "check(candidate), found text without it; put each assert in a list."
            )
        return CheckTests(_unix(tests))
    return AssertTests(_strings(row, "tests", where), _unix(optional(row, "setup", str, where) or ""))


def _strings(row: Row, field: str, where: str) -> tuple[str, ...]:
    values = require(row, field, list, where)
    if not values or not all(isinstance(value, str) for value in values):
        raise InputError(f"Expected field '{field}' in {where} to be a non-empty list of strings; mend it.")
    return tuple(unix_lines(value) for value in values)
