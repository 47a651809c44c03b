"""What the judge says of one candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "timeout", "error", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """The judge's verdict.

    Attributes:
        status: `passed`; `failed` (a test says no); `timeout` (CPU seconds used up, or the wall-clock backstop);
            `error` (the candidate raised or broke a limit); `unknown` (no tests, none of their assertions
            ran, or the runner itself broke), which is never counted as wrong.
        failed_test: the first test that did not pass, as text; None when all passed or none ran.
        reason: one line for a person, e.g. `"AssertionError"`, `"NameError: name 'x' is not defined"`.
        cpu_seconds: CPU time the candidate used.
    """

    status: Status
    failed_test: str | None = None
    reason: str | None = None
    cpu_seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.status == "passed"
