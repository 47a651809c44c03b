"""Python, by the grammar of tree-sitter-python 0.25."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from .language import Language

if TYPE_CHECKING:
    from ..dataflow import DataFlow
    from ..tree import SyntaxTree


def is_docstring(tree: SyntaxTree, statement: int, body: int, owner: int) -> bool:
    """Whether this is the first statement of a module, class or function body, and only a string.

    https://docs.python.org/3/glossary.html#term-docstring. f-strings and bytes are no docstrings,
    nor is what Python 2 has in backticks, which the grammar calls a string.
    """
    kinds, last, names = tree.kinds, tree.last, tree.language.kind_names
    kind = names[kinds[body]] if body >= 0 else ""
    if kind == "block":
        if names[kinds[owner]] not in ("function_definition", "class_definition"):
            return False
    elif kind != "module":
        return False
    before = statement - 1
    while names[kinds[before]] == "comment":
        before -= 1
    value = statement + 1
    if before != body or last[value] != last[statement]:
        return False
    parts = tree.children(value) if names[kinds[value]] == "concatenated_string" else [value]
    return all(names[kinds[part]] == "string" and _is_text(tree.words.get(part + 1, "")) for part in parts)


def _is_text(opening: str) -> bool:
    """Whether a string that opens so is neither bytes, nor an f-string, nor an expression in backticks."""
    return not {"b", "B", "f", "F", "`"}.intersection(opening)


def analyse_dataflow(tree: SyntaxTree) -> DataFlow:
    return _analysis()(tree)


@cache
def _analysis() -> Callable[[SyntaxTree], DataFlow]:
    """Imported on first use: the analysis itself imports this table."""
    from ..dataflow.python import analyse

    return analyse


LANGUAGE = Language(
    name="python",
    package="tree_sitter_python",
    fence_names=("python", "py", "python3", "Python"),  # a console session (pycon) does not parse
    control_keywords=frozenset(
        "if elif else for while break continue return yield try except finally raise with match case async await "
        "def class lambda assert pass import from global nonlocal del".split()
    ),
    operators=frozenset(
        "+ - * / // % ** @ << >> & | ^ ~ < <= == != >= > <> := = += -= *= /= //= %= **= @= >>= <<= &= ^= |= "
        "and or not in is".split()
    )
    | {"not in", "is not"},
    identifiers=frozenset({"identifier"}),
    comments=frozenset({"comment"}),
    strings=frozenset({"string", "concatenated_string"}),
    literals=frozenset({"integer", "float", "true", "false", "none", "ellipsis"}),
    words=frozenset({"identifier", "string_start"}),
    is_docstring=is_docstring,
    analyse_dataflow=analyse_dataflow,
)
