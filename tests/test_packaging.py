"""The wheel is complete: built, installed into an empty folder, used from outside the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    return target


def run(installed: Path, code: str, folder: Path) -> str:
    """Run `code` with the installed package before everything else, from a folder that is not the checkout."""
    environment = os.environ | {"PYTHONPATH": str(installed), "HF_HOME": str(folder / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_wheel_holds_no_stray_files(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"hf_structdistill"}
    assert "hf_structdistill/py.typed" in names
    assert not [name for name in names if name.endswith((".pyc", ".pt", ".safetensors"))]


def test_package_is_the_installed_one(installed, tmp_path):
    where = run(installed, "import hf_structdistill; print(hf_structdistill.__file__)", tmp_path)
    assert Path(where.strip()).is_relative_to(installed)


def test_seed_problems_ship(installed, tmp_path):
    code = "from hf_structdistill.problems import load_problems; print(len(load_problems('seed', split='train')))"
    assert run(installed, code, tmp_path).strip() == "240"


def test_templates_and_recipes_ship(installed, tmp_path):
    code = """
from hf_structdistill.resources import shipped_folder
for name in ("model_cards", "recipes", "metrics"):
    folder = shipped_folder(name)
    assert "_shipped" in folder.parts, folder
    print(name, sorted(p.name for p in folder.iterdir()))
"""
    shown = run(installed, code, tmp_path)
    for name in ("student.md.jinja", "trace_dataset.md.jinja", "mbpp_qlora.yaml", "syntax_match", "dataflow_match"):
        assert name in shown


def test_metric_loads_from_the_wheel(installed, tmp_path):
    code = """
import evaluate
from hf_structdistill.resources import shipped_folder
metric = evaluate.load(str(shipped_folder("metrics") / "syntax_match"))
print(metric.compute(predictions=["a = b + 1"], references=["a = b + 1"])["syntax_match"])
"""
    assert run(installed, code, tmp_path).strip() == "1.0"


def test_command_runs(installed, tmp_path):
    shown = run(
        installed, "import sys; sys.argv = ['structdistill', '--help']; from hf_structdistill.cli import main; main()",
        tmp_path,
    )  # fmt: skip
    for command in ("demo", "traces", "train", "evaluate"):
        assert command in shown
