"""Peers to measure against, installed when they are missing: without their dependencies, in a folder of their own."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).resolve().parents[1] / "build" / "peers"


def import_peer(module: str, requirement: str) -> ModuleType:
    """Import `module`, after `pip install --no-deps requirement` into build/peers where it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
    target = FOLDER / requirement
    if not (target / module).exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(target),
            requirement,
        ]
        subprocess.run(command, check=True)
    sys.path.append(str(target))
    importlib.invalidate_caches()
    return importlib.import_module(module)
