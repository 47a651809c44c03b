"""Shared fixtures: where the real data lies, and an environment in which no library reaches for the network."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Two test processes share two cores: threads that wait for each other would slow small models tenfold.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real benchmark data that lies beside a checkout; tests that need it skip where it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def shared_student() -> Path:
    """A 17M-parameter base student, where present."""
    folder = SHARED / "models" / "pycode-17m"
    if not folder.is_dir():
        pytest.skip("the shared base student is not beside this checkout")
    return folder
