"""pass@k, and the small sums that every report shares."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from ..errors import InputError


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Unbiased estimate of the chance that at least one of `k` samples is right, from `num_samples` of one problem.

    1 - C(n - c, k) / C(n, k), Chen et al. 2021 (arXiv 2107.03374), in exact integers.

    >>> pass_at_k(10, 3, 1)
    0.3
    >>> round(pass_at_k(10, 3, 5), 4)
    0.9167

    Raises:
        InputError: unless 0 <= num_correct <= num_samples and 1 <= k <= num_samples.
    """
    for name, value in (("num_samples", num_samples), ("num_correct", num_correct), ("k", k)):
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise InputError(f"expected an integer for {name}, got {value!r}")
    if not 0 <= num_correct <= num_samples:
        raise InputError(f"expected num_correct between 0 and num_samples = {num_samples}, got {num_correct}")
    if not 1 <= k <= num_samples:
        raise InputError(
            f"expected k between 1 and num_samples = {num_samples}, got {k}: "
            f"draw at least {k} samples a problem, or ask for a smaller k"
        )
    wrong_draws, draws = comb(num_samples - num_correct, k), comb(num_samples, k)
    return (draws - wrong_draws) / draws


def ratio(matched: float, total: float) -> float | None:
    """matched / total, None where there is nothing to match."""
    return matched / total if total else None


def mean_of_defined(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def corrected_for_chance(score: float | None, floor: float | None) -> float | None:
    """(m - m0) / (1 - m0): 0 at the level of unrelated programs, 1 at a full match, negative below chance."""
    if score is None or floor is None or floor >= 1.0:
        return None
    return (score - floor) / (1.0 - floor)
