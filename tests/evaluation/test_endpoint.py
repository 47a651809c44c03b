"""Evaluation of a model behind a real HTTP server on loopback, the command in a process of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_students import PROBLEMS, answers

SERVER = Path(__file__).parents[1] / "teachers" / "chat_server.py"


@pytest.fixture
def server(tmp_path):
    started = []

    def start(contents, faults=""):
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        (folder / "answers.json").write_text(json.dumps(contents))
        files = {"answers": folder / "answers.json", "log": folder / "log", "port-file": folder / "port"}
        options = [part for name, path in files.items() for part in (f"--{name}", path)]
        started.append(subprocess.Popen([sys.executable, SERVER, *options, "--faults", faults]))
        while not (folder / "port").exists():
            assert started[-1].poll() is None
            time.sleep(0.01)
        return f"http://127.0.0.1:{(folder / 'port').read_text()}/v1"

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def benchmark_file(tmp_path):
    rows = [
        {
            "id": p.id,
            "prompt": f"{p.prompt} You must define `{p.entry_point}`.",
            "entry_point": p.entry_point,
            "tests": p.tests.asserts,
            "solution": p.reference,
        }
        for p in PROBLEMS
    ]
    path = tmp_path / "tiny.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*arguments):
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    command = [sys.executable, "-c", "from hf_structdistill.cli import main; main()", "evaluate", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_a_served_model_is_evaluated_through_faults_and_reasoning(server, benchmark_file, tmp_path):
    contents = {p.entry_point: {"content": a} for p, a in zip(PROBLEMS, answers(wrong=("total",)), strict=True)}
    contents["last"]["reasoning_content"] = "```python\ndef last(xs): return 0\n```"  # thoughts are no answer
    url = server(contents, faults="429,500")
    out = tmp_path / "out"
    done = run("--model", "me/served", "--endpoint", url, "--benchmark", benchmark_file, "--out", out)
    assert done.returncode == 0, done.stderr
    (model,) = json.loads((out / "results.json").read_text())["models"]
    assert model["name"] == "served"
    assert model["pass@k"]["1"] == 0.75
    assert model["completion_tokens"] == 200


def test_requests_that_fail_for_good_are_asked_again_by_a_second_run(server, benchmark_file, tmp_path):
    out = tmp_path / "out"
    options = ("--model", "served", "--benchmark", benchmark_file, "--out", out)
    broken = run(*options, "--endpoint", server({}, faults="always"))
    assert broken.returncode == 2
    assert "4 of 4 requests" in broken.stderr.splitlines()[-1]
    contents = {p.entry_point: {"content": a} for p, a in zip(PROBLEMS, answers(), strict=True)}
    assert run(*options, "--endpoint", server(contents)).returncode == 0
    assert json.loads((out / "results.json").read_text())["models"][0]["pass@k"]["1"] == 1.0


def test_a_student_that_says_nothing_is_wrong_and_not_asked_again(server, benchmark_file, tmp_path):
    contents = {p.entry_point: {"content": a} for p, a in zip(PROBLEMS, answers(), strict=True)}
    contents["last"]["content"] = ""
    out = tmp_path / "out"
    done = run("--model", "served", "--endpoint", server(contents), "--benchmark", benchmark_file, "--out", out)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "results.json").read_text())["models"][0]["pass@k"]["1"] == 0.75


def test_an_address_without_a_scheme_is_one_line(benchmark_file, tmp_path):
    out = tmp_path / "out"
    options = ("--model", "served", "--benchmark", benchmark_file, "--out", out)
    done = run(*options, "--endpoint", "localhost:8000/v1")
    assert done.returncode == 2 and not out.exists()
    assert done.stderr.startswith("error: Expected --endpoint to begin with http://"), done.stderr
    assert done.stderr.count("\n") == 1 and "'localhost:8000/v1'" in done.stderr


def test_a_recipe_is_asked_and_read_through_an_endpoint(server, benchmark_file, tmp_path):
    contents = {p.entry_point: {"content": f"[BEGIN]\n{p.reference}[DONE]\nNow another task."} for p in PROBLEMS}
    recipe = tmp_path / "done.jinja"
    recipe.write_text("{% set reads = 'code' %}{% set stop = ['[DONE]'] %}{{ student_prompt }}[BEGIN]\n")
    options = ("--model", "/srv/models/served", "--endpoint", server(contents), "--benchmark", benchmark_file)
    out = tmp_path / "out"
    done = run(*options, "--prompt", recipe, "--out", out)
    assert done.returncode == 0, done.stderr
    (model,) = json.loads((out / "results.json").read_text())["models"]
    assert model["pass@k"]["1"] == 1.0
    assert model["model"] == "served"  # not where the server keeps it
    assert model["generation_seconds"] > 0
    assert "another task" not in (out / "samples.jsonl").read_text()
