"""One completion, wherever it was generated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Completion:
    """The `index` of its prompt, its text, and the number of tokens it took, where that is known."""

    index: int
    text: str
    tokens: int | None
