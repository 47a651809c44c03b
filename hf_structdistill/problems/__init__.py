"""Problems and their tests: benchmarks, generated families and files of the user. Never imports torch."""

from __future__ import annotations

from .problem import AssertTests, CheckTests, InputTests, Problem, Tests

__all__ = [
    "BENCHMARKS",
    "AssertTests",
    "CheckTests",
    "InputTests",
    "Problem",
    "Tests",
    "content_hash",
    "decontaminate",
    "load_problems",
]

_HOMES = {
    "BENCHMARKS": ".loading",
    "content_hash": ".rows",
    "decontaminate": ".decontamination",
    "load_problems": ".loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
