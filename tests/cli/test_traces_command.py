"""`structdistill traces`: what is compared with benchmarks, which options are checked, what may be trained on."""

import json
import os

import pytest

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


def column(folder, config, name):
    from pyarrow import parquet

    return sorted(parquet.read_table(file)[name].to_pylist() for file in (folder / config).iterdir())


def ids(folder, config):
    return column(folder, config, "problem_id")


def test_training_problems_are_compared_whatever_test_problems_lie_beside_them(material, run):
    common = ["--teacher", f"recorded:{material / 'replies.jsonl'}", "--workers", "1"]
    common += ["--decontaminate", f"humaneval={material / 'humaneval.jsonl'}"]
    found = {}
    for name in ("train", "mixed"):
        out = material / name
        code, said, err = run("traces", "--problems", material / f"{name}.jsonl", *common, "--out", out)
        assert code == 0, err
        assert "1 problems or traces removed; compared with humaneval (test) 1" in said
        found[name] = ids(out, "sft"), sorted(sum(ids(out, "traces"), []))
    assert found == {"train": ([["u/3"]], ["u/3"]), "mixed": ([["u/3"]], ["u/2", "u/3"])}
    assert "any benchmark" not in (material / "train" / "README.md").read_text()
    card = (material / "mixed" / "README.md").read_text()
    assert "**Not compared with any benchmark (1 of 3 problems)**: problems of a test split" in card


def test_every_file_of_benchmarks_is_compared(material, run):
    own = {"prompt": "Something else.", "solution": "x = 1", "split": "test"}
    known = {**own, "prompt": TASK, "solution": KNOWN}
    files = [write(material / f"{name}.jsonl", row) for name, row in (("known", known), ("else", own))]
    for number, order in enumerate((files, files[::-1])):
        compared = [f"--decontaminate=jsonl={file}" for file in order]
        common = ["--teacher", f"recorded:{material / 'replies.jsonl'}", "--workers", "1", *compared]
        code, said, err = run(
            "traces", "--problems", material / "train.jsonl", *common, "--out", material / str(number)
        )
        assert code == 0, err
        assert "1 problems or traces removed; compared with jsonl (test) 2" in said


def test_one_problem_is_one_and_a_file_of_ones_own_gives_its_name(material, run):
    own = {"prompt": "Add two numbers with add.", "tests": ["assert add(1, 2) == 3"], "solution": ADD}
    write(material / "sums.v2.jsonl", own)
    write(material / "said.jsonl", {"problem_id": "0", "response": f"```python\n{ADD}```"})
    common = ["--teacher", f"recorded:{material / 'said.jsonl'}", "--workers", "1", "--out", material / "out"]
    for problems in (["jsonl", "--problems-file", material / "sums.v2.jsonl"], [material / "sums.v2.jsonl"]):
        code, said, err = run("traces", "--problems", *problems, *common)
        assert code == 0, err
        assert "1 training example for 1 problem, 0 with" in said
        card = (material / "out" / "README.md").read_text()
        assert "# Verified reasoning traces for sums\n" in card and "1 reply of 1 teacher" in card
        assert "to 1 programming problem:" in card and "The problem has at least one reply that passes" in card
    assert "1 reply was already in the journal" in said
    code, said, err = run(
        "traces",
        "--problems",
        "seed",
        "--limit",
        "1",
        "--teacher",
        "scripted",
        "--workers",
        "1",
        "--out",
        material / "s",
    )
    assert code == 0 and "traces for hf-structdistill's seed problems\n" in (material / "s" / "README.md").read_text()


def test_a_folder_with_a_readme_of_others_is_refused_before_anything_is_asked(material, run):
    (material / "out").mkdir()
    (material / "out" / "README.md").write_text("mine")
    common = ["--problems", material / "train.jsonl", "--out", material / "out"]
    line = refused(run, *common, "--teacher", f"recorded:{material / 'replies.jsonl'}")
    assert "README.md" in line and "--out" in line
    assert [path.name for path in (material / "out").iterdir()] == ["README.md"]


@pytest.mark.parametrize("prompt", [{}, {"prompt": "Add two numbers with add."}])
def test_traces_without_a_passing_reply_are_not_trained_on(material, run, prompt):
    write(material / "wrong.jsonl", {"problem_id": "u/3", "response": "```python\ndef add(a, b): pass\n```", **prompt})
    out, wrong = material / "out", f"recorded:{material / 'wrong.jsonl'}"
    code, said, err = run("traces", "--problems", material / "train.jsonl", "--teacher", wrong, "--out", out)
    assert code == 0 and "0 training examples" in said, err
    assert not (out / "sft").exists()
    model = material / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    asked = ["train", "--dataset_name", out, "--model_name_or_path", model, "--use_cpu", "--bf16", "False"]
    embed = ["embed", "--dataset", out, "--encoder", "fingerprint"]
    for command in (asked, [*asked, "--dataset_streaming"], [*asked, "--dataset_config", "traces"], embed):
        code, _, err = run(*command, *([] if command is embed else ["--output_dir", material / "student"]))
        assert code == 2, err
        (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
        assert f"'{out}' has replies with verdicts" in line and "sft" in line
    assert not (material / "student").exists()


def refused(run, *arguments):
    """The one line that says why, after exit code 2."""
    code, _, err = run("traces", *arguments)
    assert code == 2, err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    return line


def test_a_limit_on_the_cost_needs_a_price(tmp_path, run):
    common = ["--problems", "seed", "--limit", "2", "--teacher", "a/b", "--max-cost", "20", "--out", tmp_path / "o"]
    common += ["--export-requests", tmp_path / "requests.jsonl"]  # nothing is asked
    line = refused(run, *common)
    assert "--price-in" in line and "--max-cost 20" in line and not (tmp_path / "requests.jsonl").exists()
    assert run("traces", *common, "--price-out", "0.8")[0] == 0


def test_templates_of_a_folder_are_used_or_refused(tmp_path, run):
    requests = tmp_path / "requests.jsonl"
    common = ["--problems", "seed", "--limit", "1", "--teacher", "a/b", "--out", tmp_path / "o"]
    common += ["--export-requests", requests]
    (tmp_path / "own").mkdir()
    for folder in ("nowhere", "own"):
        line = refused(run, *common, "--recipe-folder", tmp_path / folder)
        assert "forward.jinja" in line and str(tmp_path / folder) in line and not requests.exists()
    (tmp_path / "own" / "forward.jinja").write_text("Solve: {{ problem.prompt }}")
    assert run("traces", *common, "--recipe-folder", tmp_path / "own", "--recipes", "forward,backward")[0] == 0
    prompts = [json.loads(line)["body"]["messages"][0]["content"] for line in requests.read_text().splitlines()]
    assert [prompt.startswith("Solve: ") for prompt in prompts] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scripted", "--recipes", "forwrd"], ["--recipes", "'forwrd'", "forward, backward, repair"]),
        (["recorded:{folder}/replies.jsonl", "--recipes", "repair"], ["replies.jsonl", "forward or backward"]),
        (["recorded:{folder}/none.jsonl"], ["Expected a file at", "none.jsonl"]),
    ],
)
def test_recipes_and_recordings_that_do_not_exist(material, run, arguments, words):
    given = [argument.format(folder=material) for argument in arguments]
    line = refused(run, "--problems", "seed", "--limit", "1", "--out", material / "o", "--teacher", *given)
    assert all(word in line for word in words), line
    assert not (material / "o").exists()


@pytest.mark.parametrize(
    "teachers",
    [
        ["scripted", "scripted"],
        ["a/x", "b/y", "a/x"],
        ["recorded:{folder}/replies.jsonl", "recorded:{folder}/../{folder.name}/replies.jsonl"],
    ],
)
def test_a_teacher_named_twice(material, run, teachers):
    given = [f"--teacher={teacher}".format(folder=material) for teacher in teachers]
    line = refused(run, "--problems", "seed", "--limit", "1", "--out", material / "o", *given)
    assert "each --teacher once" in line and given[-1].removeprefix("--teacher=") in line and "--temperature" in line
    assert not (material / "o").exists()


def test_recipes_named_twice_and_two_models_in_a_request_file(tmp_path, run):
    requests = tmp_path / "requests.jsonl"
    common = ["--problems", "seed", "--limit", "1", "--teacher", "a/x", "--out", tmp_path / "o"]
    common += ["--export-requests", requests]
    assert "--recipes to name each recipe once" in refused(run, *common, "--recipes", "forward,forward")
    assert "found a/x, b/y" in refused(run, *common, "--teacher", "b/y")
    assert not requests.exists()


def test_replies_of_a_batch_that_are_in_no_trace_are_told(material, run):
    def row(name, content, status=200):
        body = {"model": "gpt-x", "choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
        return {"custom_id": f"{name}#forward#0", "response": {"status_code": status, "body": body}}

    rows = [row("u/3", f"```python\n{ADD}```"), row("u/1", "", 500), row("U/9", "x = 1")]
    recorded = f"recorded:{write(material / 'batch.jsonl', *rows)}"
    common = ["--problems", material / "train.jsonl", "--teacher", recorded, "--workers", "1"]
    code, said, err = run("traces", *common, "--out", material / "o")
    assert code == 0, err
    assert "batch.jsonl: 1 requests failed there" in said and "1 ids are of no problem" in said and "(U/9)" in said
    assert "1 teacher (gpt-x)" in (material / "o" / "README.md").read_text()
    code, said, err = run("traces", *common, "--teacher-name", "GPT X, May", "--out", material / "o")
    assert code == 0, err
    card = (material / "o" / "README.md").read_text()
    assert "1 teacher (GPT X, May)" in card and "--teacher-name 'GPT X, May'" in card and "gpt-x" not in card
    assert column(material / "o", "sft", "teacher") == [["GPT X, May"]]
    write(material / "batch.jsonl", *rows[1:])
    assert "1 requests failed there" in refused(run, *common, "--out", material / "none")


@pytest.mark.parametrize(
    ("teachers", "option", "value"),
    [
        (["scripted"], "--recipes", "forward"),
        (["scripted", "recorded:{folder}/replies.jsonl"], "--recipe-folder", "{folder}"),
        (["scripted"], "--teacher-revision", "main"),
        (["local:a/b"], "--base-url", "http://localhost:1/v1"),
        (["scripted"], "--temperature", "0.8"),
        (["scripted"], "--seed", "3"),
        (["recorded:replies.jsonl"], "--max-new-tokens", "99"),
        (["local:a/b", "scripted"], "--concurrency", "2"),
        (["local:a/b"], "--max-tokens-total", "1000"),
        (["recorded:{folder}/replies.jsonl"], "--provider", "auto"),
        (["scripted", "a/x"], "--teacher-name", "me"),
    ],
)
def test_options_that_no_teacher_reads_are_refused(material, run, teachers, option, value):
    given = [f"--teacher={teacher}".format(folder=material) for teacher in teachers]
    common = ["--problems", "seed", "--limit", "1", "--out", material / "o", *given]
    line = refused(run, *common, option, value.format(folder=material))
    assert option in line and "no teacher here reads it" in line and teachers[0].partition(":")[0] in line
    assert not (material / "o").exists()


@pytest.mark.parametrize(
    "option",
    [
        "--max-new-tokens=-5",
        "--temperature=-1",
        "--concurrency=0",
        "--max-tokens-total=0",
        "--max-cost=-1",
        "--price-in=-1",
        "--price-out=-1",
        "--workers=0",
        "--limit=0",
    ],
)
def test_numbers_out_of_range(tmp_path, run, option):
    requests = tmp_path / "requests.jsonl"
    common = ["--problems", "seed", "--teacher", "a/b", "--out", tmp_path / "o", "--export-requests", requests]
    common += ["--price-in", "1"]  # a limit on the cost needs one
    code, _, err = run("traces", *common, option)
    assert code == 2 and option.partition("=")[0] in err and "Traceback" not in err
    assert not requests.exists()
