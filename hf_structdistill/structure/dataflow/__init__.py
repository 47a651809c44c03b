"""Data flow by reaching definitions within real scopes, for the languages that have an analysis of their own."""

from __future__ import annotations

from ...errors import InputError
from ..tree import SyntaxTree
from .graph import DataFlow, Occurrence


def analyse_dataflow(tree: SyntaxTree) -> DataFlow:
    """Which definitions reach which uses of each variable in `tree`. Never fails on a tree, broken code included.

    Raises InputError for a language without an analysis: today that is every language but Python.
    """
    analyse = tree.language.analyse_dataflow
    if analyse is None:
        raise InputError(
            f"expected a language with reaching definitions (python), got {tree.language.name!r}: "
            "score it with mode='codexglue', or without data flow"
        )
    return analyse(tree)


__all__ = ["DataFlow", "Occurrence", "analyse_dataflow"]
