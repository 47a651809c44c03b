"""`structdistill evaluate` from end to end: two students, resuming, rescoring, and what it refuses."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from tiny_students import PROBLEMS, WRONG, answers
from typer.testing import CliRunner

from hf_structdistill.cli import evaluate as command
from hf_structdistill.cli._evaluate_scores import load_benchmark
from hf_structdistill.errors import InputError


@pytest.fixture
def run():
    app = typer.Typer()
    app.callback()(lambda: None)
    command.register(app)

    def call(*arguments):
        outcome = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
        if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
            raise outcome.exception
        return outcome

    return call


@pytest.fixture
def benchmark_file(tmp_path):
    path = tmp_path / "tiny.jsonl"
    rows = [
        {
            "id": p.id,
            "prompt": p.prompt,
            "entry_point": p.entry_point,
            "tests": p.tests.asserts,
            "solution": p.reference,
        }
        for p in PROBLEMS
    ]
    path.write_text("".join(json.dumps({**row, "split": "test"}) + "\n" for row in rows))
    return path


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_two_students_are_compared(run, benchmark_file, good_student, worse_student, tmp_path):
    out = tmp_path / "out"
    models = ("--model", worse_student, "--model", good_student)
    shown = run(
        *models, "--benchmark", benchmark_file, "--max-new-tokens", 100, "--bits-per-byte", "--out", out
    ).output
    assert "good and worse cannot be told apart on pass@1: 100.0% against 50.0%" in " ".join(shown.split())
    assert str(out / "report.html") in shown
    summary = results(out)
    assert [model["pass@k"]["1"] for model in summary["models"]] == [0.5, 1.0]
    assert summary["models"][1]["bits_per_byte"] > 0
    assert summary["models"][1]["completion_tokens"] > 100
    assert summary["models"][1]["generation_seconds"] > 0
    assert summary["models"][1]["model"] == good_student.name
    assert len(summary["models"][1]["fingerprint"]) == 16
    assert summary["models"][1]["prompt_format"] == "plain"
    assert summary["models"][1]["counts"]["cut_off"] == 0
    assert summary["sampling"] == {"max_new_tokens": 100, "num_samples": 1, "seed": 0, "temperature": 0, "top_p": 1}
    assert summary["prompt"]["recipe"] == "zero_shot"
    assert re.fullmatch("[0-9a-f]{16}", summary["prompt"]["sha256"])
    assert summary["content_hash"].startswith("sha256:")
    assert summary["limits"] == {"cpu_seconds": 5, "wall_seconds": 30, "memory_mb": 1024, "backend": "bubblewrap"}
    assert {"hf-structdistill", "torch", "transformers", "tree-sitter", "tree-sitter-python"} < set(
        summary["versions"]
    )
    for name in ("results.json", "report.html", "report.md", "samples.jsonl", "settings.json"):
        assert str(tmp_path.parent) not in (out / name).read_text(), f"{name} tells a path of this machine"


def test_a_second_run_continues_and_generates_nothing_twice(run, benchmark_file, good_student, tmp_path):
    out = tmp_path / "out"
    options = ("--model", good_student, "--benchmark", benchmark_file, "--max-new-tokens", 100, "--out", out)
    run(*options, "--limit", 2)
    log = out / "completions.jsonl"
    first = log.read_text()
    assert len(first.splitlines()) == 2
    log.write_text(first + '{"model": "good", "prob')  # killed while writing
    run(*options)
    lines = log.read_text().splitlines()
    assert len(lines) == 4
    assert log.read_text().startswith(first)
    assert results(out)["models"][0]["pass@k"]["1"] == 1.0
    # what is there is taken as it is: a doctored row is not generated again
    doctored = [{**json.loads(line), "completion": "nothing"} for line in lines]
    log.write_text("".join(json.dumps(row) + "\n" for row in doctored))
    run(*options)
    assert results(out)["models"][0]["counts"]["no_code"] == 4


def test_other_settings_do_not_mix(run, benchmark_file, good_student, worse_student, tmp_path):
    out, student = tmp_path / "out", tmp_path / "student"
    shutil.copytree(good_student, student)
    options = ("--model", student, "--benchmark", benchmark_file, "--limit", 1, "--out", out)
    run(*options, "--max-new-tokens", 20)
    before = (out / "completions.jsonl").read_text()
    with pytest.raises(InputError, match=r"made with max_new_tokens=20; this run asks for max_new_tokens=30"):
        run(*options, "--max-new-tokens", 30)
    shutil.copy(worse_student / "model.safetensors", student)
    with pytest.raises(InputError, match=r"student: fingerprint"):
        run(*options, "--max-new-tokens", 20)
    benchmark_file.write_text(benchmark_file.read_text().replace("Write double(n).", "Write double(n), please."))
    shutil.copy(good_student / "model.safetensors", student)
    with pytest.raises(InputError, match="the prompt of tiny/double has changed"):
        run(*options, "--max-new-tokens", 20)
    assert (out / "completions.jsonl").read_text() == before


def test_samples_are_scored_without_a_model(run, benchmark_file, tmp_path):
    path = tmp_path / "recorded.jsonl"
    path.write_text(
        "".join(
            json.dumps({"task_id": p.id, "completion": a}) + "\n"
            for p, a in zip(PROBLEMS, answers(wrong=("total",)), strict=True)
        )
    )
    run("--samples", path, "--benchmark", benchmark_file, "--out", tmp_path / "out")
    assert results(tmp_path / "out")["models"][0]["name"] == "recorded"
    assert results(tmp_path / "out")["models"][0]["pass@k"]["1"] == 0.75
    # and the file it wrote scores the same again
    run("--samples", tmp_path / "out" / "samples.jsonl", "--benchmark", benchmark_file, "--out", tmp_path / "again")
    assert results(tmp_path / "again")["models"][0]["scores"] == results(tmp_path / "out")["models"][0]["scores"]


def test_samples_with_a_temperature_give_pass_at_k(run, benchmark_file, good_student, tmp_path):
    sampling = ("--num-samples", 3, "--temperature", 0.7, "--top-p", 0.95, "--max-new-tokens", 60)
    out = tmp_path / "out"
    run("--model", good_student, "--benchmark", benchmark_file, *sampling, "--limit", 2, "--out", out)
    summary = results(out)
    assert summary["sampling"]["num_samples"] == 3
    assert summary["models"][0]["counts"]["samples"] == 6
    assert set(summary["models"][0]["pass@k"]) == set(summary["models"][0]["pass@k_interval_95"]) == {"1", "3"}
    assert len({(r["problem_id"], r["sample"]) for r in map(json.loads, (out / "samples.jsonl").open())}) == 6


def test_samples_that_are_added_or_continued_are_drawn_anew(run, benchmark_file, good_student, tmp_path):
    out = tmp_path / "out"
    options = ("--model", good_student, "--benchmark", benchmark_file, "--max-new-tokens", 8, "--temperature", 4)

    def drawn(folder, number, *more):
        run(*options, "--batch-size", 4, "--num-samples", number, "--out", folder, *more)
        rows = [json.loads(line) for line in (folder / "completions.jsonl").read_text().splitlines()]
        return {(row["problem_id"], row["sample"]): row["completion"] for row in rows}

    two = drawn(out, 2)
    log = out / "completions.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:4]))  # killed after the first batch
    assert drawn(out, 2) == two
    four = drawn(out, 4)
    assert {key: four[key] for key in two} == two
    for problem in PROBLEMS:
        assert len({four[problem.id, sample] for sample in range(4)}) == 4
    alone = ("--batch-size", 1, "--limit", 1)
    seeds = [drawn(tmp_path / f"seed{seed}", 4, *alone, "--seed", seed) for seed in (0, 1)]
    assert not set(seeds[0].values()) & set(seeds[1].values())


@pytest.mark.parametrize(
    ("name", "file", "first"),
    [
        ("mbpp", "mbpp.jsonl", "mbpp/11"),
        ("mbpp_plus", "mbpp_plus.jsonl", "mbpp_plus/"),
        ("humaneval", "humaneval.jsonl.gz", "humaneval/0"),
        ("listops", None, "listops/test/"),
        ("seed", None, "seed"),
    ],
)
def test_every_benchmark_by_its_name(shared_data, name, file, first):
    (problem,) = load_benchmark(name, shared_data / file if file else None, "test", 1)
    assert problem.id.startswith(first)
    assert problem.split == "test"
    assert load_benchmark(name, shared_data / file if file else None, "all", 1)


def test_the_test_split_of_a_file_of_ones_own(run, benchmark_file, tmp_path):
    rows = [json.loads(line) for line in benchmark_file.read_text().splitlines()]

    def ids(splits, split="test", limit=None):
        named = [{**row, "split": name} for row, name in zip(rows, splits, strict=True)]
        benchmark_file.write_text("".join(json.dumps(row) + "\n" for row in named))
        return [problem.id for problem in load_benchmark(str(benchmark_file), None, split, limit)]

    first, second, third, fourth = (row["id"] for row in rows)
    mixed = ("train", "test", "Test", "val")
    assert ids(mixed) == [second, third]
    assert ids(mixed, limit=1) == [second]
    assert ids(mixed, "validation") == [fourth]
    assert ids(mixed, "all") == [first, second, third, fourth]
    assert ids([None] * 4) == [first, second, third, fourth]  # no row says which split it is of
    assert ids([None] * 4, limit=2) == [first, second]
    with pytest.raises(InputError, match="split 'test' in .*tiny.jsonl', found the splits train, validation; name"):
        ids(("train", "train", "train", "val"))


def test_the_prompt_is_part_of_a_run(run, benchmark_file, good_student, tmp_path):
    recipe, out = tmp_path / "mine.jinja", tmp_path / "out"
    recipe.write_text("{% set stop = ['return'] %}{% set reads = 'code' %}{{ student_prompt }}")
    options = ("--model", good_student, "--benchmark", benchmark_file, "--limit", 1, "--out", out)
    run(*options, "--prompt", recipe)
    (row,) = map(json.loads, (out / "samples.jsonl").read_text().splitlines())
    assert (row["completion"][-4:], row["reads"], row["finish_reason"]) == ("    ", "code", "stop")
    assert results(out)["prompt"]["recipe"] == "mine.jinja"
    recipe.write_text(recipe.read_text().replace("return", "def"))
    with pytest.raises(InputError, match="holds completions made with prompt="):
        run(*options, "--prompt", recipe)


def test_what_is_there_is_scored_again(run, benchmark_file, good_student, tmp_path):
    out = tmp_path / "out"
    options = ("--benchmark", benchmark_file, "--out", out)
    run(*options, "--model", good_student, "--max-new-tokens", 100, "--bits-per-byte")
    before = results(out)
    (out / "completions.jsonl").unlink()
    run(*options, "--rescore", "--cpu-seconds", 3)
    after = results(out)
    assert after["limits"] == {**before["limits"], "cpu_seconds": 3}
    differ = {"date", "limits", "models"}
    assert {k: v for k, v in after.items() if k not in differ} == {k: v for k, v in before.items() if k not in differ}
    for entry in (before["models"][0], after["models"][0]):
        del entry["scoring_seconds"], entry["limits"]
    assert after["models"] == before["models"]
    run("--benchmark", benchmark_file, "--samples", f"renamed={out}", "--out", tmp_path / "other")
    (model,) = results(tmp_path / "other")["models"]
    assert (model["name"], model["bits_per_byte"]) == ("renamed", before["models"][0]["bits_per_byte"])
    assert model["prompt"] == before["prompt"]
    assert model["fingerprint"] in (tmp_path / "other" / "report.md").read_text()
    (out / "results.json").write_text("{")
    with pytest.raises(InputError, match=r"results.json' cannot be read \(JSONDecodeError"):
        run(*options, "--rescore")
    with pytest.raises(InputError, match="generates nothing"):
        run(*options, "--rescore", "--model", good_student)
    with pytest.raises(InputError, match=r"samples.jsonl' could not be read"):
        run("--benchmark", benchmark_file, "--out", tmp_path / "empty", "--rescore")


@pytest.mark.parametrize("again", [("--rescore",), ("--samples", "{out}"), ("--samples", "x={out}/samples.jsonl")])
@pytest.mark.parametrize("part", [("--limit", 2), ("--split", "train")])
def test_samples_of_other_problems_are_not_lost(run, benchmark_file, tmp_path, again, part):
    first, *others = map(json.loads, benchmark_file.read_text().splitlines())
    rows = [{**first, "split": "train"}, *others]
    benchmark_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = [{"task_id": p.id, "completion": a} for p, a in zip(PROBLEMS, answers(), strict=True)]
    (tmp_path / "made.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    out, common = tmp_path / "out", ("--benchmark", benchmark_file, "--out")
    run(*common, out, "--split", "all", "--samples", tmp_path / "made.jsonl")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    again = [word.format(out=out) for word in again]
    with pytest.raises(InputError, match="has 4 samples, [23] of them for other problems .* another --out"):
        run(*common, out, *again, *part)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    run(*common, tmp_path / "part", "--samples", out, *part)  # into another folder they may be
    run(*common, out, "--split", "all", *again)
    assert len((out / "samples.jsonl").read_text().splitlines()) == 4


def test_files_are_students_beside_a_model(run, benchmark_file, good_student, tmp_path):
    path = tmp_path / "recorded.jsonl"
    rows = [{"task_id": p.id, "completion": a} for p, a in zip(PROBLEMS, answers(wrong=("total",)), strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--benchmark", benchmark_file, "--out", tmp_path / "out")
    three = ("--samples", f"once={path}", "--samples", f"twice={path}")
    run(*options, "--model", good_student, "--max-new-tokens", 100, *three)
    summary = results(tmp_path / "out")
    assert [model["name"] for model in summary["models"]] == ["good", "once", "twice"]
    assert summary["samples_files"] == ["recorded.jsonl"] * 2
    passes = [c for c in summary["comparisons"] if c["metric"] == "pass@1"]
    assert [(c["base"], c["other"], c["p_value"], c["p_adjusted"]) for c in passes] == [
        ("good", "once", 1.0, 1.0),
        ("good", "twice", 1.0, 1.0),
    ]
    with pytest.raises(InputError, match="Two students are called 'recorded'"):
        run(*options, "--samples", path, "--samples", path)


def test_several_samples_of_an_evalplus_file(run, benchmark_file, tmp_path):
    rows = [
        {"task_id": p.id, "solution": code} for p in PROBLEMS for code in (p.reference, WRONG.get(p.entry_point, ""))
    ]
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("--samples", path, "--benchmark", benchmark_file, "--out", tmp_path / "out")
    (model,) = results(tmp_path / "out")["models"]
    assert model["pass@k"]["1"] == 0.5
    assert model["counts"]["samples"] == 8


def test_humaneval_bodies_continue_their_prompt(run, shared_data, tmp_path):
    with gzip.open(shared_data / "humaneval.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file][:6]
    path = tmp_path / "bodies.jsonl"
    path.write_text(
        "".join(json.dumps({"task_id": r["task_id"], "completion": r["canonical_solution"]}) + "\n" for r in rows)
    )
    source = ("--problems-file", shared_data / "humaneval.jsonl.gz", "--limit", 6)
    run("--samples", path, "--benchmark", "humaneval", *source, "--out", tmp_path / "out")
    assert results(tmp_path / "out")["models"][0]["pass@k"]["1"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--benchmark", "seed"), "Give --model"),
        (("--benchmark", "seed", "--model", "./missing"), "does not exist"),
        (("--benchmark", "nonsense", "--model", "x"), "nonsense"),
        (("--benchmark", "seed", "--samples", "missing.jsonl"), "missing.jsonl"),
        (("--benchmark", "seed", "--model", "x", "--num-samples", "3"), "needs a --temperature"),
        (("--benchmark", "seed", "--model", "x", "--prompt-format", "odd"), "--prompt-format"),
        (("--benchmark", "missing.jsonl", "--model", "x"), "missing.jsonl"),
        (("--benchmark", "seed", "--model", "x", "--prompt", "haiku"), "Expected a prompt recipe"),
        (("--benchmark", "seed", "--samples", "x", "--endpoint", "http://localhost"), "needs --model"),
        (("--benchmark", "seed", "--samples", "x", "--temperature", 0), "--temperature is about generating"),
        (("--benchmark", "seed", "--rescore", "--bits-per-byte"), "--bits-per-byte is about generating"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        run(*arguments, "--out", tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_samples_of_another_benchmark_are_refused(run, benchmark_file, tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text('{"task_id": "Other/1", "solution": "x = 1"}\n')
    with pytest.raises(InputError, match="none of its 1 rows belongs to the 4 problems"):
        run("--samples", path, "--benchmark", benchmark_file, "--out", tmp_path / "out")
    path.write_text('{"task_id": "tiny/double"}\n')
    with pytest.raises(InputError, match=r"row 1: expected 'problem_id'.*'completion'"):
        run("--samples", path, "--benchmark", benchmark_file, "--out", tmp_path / "out")
    path.write_text("not json\n")
    with pytest.raises(InputError, match=r"line 1: expected a JSON object"):
        run("--samples", path, "--benchmark", benchmark_file, "--out", tmp_path / "out")


def test_an_interrupted_run_keeps_its_completions(benchmark_file, good_student, tmp_path):
    rows = [json.loads(line) for line in benchmark_file.read_text().splitlines()]
    rows = [{**row, "id": f"{row['id']}/{i}"} for i in range(100) for row in rows]
    benchmark_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    log = tmp_path / "out" / "completions.jsonl"
    options = ["--model", good_student, "--benchmark", benchmark_file, "--batch-size", "1", "--out", tmp_path / "out"]
    command = [sys.executable, "-c", "from hf_structdistill.cli import main; main()", "evaluate", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not log.exists() or log.read_text().count("\n") < 3:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=240)[1]
    assert process.returncode == 130
    assert "Traceback" not in errors
    kept = [json.loads(line) for line in log.read_text().splitlines()]
    assert 3 <= len(kept) < 400
    assert all(row["completion"].startswith("1. I write") for row in kept)


def test_the_python_example_of_the_docs_runs(good_student, worse_student, tmp_path, monkeypatch, capsys):
    docs = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", docs, re.DOTALL)
    (tmp_path / "baseline").symlink_to(worse_student)
    (tmp_path / "student").symlink_to(good_student)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "docs/evaluation.md", "exec"), {})
    assert "pass@1 0.0" in capsys.readouterr().out
    assert (tmp_path / "results" / "report.html").is_file()
