"""Python, by the grammar of tree-sitter-python 0.25."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from .language import Language

if TYPE_CHECKING:
    from ..dataflow import DataFlow
    from ..tree import SyntaxTree


def find_docstrings(tree: SyntaxTree) -> list[int]:
    """The expression statements that are docstrings: the first statement of a module, class or function body.

    https://docs.python.org/3/glossary.html#term-docstring. f-strings and bytes are no docstrings.
    """
    kinds, parents, names = tree.kinds, tree.parents, tree.language.kind_names
    found = []
    for body in range(len(tree)):
        kind = names[kinds[body]]
        if kind == "block":
            if names[kinds[parents[body]]] not in ("function_definition", "class_definition"):
                continue
        elif kind != "module":
            continue
        first = next((i for i in tree.children(body) if names[kinds[i]] != "comment"), None)
        if first is not None and _is_docstring(tree, first):
            found.append(first)
    return found


def _is_docstring(tree: SyntaxTree, statement: int) -> bool:
    children = tree.children(statement)
    if tree.kind_name(statement) != "expression_statement" or len(children) != 1:
        return False
    value = children[0]
    parts = tree.children(value) if tree.kind_name(value) == "concatenated_string" else [value]
    for part in parts:
        if tree.kind_name(part) != "string":
            return False
        prefix = tree.text(part)[:2].lower()
        if b"b" in prefix.split(b'"')[0].split(b"'")[0] or b"f" in prefix.split(b'"')[0].split(b"'")[0]:
            return False
    return True


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
    find_docstrings=find_docstrings,
    analyse_dataflow=analyse_dataflow,
)
