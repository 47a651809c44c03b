"""The builders of dataset_scripts/: what they write loads with plain load_dataset, and back as problems."""

import subprocess
import sys
from pathlib import Path

from hf_structdistill.problems import load_problems

SCRIPTS = Path(__file__).resolve().parents[2] / "dataset_scripts"


def test_the_projects_own_problems(tmp_path):
    from datasets import load_dataset

    out = tmp_path / "problems"
    sizes = ["--listops-train", "20", "--listops-test", "5"]
    subprocess.run([sys.executable, SCRIPTS / "build_problems.py", "--out", out, *sizes], check=True)
    loaded = load_dataset(str(out), "listops", cache_dir=str(tmp_path / "cache"))
    assert {split: len(part) for split, part in loaded.items()} == {"train": 20, "test": 5}
    again = load_problems(str(out / "seed" / "test.parquet"))
    assert [p.tests for p in again] == [p.tests for p in load_problems("seed", split="test")]
    assert again[0].entry_point == load_problems("seed", split="test")[0].entry_point
