"""What the `evaluate` modules of the matches share: how they take predictions and references."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .pairs import check_pairs


class TakesReferenceLists:
    """Mixin for an `evaluate.Metric` whose references are strings, lists of strings, or some of each.

    evaluate 0.4 takes the form of the first reference for all and casts the others: a list becomes its own print, a
    string a list of characters. It takes a lone string for a list of characters, too. So all is checked, as
    `scoring` does, and all references are made lists before it sees them.
    """

    writer: Any  # of evaluate.Metric: None before anything was added

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Add predictions, with a reference or a list of references for each.

        Raises InputError as `scoring.syntax_match` does; but an empty batch behind others adds nothing.
        """
        found, wanted = _plain(predictions), _plain(references)
        if self.writer is None or found or wanted:
            lists = [several for _, several in check_pairs(found, wanted)]
            super().add_batch(predictions=found, references=lists, **kwargs)  # type: ignore[misc]

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """Add a prediction, with its reference or a list of references. Raises InputError as `add_batch` does."""
        self.add_batch(predictions=[prediction], references=[reference], **kwargs)


def _plain(values: Any) -> Any:
    """Lists for the arrays, columns and tuples that evaluate takes too; a string, or what has no items, as it is."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return values
    return [_plain(value) for value in values]
