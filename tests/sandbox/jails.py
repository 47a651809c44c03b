"""Which backends can be used here."""

from __future__ import annotations

import pytest

from hf_structdistill.sandbox.backends import OPT_IN, bubblewrap_problem

UNCOVERED = "ignore:candidates run without bubblewrap:RuntimeWarning"


def usable(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    if name == "rlimits":
        monkeypatch.setenv(OPT_IN, "1")
    elif problem := bubblewrap_problem():
        pytest.skip(problem)
    return name
