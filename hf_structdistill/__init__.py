"""Distil a large code model into a small one, reasoning and structure included.

Names are lazy: importing this package imports neither torch nor transformers nor trl.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .data_collator import StructureAwareDataCollator
    from .trainer import StructureAwareTrainer
    from .training_args import StructureAwareConfig

__version__ = "0.1.0"

__all__ = ["StructureAwareConfig", "StructureAwareDataCollator", "StructureAwareTrainer"]

_HOMES = {
    "StructureAwareConfig": ".training_args",
    "StructureAwareDataCollator": ".data_collator",
    "StructureAwareTrainer": ".trainer",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
