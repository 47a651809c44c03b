"""What JSON could not say about MBPP+: argument types, and comparisons other than equality.

Facts of EvalPlus (Liu et al. 2023, arXiv 2305.01210; package evalplus 0.3): task ids, argument types and special
oracles are theirs, so that verdicts agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Convert = Callable[[Any], Any]


def _rows(value: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in value]


def _tuple_of_rows(value: Any) -> tuple[Any, ...]:
    return tuple(tuple(row) for row in value)


def _mixed_rows(value: Any) -> tuple[Any, ...]:
    return tuple(tuple(row) if isinstance(row, list) else row for row in value)


def _deep(value: Any) -> Any:
    return tuple(_deep(item) for item in value) if isinstance(value, list) else value


def _sets(value: Any) -> list[Any]:
    # an empty list stands for {}, which is a dict
    return [set(item) if isinstance(item, list) and item else {} for item in value]


def _same(value: Any) -> Any:
    return value


# Every argument of the task is converted.
_EVERY: dict[Convert, tuple[int, ...]] = {
    tuple: (
        2,
        116,
        132,
        143,
        222,
        261,
        273,
        394,
        399,
        421,
        424,
        429,
        470,
        560,
        579,
        596,
        616,
        630,
        726,
        740,
        744,
        809,
    ),
    _rows: (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780),
    _tuple_of_rows: (259, 401, 445),
    _deep: (580, 615, 791),
}
# Arguments in order; those not named stay as they are.
_BY_POSITION: dict[tuple[Convert, ...], tuple[int, ...]] = {
    (_rows,): (75, 413, 444, 753),
    (tuple,): (250, 405, 446, 617, 720, 763, 808, 307),
    (_same, tuple): (106, 750),
    (_sets,): (115,),
    (float, complex): (124,),
    (complex,): (252,),
    (_mixed_rows,): (278,),
    (lambda table: {key: tuple(row) for key, row in table.items()},): (722,),
}
_EVERY_OF = {task: convert for convert, tasks in _EVERY.items() for task in tasks}
_POSITIONS_OF = {task: converts for converts, tasks in _BY_POSITION.items() for task in tasks}

ORACLES: dict[int | str, str] = {
    **dict.fromkeys((2, 7, 111, 140, 232, 249, 579, 769), "set_equal"),
    **dict.fromkeys(("check_str", "text_match_three", "text_starta_endb"), "not_none"),
    164: "always_true",
    295: "zero_or_equal",
    558: "digit_distance",
    581: "pyramid_surface",
}
"""Comparison other than equality, by task id or, where EvalPlus says it so, by entry point."""


def restore_inputs(task: int, inputs: Sequence[Sequence[Any]]) -> tuple[tuple[Any, ...], ...]:
    """Give the argument lists of MBPP+ task `task` the Python types they had before they became JSON."""
    every = _EVERY_OF.get(task)
    if every is not None:
        return tuple(tuple(every(argument) for argument in arguments) for arguments in inputs)
    converts = _POSITIONS_OF.get(task, ())
    padded = [*converts, *[_same] * 16]
    return tuple(tuple(padded[i](argument) for i, argument in enumerate(arguments)) for arguments in inputs)


def oracle_of(task: int, entry_point: str) -> str | None:
    """Name of the comparison for task `task`, None for equality within the task's tolerance."""
    return ORACLES.get(task) or ORACLES.get(entry_point)
