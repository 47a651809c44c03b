"""Wrong-variable errors: failing programs that pass once a single variable use reads another variable."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hf_structdistill.problems import Problem
from hf_structdistill.problems.families import wrong_variable_mutants
from hf_structdistill.sandbox import verify

MOST_MUTANTS = 80  # of one program; longer lists are cut, which can only lower the count


def wrong_variable_errors(
    problems: Sequence[Problem], codes: Sequence[str | None], passed: Sequence[bool]
) -> list[bool]:
    """For each problem, whether its code fails and some single change of one variable use makes it pass."""
    owners: list[int] = []
    mutants: list[str] = []
    for index, (code, ok) in enumerate(zip(codes, passed, strict=True)):
        if code is None or ok:
            continue
        for mutant in itertools.islice(wrong_variable_mutants(code), MOST_MUTANTS):
            owners.append(index)
            mutants.append(mutant)
    verdicts = verify([problems[index] for index in owners], mutants, workers=1, cpu_seconds=2.0, wall_seconds=10.0)
    repaired = {index for index, verdict in zip(owners, verdicts, strict=True) if verdict.passed}
    return [index in repaired for index in range(len(problems))]
