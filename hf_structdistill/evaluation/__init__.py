"""Student -> completions -> scores -> a report worth reading. Names are lazy; only generation imports torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compare import Comparison, compare_all, compare_results
    from .completion import Sample
    from .examples import TokenExample, token_example
    from .generate import generate_completions, load_student
    from .likelihood import bits_per_byte
    from .report import results_summary, write_report
    from .results import EvaluationResult, SampleRecord, score_completions
    from .sample_files import read_samples

_HOMES = {
    "Comparison": ".compare",
    "EvaluationResult": ".results",
    "Sample": ".completion",
    "SampleRecord": ".results",
    "TokenExample": ".examples",
    "bits_per_byte": ".likelihood",
    "compare_all": ".compare",
    "compare_results": ".compare",
    "generate_completions": ".generate",
    "load_student": ".generate",
    "read_samples": ".sample_files",
    "results_summary": ".report",
    "score_completions": ".results",
    "token_example": ".examples",
    "write_report": ".report",
}

__all__ = [
    "Comparison",
    "EvaluationResult",
    "Sample",
    "SampleRecord",
    "TokenExample",
    "bits_per_byte",
    "compare_all",
    "compare_results",
    "generate_completions",
    "load_student",
    "read_samples",
    "results_summary",
    "score_completions",
    "token_example",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
