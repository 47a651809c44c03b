"""The metric folders as `evaluate` loads them: from the folder, offline, combined, in eight processes at once."""

import doctest
import multiprocessing
import os
import sys

import datasets
import evaluate
import numpy as np
import pytest
import yaml

from hf_structdistill.errors import InputError
from hf_structdistill.resources import shipped_folder
from hf_structdistill.scoring import codebleu, dataflow_match, syntax_match

NAMES = ("dataflow_match", "structural_codebleu", "syntax_match", "verified_pass_at_k")
METRICS = shipped_folder("metrics")
ADD, OTHER = "def f(a, b):\n    return a + b", "def g(n):\n    m = n\n    return m - 1"


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """evaluate copies modules into a cache of the user; the tests use one of their own."""
    folder = tmp_path_factory.mktemp("evaluate")
    patch = pytest.MonkeyPatch()
    patch.setattr(evaluate.config, "HF_METRICS_CACHE", str(folder / "metrics"))
    patch.setattr(evaluate.config, "HF_MODULES_CACHE", str(folder / "modules"))
    yield folder
    patch.undo()


def load(name):
    return evaluate.load(str(METRICS / name))


@pytest.mark.parametrize("name", NAMES)
def test_docstring_examples_run(name):
    module = sys.modules[type(load(name)).__module__]
    results = doctest.testmod(module)
    assert results.attempted >= 4 and results.failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_readme_examples_run(name):
    text = (METRICS / name / "README.md").read_text()
    blocks = text.split("```python\n")[1:]
    code = "".join(block.split("```")[0] for block in blocks)
    usage, examples = code[: code.index(">>>")], code[code.index(">>>") :]
    names: dict = {}
    exec(usage, names)
    test = doctest.DocTestParser().get_doctest(examples, names, name, None, 0)
    results = doctest.DocTestRunner().run(test)
    assert results.attempted >= 3 and results.failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_folder_is_a_space(name):
    folder = METRICS / name
    front = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    assert front["sdk"] == "gradio" and front["app_file"] == "app.py" and {"evaluate", "metric"} <= set(front["tags"])
    app = (folder / "app.py").read_text()
    compile(app, "app.py", "exec")
    assert f'evaluate.load("{name}.py")' in app
    # evaluate's own widget is written for gradio 3; the page and the pinned gradio must be of one age
    assert int(front["sdk_version"].split(".")[0]) >= 6 and "launch_gradio_widget" not in app
    assert "hf-structdistill" in (folder / "requirements.txt").read_text()
    for heading in ("What it measures", "How to use", "Values", "Examples", "Limits and bias", "Citation"):
        assert f"## {heading}\n" in (folder / "README.md").read_text()


def test_they_return_what_scoring_returns():
    predictions, several = [ADD, OTHER, "def ("], [[ADD, OTHER], [ADD], [OTHER]]
    single = [OTHER, ADD, ADD]
    for name, score in (("syntax_match", syntax_match), ("dataflow_match", dataflow_match)):
        metric = load(name)
        for references in (several, single):
            for options in ({}, {"mode": "codexglue", "per_sample": True, "floor_shuffles": 1}):
                found = metric.compute(predictions=predictions, references=references, **options)
                assert found == score(predictions, references, **options)
    found = load("structural_codebleu").compute(predictions=predictions, references=single, per_sample=True)
    assert found == codebleu(predictions, single, per_sample=True)


def test_added_in_batches():
    metric = load("syntax_match")
    metric.add(prediction=ADD, reference=OTHER)
    metric.add_batch(predictions=[OTHER, ADD], references=[OTHER, OTHER])
    assert metric.compute() == syntax_match([ADD, OTHER, ADD], [OTHER, OTHER, OTHER])


def test_references_of_both_forms():
    """evaluate itself would cast all to the form of the first."""
    for name, score in (("syntax_match", syntax_match), ("dataflow_match", dataflow_match)):
        metric = load(name)
        for references in ([ADD, [OTHER, ADD]], [[OTHER, ADD], ADD]):
            assert metric.compute(predictions=[OTHER, ADD], references=references) == score([OTHER, ADD], references)
        metric.add(prediction=OTHER, reference=ADD)
        metric.add(prediction=ADD, reference=[OTHER, ADD])
        assert metric.compute() == score([OTHER, ADD], [ADD, [OTHER, ADD]])


@pytest.mark.parametrize(("predictions", "references", "message"), [
    (ADD, [ADD], "expected a list for predictions, got str: give a list, one entry a sample"),
    ([ADD, ADD], ADD[:2], "expected a list for references, got str"),
    ([], [], "expected at least one prediction, got empty lists: score one program or more"),
    ([ADD, ADD], [ADD], "as many references as predictions, got 2 predictions and 1 references"),
    ([None], [ADD], r"a program as a string at predictions\[0\], got NoneType: score a completion without code as"),
    ([ADD], [[ADD, 1]], r"a program as a string at references\[0\]\[1\], got int"),
    ([ADD], None, "expected a list for references, got NoneType"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["syntax_match", "dataflow_match", "structural_codebleu"])
def test_what_is_no_list_of_programs_is_refused(name, predictions, references, message):
    metric = load(name)
    with pytest.raises(InputError, match=message):
        metric.compute(predictions=predictions, references=references)
    assert metric.compute(predictions=[ADD], references=[ADD])["unparsable_predictions"] == 0  # as if not asked before


def test_arrays_and_columns_and_an_empty_batch_behind_others():
    predictions, references = [ADD, OTHER], [[OTHER, ADD], [ADD, ADD]]
    metric, expected = load("syntax_match"), syntax_match(predictions, references)
    rows = datasets.Dataset.from_dict({"predictions": predictions, "references": references})
    assert metric.compute(predictions=np.array(predictions), references=np.array(references)) == expected
    assert metric.compute(predictions=rows["predictions"], references=rows["references"]) == expected
    metric.add_batch(predictions=predictions, references=references)
    metric.add_batch(predictions=[], references=[])
    assert metric.compute() == expected


def test_combined():
    both = evaluate.combine([load("syntax_match"), load("dataflow_match")])
    scores = both.compute(predictions=[ADD, OTHER], references=[ADD, ADD])
    syntax, dataflow = syntax_match([ADD, OTHER], [ADD, ADD]), dataflow_match([ADD, OTHER], [ADD, ADD])
    assert scores["syntax_match_macro"] == syntax["syntax_match_macro"]
    assert scores["dataflow_match_macro"] == dataflow["dataflow_match_macro"]
    assert scores["syntax_match_matched"] == syntax["matched"]  # a name both have gets its metric's in front
    assert scores["dataflow_match_total"] == dataflow["total"]


def test_verified_pass_at_k():
    right, wrong = "def add(a, b):\n    return a + b", "def add(a, b):\n    return a"
    helper = "import math\ndata = [1, 2]\nassert add(*data) == 3\ndata = [0, 5]\nassert add(*data) == math.floor(5.5)"
    check = "def check(candidate):\n    assert candidate(1, 1) == 2\n\ncheck(add)"
    scores = load("verified_pass_at_k").compute(
        predictions=[[right, wrong], [right, "def add(:"], [right, wrong]],
        references=[helper, check, "print('no test')"],
        k=[1, 2, 3],
        num_workers=1,
    )
    assert scores == {
        "pass@1": 0.5, "pass@2": 1.0, "passed": 2, "failed": 1, "timeout": 0, "error": 1, "unknown": 2,
    }  # fmt: skip


@pytest.mark.parametrize("tests, status", [
    ("assert add(1, 1) == 2\nfor i in range(5):\n    assert add(i, i) == 2 * i", "failed"),
    ("assert add(1, 1) == 2\ntry:\n    add('a', 1)\n    assert False\nexcept TypeError:\n    pass", "failed"),
    ("for i in range(5):\n    assert add(i, i) == 2 * i", "failed"),
    ("def test_add():\n    assert add(2, 2) == 4\n\ntest_add()", "failed"),
    ("assert add(1, 1) == 2\nprint('fine')", "passed"),
    ("def test_add():\n    assert add(2, 2) == 4\n\nif __name__ == '__main__':\n    test_add()", "failed"),
    ("def check(f):\n    assert f(2, 2) == 4\n\nif __name__ == '__main__':\n    check(add)", "failed"),
    ("def test_add():\n    assert add(2, 2) == 4", "unknown"),  # nobody calls it
    ("add(1, 1)", "unknown"),
    ("def test_add():\n    assert add(2, 2) == 4\n\nadd(1, 1)", "unknown"),
    ("import math\nx = math.sqrt(4)\ndef test_add():\n    assert add(2, 2) == 4\n\nprint(x)", "unknown"),
])  # fmt: skip
def test_verified_pass_at_k_runs_every_statement(tests, status):
    right, wrong = "def add(a, b):\n    return a + b", "def add(a, b):\n    return 2"
    metric = load("verified_pass_at_k")
    found = metric.compute(predictions=[[wrong]], references=[tests], k=[1], num_workers=1)
    assert found[status] == 1
    found = metric.compute(predictions=[[right]], references=[tests], k=[1], num_workers=1)
    assert found["unknown" if status == "unknown" else "passed"] == 1


def test_verified_pass_at_k_takes_solutions_for_tests_of_classes():
    stack = """
class Stack:
    def __init__(self):
        self.xs = []

    def push(self, x):
        self.xs.append(x)

    def pop(self):
        return self.xs.pop()

    def __len__(self):
        return len(self.xs)
"""
    tests = "s = Stack()\ns.push(1)\ns.push(2)\nassert s.pop() == 2\nassert len(s) == 1"
    asked = {"predictions": [[stack, stack.replace("len(self.xs)", "2")]], "references": [tests], "k": [1]}
    metric = load("verified_pass_at_k")
    assert metric.compute(**asked, num_workers=1)["passed"] == 0  # nothing says that a Stack may do that
    found = metric.compute(**asked, num_workers=1, solutions=[stack])
    assert (found["passed"], found["failed"]) == (1, 1)
    with pytest.raises(ValueError, match="for each of 1 references, got 2"):
        metric.compute(**asked, solutions=[stack, None])


@pytest.mark.parametrize("k", [1, np.int64(1), np.array([1]), (1, 1)])
def test_verified_pass_at_k_takes_any_integer(k):
    found = load("verified_pass_at_k").compute(
        predictions=[["x = 1"]], references=["assert x == 1"], k=k, num_workers=1
    )
    assert [name for name in found if "@" in name] == ["pass@1"]


@pytest.mark.parametrize(("predictions", "references", "k", "message"), [
    ([], [], 1, "expected at least one problem, got empty lists: give the tests of each as a reference"),
    ("x = 1", ["assert x"], 1, "expected a list for predictions, got str"),
    ([["x = 1"]], "a", 1, "expected a list for references, got str"),
    (["x = 1"], ["assert x"], 1, r"a list of programs at predictions\[0\], got str: give a list, even of one program"),
    ([["x = 1"]], ["assert x"], 0, r"positive sample counts for k, got 0: give a list such as \[1, 10\]"),
    ([["x = 1"]], ["assert x"], "1", "positive sample counts for k, got '1'"),
    ([["x = 1"]], ["assert x"], [1, True], r"positive sample counts for k, got \[1, True\]"),
    ([["x = 1"]], ["assert x"], 1.0, "positive sample counts for k, got 1.0"),
])  # fmt: skip
def test_verified_pass_at_k_refuses_other_forms(predictions, references, k, message):
    with pytest.raises(InputError, match=message):
        load("verified_pass_at_k").compute(predictions=predictions, references=references, k=k)


def test_verified_pass_at_k_refuses_two_checks():
    tests = "def check(candidate):\n    assert candidate(1) == 1\n\ncheck(f)\ncheck(g)"
    with pytest.raises(ValueError, match=r"one call of check at references\[0\], got check of f, g"):
        load("verified_pass_at_k").compute(predictions=[["x"]], references=[tests], k=[1])


def test_verified_pass_at_k_refuses_tests_that_are_no_code():
    with pytest.raises(ValueError, match=r"tests as Python code at references\[1\]"):
        load("verified_pass_at_k").compute(predictions=[["x"], ["y"]], references=["assert x", "assert ("], k=[1])


def _load_and_score(start, results):
    start.wait()
    metric = load("syntax_match")
    results.put(metric.compute(predictions=["x = a + b"], references=["x = a - b"])["syntax_match"])


def test_offline_in_eight_processes_at_once(own_cache, monkeypatch):
    cache = own_cache / "eight"  # empty: all of them create it
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(cache / "metrics"))
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", str(cache / "modules"))
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    context = multiprocessing.get_context("fork")  # eight imports of evaluate would cost a minute of CPU time
    start, results = context.Barrier(8), context.Queue()
    processes = [context.Process(target=_load_and_score, args=(start, results)) for _ in range(8)]
    for process in processes:
        process.start()
    assert [results.get(timeout=120) for _ in processes] == [0.0] * 8
    for process in processes:
        process.join()
        assert process.exitcode == 0
