"""Problems parted over machines, the same way everywhere."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from ..problems import Problem


def shard(problems: Sequence[Problem], index: int, count: int) -> list[Problem]:
    """The problems of part `index` (from 0) of `count`, in their order.

    Which part a problem belongs to depends on its id alone: neither on the other problems nor on their order. Parts
    are of about the same size; of few problems, one may be empty.
    """
    return [problem for problem in problems if zlib.crc32(problem.id.encode()) % count == index]
