"""Runs our own generated programs, and their mutants, to find what each call gives."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

LINE_BUDGET = 5_000

# what a program that reads a variable of another type may raise
_MUTANT_ERRORS = (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError, RecursionError)


class _OutOfLinesError(Exception):
    """A mutant ran on, e.g. one that appends to the list it loops over."""


def run(code: str, function: str, calls: Sequence[tuple[Any, ...]]) -> list[str]:
    """`repr` of each call's result, or the name of the exception it raised.

    For code that this package generated: a call is stopped after 5,000 lines, and that is all the protection there
    is. What a model wrote runs in the sandbox.
    """
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    return [_call(namespace[function], arguments) for arguments in calls]


def _call(function: Any, arguments: tuple[Any, ...]) -> str:
    left = LINE_BUDGET

    def count(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise _OutOfLinesError
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        return repr(function(*arguments))
    except (_OutOfLinesError, *_MUTANT_ERRORS) as error:
        return type(error).__name__
    finally:
        sys.settrace(before)
