"""A programming problem: what to write, and the trusted tests that decide whether it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .splits import split_role


@dataclass(frozen=True)
class AssertTests:
    """MBPP form: `setup` code, then one `assert` statement an entry. Trusted code, run by the judge."""

    asserts: tuple[str, ...]
    setup: str = ""


@dataclass(frozen=True)
class CheckTests:
    """HumanEval form: `code` defines `check(candidate)`. Trusted code, run by the judge."""

    code: str


@dataclass(frozen=True)
class InputTests:
    """EvalPlus form: argument lists, a trusted reference whose outputs are the expected ones, and a tolerance.

    `oracle` names a comparison other than equality for the tasks that need one (see `sandbox/oracles.py`).
    """

    base_inputs: tuple[tuple[Any, ...], ...]
    reference: str
    plus_inputs: tuple[tuple[Any, ...], ...] = ()
    atol: float = 0.0
    oracle: str | None = None


Tests = AssertTests | CheckTests | InputTests


@dataclass(frozen=True)
class Problem:
    """One problem.

    Attributes:
        id: unique over all sources, e.g. `"mbpp/601"`, `"humaneval/0"`, `"listops/train/17"`.
        prompt: what the student sees, with example tests where the benchmark shows them.
        entry_point: name of the function the tests call; None where the tests call several.
        tests: trusted code or data; None when the problem has no tests (its verdicts are `unknown`).
        reference: a solution known to be right, or None.
        source: name of the benchmark or family, e.g. `"mbpp"`.
        split: `"train"`, `"validation"`, `"test"`, or a name of the user.
        metadata: anything else the source says (topic, difficulty, recorded reasoning, wrong solution).
    """

    id: str
    prompt: str
    tests: Tests | None
    entry_point: str | None = None
    reference: str | None = None
    source: str = ""
    split: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def role(self) -> str:
        """What its split is for: `"train"`, `"validation"` or `"test"`, see `splits.split_role`."""
        return split_role(self.split)
