"""Intervals and tests for proportions and means, and for their paired differences. Shares in [0, 1] throughout."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution
RESAMPLES = 10_000


def wilson_interval(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927); (0, 1) for no trials."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return (0.0 if successes == 0 else low), (1.0 if successes == trials else high)


def bootstrap_interval(values: Sequence[float], *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean of `values`; the same for the same values and seed."""
    import numpy as np

    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return math.nan, math.nan
    generator = np.random.default_rng(seed)
    rows = max(1, 2_000_000 // array.size)  # resample in blocks: 10,000 x 1,000 problems would be 80 MB
    means = []
    for start in range(0, resamples, rows):
        chosen = generator.integers(0, array.size, size=(min(rows, resamples - start), array.size))
        means.append(array[chosen].mean(axis=1))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def paired_proportion_interval(gained: int, lost: int, pairs: int, z: float = Z95) -> tuple[float, float]:
    """Interval of the difference of two paired proportions (Bonett and Price 2012, adjusted Wald).

    Unlike the bootstrap it does not shrink to a point when few or no pairs disagree.

    Args:
        gained: pairs that only the second passes. lost: pairs that only the first passes.
    """
    up, down = (gained + 1) / (pairs + 2), (lost + 1) / (pairs + 2)
    spread = z * math.sqrt((up + down - (up - down) ** 2) / (pairs + 2))
    return max(-1.0, up - down - spread), min(1.0, up - down + spread)


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided exact p-value of McNemar's test; 1 when no pair disagrees."""
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0


def sign_flip_test(differences: Sequence[float], *, seed: int = 0, resamples: int = RESAMPLES) -> float:
    """Two-sided p-value of the mean of paired differences, by flipping their signs at random (Fisher 1935).

    Under the hypothesis that it does not matter which student is which, every sign is as likely as its opposite. The
    observed signs count as one of the flips, so p is never 0. The same for the same values and seed.
    """
    import numpy as np

    array = np.asarray([value for value in differences if value], dtype=np.float64)
    if array.size == 0:
        return 1.0
    generator = np.random.default_rng(seed)
    bound = abs(array.sum()) * (1 - 1e-12)  # sums in another order differ in their last bits
    rows = max(1, 2_000_000 // array.size)
    extreme = 0
    for start in range(0, resamples, rows):
        signs = generator.integers(0, 2, size=(min(rows, resamples - start), array.size), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ array) >= bound).sum())
    return (extreme + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of several tests, so that a false one among them is as rare as with one (Holm 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted
