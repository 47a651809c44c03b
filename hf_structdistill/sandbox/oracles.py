"""When an answer counts as the expected one: EvalPlus' rules, written for plain values and without numpy.

Source: EvalPlus (Liu et al. 2023, arXiv 2305.01210), package evalplus 0.3: equality first; where the expected value
is a float or a flat sequence of floats, or the task has a tolerance, |answer - expected| <= atol + rtol * |expected|
element by element, between values of the same type and length.
"""

from __future__ import annotations

import math
from collections.abc import Callable

TYPE_CHECKING = False  # `typing` itself would cost the start of every worker
if TYPE_CHECKING:
    from typing import Any

RTOL = 1e-7
FLOAT_ATOL = 1e-6  # for floats in tasks that name no tolerance


def agree(answer: Any, expected: Any, arguments: tuple[Any, ...], atol: float, oracle: str | None) -> bool:
    """Does the answer count as right? Unknown oracles raise KeyError; what a comparison raises counts as no."""
    compare = ORACLES[oracle] if oracle else None
    try:
        if compare is not None and oracle in DECISIVE:
            return compare(answer, expected, arguments, atol)
        if bool(answer == expected) or (compare is not None and compare(answer, expected, arguments, atol)):
            return True
        tolerance = atol or (FLOAT_ATOL if holds_floats(expected) else 0.0)
        return tolerance > 0 and type(answer) is type(expected) and close(answer, expected, tolerance)
    except (TypeError, ValueError, ArithmeticError, RecursionError, AttributeError):
        return False


def holds_floats(value: Any) -> bool:
    """A float, or a non-empty list or tuple of floats."""
    if isinstance(value, (list, tuple)) and value:
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def close(answer: Any, expected: Any, atol: float) -> bool:
    """Numbers within the tolerance, sequences of the same length element by element; NaN is close to nothing."""
    if isinstance(expected, (list, tuple)):
        if not isinstance(answer, (list, tuple)) or len(answer) != len(expected):
            return False
        return all(close(a, e, atol) for a, e in zip(answer, expected, strict=True))
    if answer == expected:  # infinities, too
        return isinstance(expected, (int, float, complex))
    if isinstance(expected, complex) or isinstance(answer, complex):
        return abs(answer - expected) <= atol + RTOL * abs(expected)
    if not math.isfinite(answer) or not math.isfinite(expected):
        return False
    return abs(answer - expected) <= atol + RTOL * abs(expected)


def _set_equal(answer: Any, expected: Any, arguments: tuple[Any, ...], atol: float) -> bool:
    return set(answer) == set(expected)


def _not_none(answer: Any, expected: Any, arguments: tuple[Any, ...], atol: float) -> bool:
    wanted = expected if isinstance(expected, bool) else expected is not None
    return answer == wanted if isinstance(answer, bool) else wanted == (answer is not None)


def _always(answer: Any, expected: Any, arguments: tuple[Any, ...], atol: float) -> bool:
    return True


def _zero(answer: Any, expected: Any, arguments: tuple[Any, ...], atol: float) -> bool:
    return answer == 0


def _pyramid_surface(answer: Any, expected: Any, arguments: tuple[Any, ...], atol: float) -> bool:
    """MBPP 581, with the height read as the distance from the base to the apex."""
    edge, height = arguments
    slant = math.sqrt((edge / 2) ** 2 + height**2)
    return abs(answer - round(edge**2 + 2 * edge * slant)) <= atol


def _digit_distance(answer: Any, expected: Any, arguments: tuple[Any, ...], atol: float) -> bool:
    """MBPP 558, with the shorter number padded with zeros on the left."""
    first, second = (str(number) for number in arguments)
    width = max(len(first), len(second))
    pairs = zip(first.zfill(width), second.zfill(width), strict=True)
    return answer == sum(abs(int(a) - int(b)) for a, b in pairs)


ORACLES: dict[str, Callable[[Any, Any, tuple[Any, ...], float], bool]] = {
    "set_equal": _set_equal,
    "not_none": _not_none,
    "always_true": _always,
    "zero_or_equal": _zero,
    "digit_distance": _digit_distance,
    "pyramid_surface": _pyramid_surface,
}
DECISIVE = {"set_equal", "not_none"}
"""Oracles that stand in the place of equality; the others are tried after it."""
