"""The package with compiled inner loops, built into build/compiled for the sources at hand."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "compiled"


def compiled_package() -> Path:
    """A folder for PYTHONPATH. Builds it, through a source distribution, when the sources have changed.

    Needs a C compiler, and hatch-mypyc, which the extra `test` installs.
    """
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes())
    for file in sorted((ROOT / "hf_structdistill").rglob("*.py")):
        digest.update(file.read_bytes())
    target = FOLDER / digest.hexdigest()[:16]
    if not target.is_dir():
        build(target)
    return target


def build(target: Path) -> None:
    """Make the compiled wheel and unpack it into `target`."""
    wheels = target.with_suffix(".wheel")
    environment = os.environ | {"HATCH_BUILD_HOOK_ENABLE_MYPYC": "1"}
    # without --wheel, the wheel is made from the source distribution: a checkout would keep the extension modules
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(wheels), str(ROOT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the compiled wheel could not be built:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    (wheel,) = wheels.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True)
