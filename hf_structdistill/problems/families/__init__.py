"""Generated families of problems: free of contamination, with held-out compositions and nesting depths."""

from __future__ import annotations

from ..problem import Problem
from .dictops import DictOps
from .family import DEFAULT_SIZES, SPLITS, Composition, Family, Shape, generate_problems
from .helperops import HelperOps
from .loopops import LoopOps
from .mutants import wrong_variable_mutants
from .textops import TextOps
from .varops import VarOps

FAMILIES: dict[str, Family] = {
    family.name: family for family in (LoopOps(), DictOps(), TextOps(), HelperOps(), VarOps())
}
"""Every generated family but listops, by the name that `load_problems` takes."""

MIXTURE = "generated"


def generate_mixture(split: str = "train", *, size: int | None = None, seed: int = 0) -> list[Problem]:
    """The families in turn, in equal shares: the first `size` problems of an endless round.

    Arguments, errors and defaults are those of `generate_problems`.
    """
    total = DEFAULT_SIZES.get(split, 1) if size is None else size
    share = -(-total // len(FAMILIES))
    parts = [generate_problems(family, split, size=share, seed=seed) for family in FAMILIES.values()]
    return [problem for turn in zip(*parts, strict=True) for problem in turn][:total]


__all__ = [
    "DEFAULT_SIZES",
    "FAMILIES",
    "MIXTURE",
    "SPLITS",
    "Composition",
    "Family",
    "Shape",
    "generate_mixture",
    "generate_problems",
    "wrong_variable_mutants",
]
