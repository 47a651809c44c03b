"""Loaders: official splits, files of the user, and messages that name file and row."""

import copy
import gzip
import inspect
import json
import textwrap
from dataclasses import replace

import pytest

from hf_structdistill.errors import InputError
from hf_structdistill.problems import AssertTests, CheckTests, InputTests, load_problems
from hf_structdistill.problems.benchmarks import called_function, mbpp_split


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_mbpp_splits_are_the_official_ones(shared_data):
    sizes = {
        split: len(load_problems("mbpp", split=split, path=shared_data / "mbpp.jsonl"))
        for split in ("prompt", "test", "validation", "train")
    }
    assert sizes == {"prompt": 10, "test": 500, "validation": 90, "train": 374}


def test_mbpp_shows_its_tests_and_has_unix_line_ends(shared_data):
    problem = load_problems("mbpp", split="train", path=shared_data / "mbpp.jsonl", limit=2)[1]
    assert problem.id == "mbpp/602" and problem.entry_point == "first_repeated_char"
    assert problem.prompt.startswith("Write a python function to find the first repeated character")
    assert all(test in problem.prompt for test in problem.tests.asserts)
    assert "\r" not in problem.reference
    assert problem.metadata["content_hash"].startswith("sha256:") and problem.metadata["revision"] is None


def test_mbpp_entry_point_is_the_function_and_not_a_class_its_tests_build(shared_data):
    problem = load_problems("mbpp", split="train", path=shared_data / "mbpp.jsonl", limit=1)[0]
    assert "Pair(" in problem.tests.asserts[0] and problem.entry_point == "max_chain_length"


def test_every_mbpp_problem_has_an_entry_point_that_its_reference_defines(shared_data):
    for problem in load_problems("mbpp", path=shared_data / "mbpp.jsonl"):
        assert problem.entry_point and f"def {problem.entry_point}" in problem.reference


def test_mbpp_setup_code_is_kept(shared_data):
    by_id = {problem.id: problem for problem in load_problems("mbpp", path=shared_data / "mbpp.jsonl")}
    assert by_id["mbpp/367"].tests.setup.startswith("root = Node(1)") and "\r" not in by_id["mbpp/367"].tests.setup


def test_mbpp_plus_belongs_to_the_split_of_its_mbpp_id(shared_data):
    problems = load_problems("mbpp_plus", path=shared_data / "mbpp_plus.jsonl")
    assert len(problems) == 399
    assert all(problem.split == mbpp_split(int(problem.id.split("/")[1])) for problem in problems)
    assert all(isinstance(problem.tests, InputTests) for problem in problems)


def test_mbpp_plus_inputs_get_back_the_types_json_lost(shared_data):
    by_id = {problem.id: problem for problem in load_problems("mbpp_plus", path=shared_data / "mbpp_plus.jsonl")}
    assert by_id["mbpp_plus/2"].tests.base_inputs[0] == ((3, 4, 5, 6), (5, 7, 4, 10))
    assert by_id["mbpp_plus/2"].tests.oracle == "set_equal"
    assert isinstance(by_id["mbpp_plus/252"].tests.base_inputs[0][0], complex)
    assert by_id["mbpp_plus/115"].tests.base_inputs[1] == ([{1, 2}, {}, {}],)
    assert by_id["mbpp_plus/3"].tests.oracle is None


def test_mbpp_plus_inputs_suit_the_canonical_solutions(shared_data):
    # EvalPlus' contracts assert the argument types; only these two tasks of the release break their own
    broken, checked = set(), 0
    for problem in load_problems("mbpp_plus", path=shared_data / "mbpp_plus.jsonl"):
        contract = textwrap.dedent(problem.metadata["contract"].strip("\n"))
        namespace = {}
        exec(problem.reference, namespace)
        names = inspect.signature(namespace[problem.entry_point])
        exec(f"def contract{names}:\n{textwrap.indent(contract, '    ')}\n    return True", namespace)
        for arguments in (*problem.tests.base_inputs, *problem.tests.plus_inputs[:20]):
            try:
                checked += namespace["contract"](*copy.deepcopy(arguments))
            except AssertionError:
                broken.add(problem.id)
    assert checked > 5000
    assert broken == {"mbpp_plus/267", "mbpp_plus/734"}


def test_humaneval_is_all_test(shared_data):
    problems = load_problems("humaneval", path=shared_data / "humaneval.jsonl.gz")
    assert len(problems) == 164 and {problem.split for problem in problems} == {"test"}
    first = problems[0]
    assert first.id == "humaneval/0" and isinstance(first.tests, CheckTests)
    namespace = {}
    exec(first.reference + first.tests.code, namespace)
    namespace["check"](namespace[first.entry_point])


def test_seed_problems_ship_with_the_package():
    problems = load_problems("seed")
    assert len(problems) == 300
    assert sum(problem.split == "train" for problem in problems) == 240
    assert {"reasoning", "wrong_solution", "topic"} <= set(problems[0].metadata)


def test_mbpp_plus_in_the_form_of_the_hub(tmp_path):
    program = "inputs = [[1], [2]]\nresults = [2, 3]\nfor i, r in zip(inputs, results):\n    assert bump(*i) == r\n"
    row = {
        "task_id": 602,
        "prompt": "Write a function to add one.",
        "code": "def bump(n):\r\n    return n + 1",
        "test_imports": [],
        "test_list": ["assert bump(1) == 2"],
        "test": program,
    }
    problem = load_problems("mbpp_plus", path=write(tmp_path / "plus.jsonl", [row]))[0]
    assert problem.split == "train" and problem.entry_point == "bump"
    namespace = {}
    exec(problem.tests.code, namespace)
    namespace["check"](lambda n: n + 1)
    with pytest.raises(AssertionError):
        namespace["check"](lambda n: n)


def test_a_file_of_the_user_as_json_lines_and_as_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [
        {"id": "a", "prompt": "Add one.", "tests": ["assert f(1) == 2"], "solution": "def f(n):\n    return n + 1\n"}
    ]
    lines = load_problems(str(write(tmp_path / "mine.jsonl", rows)))
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "mine.parquet")
    table = load_problems(str(tmp_path / "mine.parquet"))
    assert lines == table
    assert lines[0].entry_point == "f" and lines[0].tests == AssertTests(("assert f(1) == 2",))


def test_rows_of_a_table_in_which_some_have_no_id(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"id": "a", "prompt": "x"}, {"prompt": "y"}, {"id": 0, "prompt": "z"}, {"prompt": "z"}]
    table = [{"id": None, **row, **({"id": str(row["id"])} if "id" in row else {})} for row in rows]
    parquet.write_table(pyarrow.Table.from_pylist(table), tmp_path / "mine.parquet")
    for path in (write(tmp_path / "mine.jsonl", rows), tmp_path / "mine.parquet"):
        assert [problem.id for problem in load_problems(str(path))] == ["a", "jsonl/1", "0", "jsonl/3"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_the_user_that_was_written_on_windows(tmp_path, packed):
    rows = [
        {
            "prompt": "Add one.\n\nTo n.",
            "tests": ["assert f(1) == A"],
            "setup": "A = 2\nB = 3",
            "solution": "def f(n):\n    return n  + 1  \n",
        },
        {"prompt": "Add.", "tests": "def check(candidate):\n    assert candidate(1) == 2\n", "reference": "x = 1\n"},
    ]
    lines = "".join(json.dumps(row).replace("\\n", "\\r\\n") + "\r\n" for row in rows)
    data = b"\xef\xbb\xbf" + lines.encode()
    theirs = tmp_path / ("theirs.jsonl.gz" if packed else "theirs.jsonl")
    theirs.write_bytes(gzip.compress(data) if packed else data)
    found, expected = load_problems(str(theirs)), load_problems(str(write(tmp_path / "mine.jsonl", rows)))
    assert "\r" not in repr(found) and "n  + 1  \\n" in repr(found)
    assert [replace(problem, metadata={}) for problem in found] == [
        replace(problem, metadata={}) for problem in expected
    ]


def test_limit_and_split(tmp_path):
    rows = [{"prompt": str(n), "split": "train" if n % 2 else "test"} for n in range(6)]
    path = write(tmp_path / "mine.jsonl", rows)
    assert [p.prompt for p in load_problems("jsonl", path=path, split="train", limit=2)] == ["1", "3"]


def test_split_names_that_datasets_knows_are_the_usual_ones(tmp_path):
    from datasets.data_files import SPLIT_KEYWORDS

    names = {word: str(split) for split, words in SPLIT_KEYWORDS.items() for word in words}
    names |= {"Test": "test", " VAL ": "validation", "hard": "hard", "test-hard": "test-hard"}
    path = write(tmp_path / "mine.jsonl", [{"prompt": name, "split": name} for name in names])
    problems = load_problems(str(path))
    assert {problem.prompt: problem.split for problem in problems} == names
    roles = {problem.split: problem.role for problem in problems}
    assert roles.items() >= {("validation", "validation"), ("test", "test"), ("hard", "train"), ("test-hard", "test")}
    asked = {name: [p.prompt for p in load_problems(str(path), split=name)] for name in ("dev", "hard")}
    assert asked == {"dev": ["validation", "valid", "dev", "val", " VAL "], "hard": ["hard"]}
    with pytest.raises(InputError, match="'other' in .*found the splits hard, test, test-hard, train, validation"):
        load_problems(str(path), split="other")


BAD_ROWS = {
    "missing field": ([{"tests": ["assert f()"]}], ["row 1", "'prompt'", "add it"]),
    "wrong type": ([{"prompt": "ok"}, {"prompt": 3}], ["row 2", "'prompt'", "str", "int"]),
    "tests that are no asserts": ([{"prompt": "x", "tests": "hello"}], ["row 1", "'tests'", "check(candidate)"]),
    "empty tests": ([{"prompt": "x", "tests": []}], ["row 1", "'tests'", "non-empty"]),
    "same id twice": ([{"id": "a", "prompt": "x"}, {"id": "a", "prompt": "y"}], ["row 2", "row 1", "'a'"]),
}


@pytest.mark.parametrize("name, number", [("listops", 230), ("textops", 210), ("generated", 203)])
def test_as_many_generated_problems_as_the_limit_asks_for(name, number):
    more, usual = load_problems(name, split="test", limit=number), load_problems(name, split="test")
    assert len(more) == number and len(usual) == 200
    assert [problem.prompt for problem in more[:200]] == [problem.prompt for problem in usual]
    assert len(load_problems(name, split="test", limit=number, size=5)) == 5


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named(tmp_path, case):
    rows, expected = BAD_ROWS[case]
    path = write(tmp_path / "mine.jsonl", rows)
    with pytest.raises(InputError) as error:
        load_problems("jsonl", path=path)
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    assert all(part in message for part in expected), message


def test_bad_files_are_named(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"prompt": "x"}\n{"prompt": \n')
    listed = tmp_path / "listed.jsonl"
    listed.write_text("[1]\n")
    gzipped = tmp_path / "not.jsonl.gz"
    gzipped.write_text("plain")
    packed = bytearray(gzip.compress(b'{"prompt": "x"}\n' * 9))
    cut, corrupt = tmp_path / "cut.jsonl.gz", tmp_path / "corrupt.jsonl.gz"
    cut.write_bytes(packed[:-9])
    packed[10] ^= 0xFF  # the first byte behind the header
    corrupt.write_bytes(packed)
    table = tmp_path / "not.parquet"
    table.write_text("plain")
    for path, part in (
        (tmp_path / "none.jsonl", "found none"),
        (empty, "empty file"),
        (broken, "line 2"),
        (listed, "line 1, found list"),
        (gzipped, "UTF-8"),
        (cut, "UTF-8"),
        (corrupt, "while decompressing"),
        (table, "Parquet"),
        (tmp_path, "found none"),
    ):
        with pytest.raises(InputError) as error:
            load_problems("jsonl", path=path)
        assert str(path) in str(error.value) and part in str(error.value), str(error.value)


def test_unknown_names_are_listed():
    with pytest.raises(InputError, match="mbpp, mbpp_plus, humaneval"):
        load_problems("mbbp")
    with pytest.raises(InputError, match="prompt, test, validation, train"):
        load_problems("mbpp", split="dev")
    with pytest.raises(InputError, match="at least 1"):
        load_problems("seed", limit=0)


def test_a_benchmark_row_without_its_field(tmp_path):
    path = write(tmp_path / "mbpp.jsonl", [{"task_id": 601, "text": "x", "code": "def f(): pass"}])
    with pytest.raises(InputError, match=r"'test_list' \(list\) in .*mbpp.jsonl, row 1"):
        load_problems("mbpp", path=path)


def test_the_hash_is_of_the_content_and_not_of_the_file(tmp_path):
    rows = [{"id": "a", "prompt": "x"}, {"id": "b", "prompt": "y"}]
    plain = write(tmp_path / "a.jsonl", rows)
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress("\n".join(json.dumps(row, indent=None) for row in rows).encode()))
    changed = write(tmp_path / "c.jsonl", [rows[0], {"id": "b", "prompt": "z"}])
    hashes = [load_problems("jsonl", path=path)[0].metadata["content_hash"] for path in (plain, packed, changed)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_called_function_prefers_the_outermost_that_all_tests_call():
    code = "def helper(x):\n    return x\n\n\ndef main(x):\n    return helper(x)\n"
    assert called_function(code, ["assert main(helper(1)) == 1", "assert main(2) == 2"]) == "main"
    assert called_function(code, ["assert main(1)", "assert helper(1)"]) is None
    assert called_function("def broken(:", ["assert main(1)"]) is None
