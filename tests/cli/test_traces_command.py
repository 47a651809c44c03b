"""`structdistill traces`: what is compared with benchmarks, which options are checked, one line for bad input."""

import json
import os
import sys

import pytest

from hf_structdistill.cli import main

os.environ.setdefault("HF_ALLOW_CODE_EVAL", "1")

BODY = """    best = []
    total = 0
    top = None
    for x in xs:
        total += x
        if total >= limit:
            break
        top = x if top is None or x > top else top
        best.append(top)
    return best
"""
TASK = "Given a list of integers, return the running maximum of every prefix whose total stays below the threshold."
KNOWN = f"def run_max(xs, limit):\n{BODY}"
ADD = "def add(a, b):\n    return a + b\n"


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def traces(monkeypatch, capsys):
    """Run the command in this process; returns exit code, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["structdistill", "traces", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


@pytest.fixture
def material(tmp_path):
    """Two problems of a user, one of which HumanEval has, with replies to them, and that HumanEval."""
    known = {"id": "u/1", "prompt": TASK, "tests": ["assert run_max([1, 2], 9) == [1, 2]"], "solution": KNOWN}
    own = {"id": "u/3", "prompt": "Add two numbers with add.", "tests": ["assert add(1, 2) == 3"], "solution": ADD}
    write(tmp_path / "train.jsonl", {**known, "split": "train"}, {**own, "split": "train"})
    replies = [{"problem_id": "u/1", "response": f"```python\n{KNOWN}```"}]
    replies += [{"problem_id": name, "response": f"```python\n{ADD}```"} for name in ("u/2", "u/3")]
    write(tmp_path / "replies.jsonl", *replies)
    prompt = f'def run_max(xs, limit):\n    """{TASK}"""\n'
    test = "def check(candidate):\n    assert candidate([1, 2], 9) == [1, 2]\n"
    row = {"task_id": "HumanEval/0", "prompt": prompt, "entry_point": "run_max", "canonical_solution": BODY}
    write(tmp_path / "humaneval.jsonl", {**row, "test": test})
    study = {**known, "id": "u/2", "split": "test"}  # HumanEval has it too, and it stays, for study
    write(tmp_path / "mixed.jsonl", {**known, "split": "train"}, study, {**own, "split": "train"})
    return tmp_path


def ids(folder, config):
    from pyarrow import parquet

    return sorted(parquet.read_table(file)["problem_id"].to_pylist() for file in (folder / config).iterdir())


def test_training_problems_are_compared_whatever_test_problems_lie_beside_them(material, traces):
    common = ["--teacher", f"recorded:{material / 'replies.jsonl'}", "--workers", "1"]
    common += ["--decontaminate", f"humaneval={material / 'humaneval.jsonl'}"]
    found = {}
    for name in ("train", "mixed"):
        out = material / name
        code, said, err = traces("--problems", material / f"{name}.jsonl", *common, "--out", out)
        assert code == 0, err
        assert "1 problems or traces removed; compared with humaneval (test) 1" in said
        found[name] = ids(out, "sft"), sorted(sum(ids(out, "traces"), []))
    assert found == {"train": ([["u/3"]], ["u/3"]), "mixed": ([["u/3"]], ["u/2", "u/3"])}
    assert "any benchmark" not in (material / "train" / "README.md").read_text()
    card = (material / "mixed" / "README.md").read_text()
    assert "**Not compared with any benchmark (1 of 3 problems)**: problems of a test split" in card
