"""How a coefficient grows over training, as a factor in [0, 1]."""

import math

SCHEDULES = ("constant", "linear", "cosine")


def schedule_factor(schedule: str, progress: float, ramp: float) -> float:
    """Return the factor at `progress` (share of optimizer steps done) for a ramp over the share `ramp` of them.

    >>> [schedule_factor("linear", p, 0.5) for p in (0.0, 0.25, 0.5, 1.0)]
    [0.0, 0.5, 1.0, 1.0]
    >>> schedule_factor("constant", 0.0, 0.5)
    1.0
    """
    if schedule == "constant" or ramp <= 0 or progress >= ramp:
        return 1.0
    share = progress / ramp
    return share if schedule == "linear" else 0.5 * (1 - math.cos(math.pi * share))
