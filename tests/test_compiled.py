"""A wheel whose inner loops mypyc compiled gives the scores of the plain files, to the last bit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks._compiled import build

SCORES = """
import json, sys
from hf_structdistill.problems import load_problems
from hf_structdistill.scoring import score_pairs, strict
problems = load_problems("seed")
wrong = [problem.metadata["wrong_solution"] for problem in problems]
right = [problem.reference for problem in problems]
broken = [text[: len(text) * 2 // 3] + "\\ud800\\0(" for text in right]
found = [score_pairs(wrong + broken, right + right, mode=mode, per_sample=True) for mode in ("strict", "codexglue")]
nested = score_pairs(["(" * 5000], ["x = " + "[" * 5000])
json.dump([strict.__file__, found, nested], sys.stdout)
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("a C compiler is needed to build the compiled wheel")
    target = tmp_path_factory.mktemp("compiled") / "site"
    build(target)
    return target


def scores(path: Path) -> list:
    done = subprocess.run(
        [sys.executable, "-c", SCORES],
        env=os.environ | {"PYTHONPATH": str(path)},
        cwd=path,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_compiled_scores_equal_plain_ones(compiled):
    fast_file, *fast = scores(compiled)
    plain_file, *plain = scores(Path(__file__).resolve().parents[1])
    assert not fast_file.endswith(".py") and plain_file.endswith(".py")
    assert fast == plain


def test_the_checkout_keeps_no_extension_module(compiled):
    assert not list((Path(__file__).resolve().parents[1] / "hf_structdistill").rglob("*.so"))
