"""What the `evaluate` modules of the matches share: how they take references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class TakesReferenceLists:
    """Mixin for an `evaluate.Metric` whose references are strings, lists of strings, or some of each.

    evaluate 0.4 takes the form of the first reference for all and casts the others: a list becomes its own print, a
    string a list of characters. So all of them are made lists before it sees them.
    """

    def add_batch(
        self, *, predictions: Any = None, references: Sequence[str | Sequence[str]] | None = None, **kwargs: Any
    ) -> None:
        """Add predictions, with a reference or a list of references for each."""
        as_lists = None if references is None else [_as_list(reference) for reference in references]
        super().add_batch(predictions=predictions, references=as_lists, **kwargs)  # type: ignore[misc]

    def add(self, *, prediction: Any = None, reference: str | Sequence[str] | None = None, **kwargs: Any) -> None:
        """Add a prediction, with its reference or a list of references."""
        super().add(prediction=prediction, reference=_as_list(reference), **kwargs)  # type: ignore[misc]


def _as_list(reference: Any) -> Any:
    return [reference] if isinstance(reference, str) else reference
