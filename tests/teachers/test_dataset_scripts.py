"""The builders of dataset_scripts/: what they write loads with plain load_dataset, and back as problems."""

import json
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


KNOWN = """def split_and_count(words, sep):
    parts = []
    for word in words.split(sep):
        if word.strip() and word not in parts:
            parts.append(word.strip().lower())
    counts = {}
    for part in parts:
        counts[part] = counts.get(part, 0) + 1
    return sorted(counts.items())
"""
ADD = "def add(a, b):\n    return a + b\n"


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def task(number, text, code, test):
    return {"task_id": number, "text": text, "code": code, "test_list": [test]}


@pytest.mark.parametrize("problems", ["a benchmark's file", "a file of one's own"])
def test_replies_are_compared_by_datatrove_as_by_the_command(tmp_path, problems):
    """A reply that holds the program of a test problem goes, and what could not be compared is said."""
    pytest.importorskip("datatrove")
    test = "assert split_and_count('a,b', ',') == [('a', 1), ('b', 1)]"
    known = task(11, "Split words by a separator and count the unique lowered parts.", KNOWN, test)
    tasks = [task(601 + n, f"Add two integers, way {n}.", ADD, f"assert add({n}, 2) == {n + 2}") for n in range(2)]
    benchmark = write(tmp_path / "mbpp.jsonl", known, *tasks)
    own = [{"id": f"mbpp/{row['task_id']}", "prompt": row["text"], "tests": row["test_list"]} for row in tasks]
    given = {
        "a benchmark's file": ["--problems", "mbpp", "--problems-file", benchmark],
        "a file of one's own": [
            "--problems",
            write(tmp_path / "own.jsonl", *own),
            "--decontaminate",
            f"mbpp={benchmark}",
        ],
    }[problems]
    replies = [{"problem_id": f"mbpp/{601 + n}", "response": f"```python\n{(KNOWN, '')[n]}{ADD}```"} for n in range(2)]
    common = [*given, "--teacher", f"recorded:{write(tmp_path / 'replies.jsonl', *replies)}"]
    command = [sys.executable, "-c", "from hf_structdistill.cli import main; main()", "traces"]
    script = [sys.executable, SCRIPTS / "datatrove_traces.py", "--tasks", "2"]
    cards = []
    for program, out in ((command, tmp_path / "command"), (script, tmp_path / "script")):
        environment = {**os.environ, "HF_ALLOW_CODE_EVAL": "1", "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [*program, *common, "--out", out], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        cards.append((out / "README.md").read_text().partition("## Make it again")[0])
    assert [row["problem_id"] for row in rows(tmp_path / "script", "traces")] == ["mbpp/602"]
    assert "Removed: **1**" in cards[1] and "| mbpp/601 | mbpp/11 | structure |" in cards[1]
    assert "**Not compared with HumanEval**: no file was given" in cards[1]
    assert cards[0] == cards[1]
    for config in ("sft", "traces"):
        assert rows(tmp_path / "script", config) == rows(tmp_path / "command", config), config
