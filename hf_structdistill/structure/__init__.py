"""Source bytes to syntax tree and data-flow graph; token ids to byte spans to nodes. Never imports torch.

Names are lazy, so that scoring a program does not pay for the token alignment's numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dataflow import DataFlow, Occurrence, analyse_dataflow
    from .languages import LANGUAGES, Language, get_language
    from .tree import SyntaxTree, parse

__all__ = [
    "LANGUAGES",
    "DataFlow",
    "Language",
    "Occurrence",
    "SyntaxTree",
    "analyse_dataflow",
    "get_language",
    "parse",
]

_HOMES = {
    "LANGUAGES": ".languages",
    "DataFlow": ".dataflow",
    "Language": ".languages",
    "Occurrence": ".dataflow",
    "SyntaxTree": ".tree",
    "analyse_dataflow": ".dataflow",
    "get_language": ".languages",
    "parse": ".tree",
    # token alignment: TokenBytes, StructureAnnotator, Annotation, Region, code_regions go here, and above in
    # TYPE_CHECKING and __all__
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value  # the next access is an ordinary attribute
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
