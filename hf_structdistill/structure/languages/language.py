"""What the rest of the package needs to know about a programming language: a table of node types, and exceptions."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import tree_sitter

from ...errors import InputError

if TYPE_CHECKING:
    from ..dataflow import DataFlow
    from ..tree import SyntaxTree

ERROR_KIND = 65535
"""tree-sitter's kind id of an ERROR node, the same in every grammar."""


@dataclass(frozen=True, eq=False)
class Language:
    """A language as tables over its tree-sitter grammar. One module of this folder makes one of these.

    Node types are names of the grammar: an anonymous node's type is its own text (`"while"`, `"+"`), a named node's
    is the rule (`"identifier"`). `kind_ids` turns a table into the integer ids that `SyntaxTree.kinds` holds.
    """

    name: str
    package: str
    """Module of the grammar; the PyPI project is the same with dashes."""
    fence_names: tuple[str, ...]
    """What people write behind the backticks of a fenced block, the language's own name first."""
    control_keywords: frozenset[str]
    """Anonymous nodes that steer control flow or open a scope."""
    operators: frozenset[str]
    """Anonymous nodes that compute, compare, bind or assign."""
    identifiers: frozenset[str]
    """Named leaves that are names (of variables, functions, types, fields)."""
    comments: frozenset[str]
    strings: frozenset[str]
    """Named nodes of whole string literals, quotes included."""
    literals: frozenset[str] = frozenset()
    """Named nodes of the other literals: numbers, booleans, null."""
    words: frozenset[str] = frozenset()
    """Leaves whose text the functions below need (`SyntaxTree.words`)."""
    is_docstring: Callable[[SyntaxTree, int, int, int], bool] | None = field(default=None, repr=False)
    """Whether a statement only documents, given its parent and its parent's parent (-1: none); None where
    documentation is written in comments. Asked as soon as a walk has left the statement."""
    analyse_dataflow: Callable[[SyntaxTree], DataFlow] | None = field(default=None, repr=False)
    """Reaching definitions for this language; None where strict data flow is not there yet."""

    def __reduce__(self) -> tuple[Callable[[str], Language], tuple[str]]:
        # a grammar cannot be pickled, for the processes of a data loader or of Dataset.map; the name is enough
        from . import get_language

        return get_language, (self.name,)

    @cached_property
    def grammar(self) -> tree_sitter.Language:
        """The compiled grammar. InputError naming the package to install where it is missing."""
        try:
            module = importlib.import_module(self.package)
        except ModuleNotFoundError as error:
            if error.name != self.package:
                raise
            project = self.package.replace("_", "-")
            raise InputError(
                f"language {self.name!r} needs the grammar package {project!r}, which is not installed: "
                f"run pip install {project} (or all languages: pip install 'hf-structdistill[languages]')"
            ) from None
        return tree_sitter.Language(module.language())

    @cached_property
    def kind_names(self) -> dict[int, str]:
        """Kind id -> node type, ERROR included."""
        grammar = self.grammar
        names = {i: grammar.node_kind_for_id(i) or "" for i in range(grammar.node_kind_count)}
        return {**names, ERROR_KIND: "ERROR"}

    @cached_property
    def named_kinds(self) -> frozenset[int]:
        """Kind ids of named nodes. ERROR counts as named, as it does in tree-sitter."""
        grammar = self.grammar
        return frozenset(i for i in range(grammar.node_kind_count) if grammar.node_kind_is_named(i)) | {ERROR_KIND}

    @cached_property
    def word_kinds(self) -> frozenset[int]:
        return self.kind_ids(self.words, named=True)

    @cached_property
    def statement_kinds(self) -> frozenset[int]:
        """Expressions that are statements, among them docstrings."""
        return frozenset(i for i in self.named_kinds if self.kind_names[i] == "expression_statement")

    def kind_ids(self, types: Iterable[str], *, named: bool | None = None) -> frozenset[int]:
        """Kind ids of these node types; `named` keeps only named (True) or anonymous (False) nodes.

        Some types exist as both (Python's `lambda` is a keyword and an expression) and some under several ids
        (aliases). A type the grammar does not have is an error of the table: KeyError.
        """
        wanted = set(types)
        found = {i: kind for i, kind in self.kind_names.items() if kind in wanted}
        if missing := wanted - set(found.values()):
            raise KeyError(f"the grammar of {self.name} has no node types {sorted(missing)}")
        return frozenset(i for i in found if named is None or (i in self.named_kinds) == named)
