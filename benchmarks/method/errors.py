"""Wrong-variable errors: failing programs that pass once a single variable use reads another variable."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hf_structdistill.problems import Problem
from hf_structdistill.problems.families import wrong_variable_mutants
from hf_structdistill.sandbox import verify

MOST_MUTANTS = 80  # of one program; longer lists are cut, which can only lower the count
EXAMINED = 50  # failing programs, the first ones: the same problems in every arm where they fail


def wrong_variable_errors(
    problems: Sequence[Problem], codes: Sequence[str | None], passed: Sequence[bool]
) -> dict[int, bool]:
    """For the first failing programs, by index, whether some single change of one variable use makes it pass."""
    failing = [index for index, ok in enumerate(passed) if not ok][:EXAMINED]
    owners: list[int] = []
    mutants: list[str] = []
    for index in failing:
        code = codes[index]
        if code is None:
            continue
        for mutant in itertools.islice(wrong_variable_mutants(code), MOST_MUTANTS):
            owners.append(index)
            mutants.append(mutant)
    verdicts = verify([problems[index] for index in owners], mutants, workers=1, cpu_seconds=0.5, wall_seconds=5.0)
    repaired = {index for index, verdict in zip(owners, verdicts, strict=True) if verdict.passed}
    return {index: index in repaired for index in failing}
