"""`structdistill demo`, made small: the whole path, a second run that continues, a folder that is refused."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import load_dataset

SMALL = ["--listops", "8", "--seed-problems", "1", "--held-out", "4", "--epochs", "1", "--width", "32"]


def demo(out: Path, *options: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-c",
        "from hf_structdistill.cli import main; main()",
        "demo",
        "--out",
        str(out),
        *(options or SMALL),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    done = demo(out)
    assert done.returncode == 0, done.stderr[-3000:]
    return out, done


def test_prints_the_table_and_where_things_are(finished):
    out, done = finished
    for words in ("listops", "seed", "pass@1", "StructureAwareTrainer", "data flow", "parsed"):
        assert words in done.stdout
    shown = done.stdout.replace("\n", "")
    for place in ("report/report.html", "report/report.md", "student", "baseline", "traces"):
        assert f"{out.name}/{place}" in shown
        assert (out / place).exists()


def test_progress_goes_to_stderr(finished):
    assert "Verified in the sandbox" in finished[1].stderr
    assert "Training steps" in finished[1].stderr


def test_student_loads_with_transformers_alone(finished):
    code = (
        "import sys; sys.modules['hf_structdistill'] = None\n"
        "from transformers import pipeline\n"
        f"made = pipeline('text-generation', {str(finished[0] / 'student')!r})('Write', max_new_tokens=3)\n"
        "print(len(made))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "1", done.stderr[-2000:]


def test_traces_load(finished):
    sft = load_dataset(str(finished[0] / "traces"), "sft", split="train")
    assert len(sft) == 9
    assert {"prompt", "completion", "rejected"} <= set(sft.column_names)


def test_report_holds_curves_table_and_examples(finished):
    html = (finished[0] / "report" / "report.html").read_text()
    for words in ("attention", "nll", "pass@1", "StructureAwareTrainer", "Example 1"):
        assert words in html
    assert not re.search(r"(src|href)=.https?:", html), "the report must need nothing from outside"


def test_nothing_written_names_this_machine(finished):
    out, _ = finished
    for file in out.rglob("*"):
        if file.suffix in {".md", ".html", ".json", ".jsonl", ".yaml"}:
            assert str(out.parent) not in file.read_text(errors="replace"), file


def test_second_run_continues(finished):
    out, first = finished
    weights = (out / "student" / "model.safetensors").stat().st_mtime_ns
    again = demo(out)
    assert again.returncode == 0, again.stderr[-3000:]
    assert (out / "student" / "model.safetensors").stat().st_mtime_ns == weights
    assert "Training steps" not in again.stderr
    assert again.stdout == first.stdout


@pytest.mark.parametrize(
    "options, expected",
    [
        (SMALL[:-1] + ["64"], ["other settings", "--out"]),
        (SMALL[:-1] + ["33"], ["multiple of 16", "33"]),
    ],
)
def test_bad_settings(finished, options, expected):
    refused = demo(finished[0], *options)
    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    for words in expected:
        assert words in line


def test_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    refused = demo(tmp_path)
    assert refused.returncode == 2
    assert "not empty" in refused.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis.txt"]


def test_settings_are_recorded(finished):
    assert json.loads((finished[0] / "demo.json").read_text())["listops"] == 8
