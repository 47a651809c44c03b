"""Source bytes to syntax tree and data-flow graph; token ids to byte spans to nodes. Never imports torch.

Names are lazy, so that scoring a program does not pay for the token alignment's numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .annotation import Annotation, StructureAnnotator
    from .dataflow import DataFlow, Occurrence, analyse_dataflow
    from .languages import LANGUAGES, Language, get_language
    from .regions import Region, code_regions
    from .token_bytes import TokenBytes
    from .tree import SyntaxTree, parse

__all__ = [
    "LANGUAGES",
    "Annotation",
    "DataFlow",
    "Language",
    "Occurrence",
    "Region",
    "StructureAnnotator",
    "SyntaxTree",
    "TokenBytes",
    "analyse_dataflow",
    "code_regions",
    "get_language",
    "parse",
]

_HOMES = {
    "LANGUAGES": ".languages",
    "Annotation": ".annotation",
    "DataFlow": ".dataflow",
    "Language": ".languages",
    "Occurrence": ".dataflow",
    "Region": ".regions",
    "StructureAnnotator": ".annotation",
    "SyntaxTree": ".tree",
    "TokenBytes": ".token_bytes",
    "analyse_dataflow": ".dataflow",
    "code_regions": ".regions",
    "get_language": ".languages",
    "parse": ".tree",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value  # the next access is an ordinary attribute
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
