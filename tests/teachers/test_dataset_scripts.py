"""The builders of dataset_scripts/: what they write loads with plain load_dataset, and back as problems."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def rows(folder, config):
    from pyarrow import parquet

    [file] = (folder / config).glob("train-*.parquet")
    return sorted(parquet.read_table(file).to_pylist(), key=str)


def test_tasks_of_datatrove_make_what_one_process_makes(tmp_path):
    pytest.importorskip("datatrove")
    from hf_structdistill.hub.datasets import write_trace_dataset
    from hf_structdistill.teachers import ScriptedTeacher, collect_traces, select_examples

    arguments = ["--problems", "listops", "--limit", "12", "--teacher", "scripted", "--tasks", "3", "--workers", "2"]
    many, one = tmp_path / "many", tmp_path / "one"
    environment = {**os.environ, "HF_ALLOW_CODE_EVAL": "1"}
    script = [sys.executable, SCRIPTS / "datatrove_traces.py", *arguments, "--out", many]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    problems = load_problems("listops", split="train", limit=12)
    collected = collect_traces(problems, [ScriptedTeacher()], one, workers=1)
    write_trace_dataset(one, collected, select_examples(collected.traces, collected.problems))
    for config in ("sft", "pairs", "traces"):
        assert rows(many, config) == rows(one, config), config
    shards = sorted((tmp_path / "many-work" / "shards").iterdir())
    assert [folder.name for folder in shards] == ["00000", "00001", "00002"]
