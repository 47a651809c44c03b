"""Names and small phrases that several families draw from."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

FUNCTIONS = ("solve", "compute", "process", "evaluate", "run_steps", "work_out")


class Operation(NamedTuple):
    """One operation: its code with `{placeholders}`, and the wordings a prompt may use; the first one is canonical."""

    code: str
    wordings: tuple[str, ...]


def op(code: str, *wordings: str) -> Operation:
    return Operation(code, wordings)


def tell(table: Mapping[str, Operation], name: str | None, rng: random.Random | None = None) -> str:
    """A wording of an operation: drawn by `rng`, or the canonical one."""
    if name is None:
        return ""
    wordings = table[name].wordings
    return rng.choice(wordings) if rng else wordings[0]


def draw(rng: random.Random, pool: Sequence[str], count: int) -> list[str]:
    """`count` different names."""
    return rng.sample(list(pool), count)


def function(signature: str, *body: str) -> str:
    """Source of a function; `body` lines are relative to its indentation."""
    return "\n".join([f"def {signature}:", *("    " + line for line in body)]) + "\n"
