"""The two backends, each as it is used."""

from __future__ import annotations

import jails
import pytest


@pytest.fixture(params=["bubblewrap", "rlimits"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    return jails.usable(request.param, monkeypatch)
