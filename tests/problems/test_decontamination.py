"""Decontamination: what must be caught after disguise, what must not be removed, and what is reported."""

import ast
import json
import random
from dataclasses import replace

import pytest

from hf_structdistill.problems import AssertTests, Problem, decontaminate, load_problems
from hf_structdistill.problems.decontamination import MIN_SHINGLES, _shingles
from hf_structdistill.teachers import Trace


class Renamer(ast.NodeTransformer):
    """Gives every name that the program itself defines another one."""

    def __init__(self, tree):
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        self.new = {name: f"renamed_{number}" for number, name in enumerate(sorted(names))}

    def visit_Name(self, node):
        node.id = self.new.get(node.id, node.id)
        return node

    def visit_arg(self, node):
        node.arg = self.new.get(node.arg, node.arg)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node):
        node.name = self.new[node.name]
        if ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)


def disguised(code):
    """Renamed, docstrings dropped, and laid out anew (comments, blank lines, quotes, brackets, indentation)."""
    tree = ast.parse(code)
    return ast.unparse(ast.fix_missing_locations(Renamer(tree).visit(tree))).replace("    ", "  ")


@pytest.fixture(scope="module")
def humaneval(shared_data):
    return load_problems("humaneval", path=shared_data / "humaneval.jsonl.gz")


@pytest.fixture(scope="module")
def mbpp_train(shared_data):
    return load_problems("mbpp", split="train", path=shared_data / "mbpp.jsonl")


def test_the_same_program_under_other_names_and_layout_is_caught(humaneval):
    candidates = [p for p in humaneval if _shingles(p.reference).total() >= MIN_SHINGLES]
    copies = [
        Problem(id=f"copy/{p.id}", prompt="Solve it.", tests=None, reference=disguised(p.reference))
        for p in candidates
    ]
    found = decontaminate(copies, humaneval)
    assert {removal.sign for removal in found.removals} == {"structure"}
    assert len(found.removals) >= 0.98 * len(candidates) > 120
    right = sum(removal.item_id == f"copy/{removal.matched_id}" for removal in found.removals)
    assert right >= 0.95 * len(found.removals)


def test_the_same_task_with_its_words_in_another_order_is_caught(shared_data):
    problems = load_problems("mbpp", split="test", path=shared_data / "mbpp.jsonl")
    rng = random.Random(0)
    copies = []
    for problem in problems:
        words = problem.prompt.split("\n")[0].rstrip(".").split()
        copies.append(Problem(id=f"copy/{problem.id}", prompt=" ".join(rng.sample(words, len(words))), tests=None))
    # what is missed has too few words that say anything ("find the lcm of two numbers")
    assert len(decontaminate(copies, problems).removals) >= 0.85 * len(copies)


def test_a_task_copied_word_for_word_is_caught_however_short(shared_data):
    problems = load_problems("mbpp", split="test", path=shared_data / "mbpp.jsonl")
    copies = [Problem(id=f"copy/{p.id}", prompt=p.prompt.split("\n")[0], tests=None) for p in problems]
    found = decontaminate(copies, problems)
    assert not found.kept and {removal.sign for removal in found.removals} == {"text"}
    other = Problem(id="copy", prompt="Write a function to find the volume of a prism.", tests=None)
    assert decontaminate([other, replace(other, prompt="Solve it.")], problems).removals == []


def test_a_benchmark_removes_itself_only_under_other_ids(humaneval):
    found = decontaminate(humaneval, humaneval)
    assert all(removal.item_id != removal.matched_id for removal in found.removals)
    assert len(found.removals) <= 10  # near copies inside HumanEval, e.g. 7 and 29
    renamed = [replace(problem, id=f"x/{problem.id}") for problem in humaneval]
    assert len(decontaminate(renamed, humaneval).kept) <= 0.02 * len(humaneval)


@pytest.mark.parametrize("named", [True, False])
def test_a_row_of_a_user_is_compared_whatever_its_id(shared_data, tmp_path, named):
    """Rows copied from a benchmark keep its ids; rows without ids are called by their numbers in any file."""
    taken = load_problems("mbpp", split="test", path=shared_data / "mbpp.jsonl", limit=20)
    rows = [{"prompt": p.prompt, "tests": p.tests.asserts, "solution": p.reference} for p in taken]
    rows = [{**row, **({"id": p.id} if named else {})} for row, p in zip(rows, taken, strict=True)]
    for name, split in (("mine", "train"), ("benchmark", "test")):
        lines = [json.dumps({**row, "split": split}) for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    own, benchmark = (load_problems(str(tmp_path / f"{name}.jsonl")) for name in ("mine", "benchmark"))
    assert [problem.id for problem in own] == [problem.id for problem in benchmark]
    for against in (taken, benchmark):
        assert decontaminate(own, against).kept == []
    assert decontaminate(own, own).kept == own


def test_tests_with_the_same_arguments_and_result_are_caught():
    shown = "assert f([1, 2, 3, 4, 5], 3) == [4, 5, 1, 2, 3]"
    ours = Problem(id="a", prompt="Turn it.", tests=AssertTests((shown.replace("f(", "turn(").replace(" ", ""),)))
    theirs = Problem(id="b", prompt="Rotate the list.", tests=AssertTests((shown,)), entry_point="f", source="bench")
    [removal] = decontaminate([replace(ours, entry_point="turn")], [theirs]).removals
    assert (removal.sign, removal.matched_id) == ("tests", "b")
    assert decontaminate(
        [replace(ours, entry_point="turn", tests=AssertTests(("assert turn([1]) == 1",)))], [theirs]
    ).kept


def test_tests_are_compared_without_the_name_of_the_function():
    """A row of a user needs neither `solution` nor `entry_point`; so may a benchmark's."""
    test = 'assert sorted({name}("hello world again", [1, 2])) == sorted([(1, "heo world again")])'

    def problem(name, **facts):
        text = f"Text of {name}."
        return Problem(id=name, prompt=text, tests=AssertTests((test.format(name=name), "assert (")), **facts)

    for ours in (problem("drop"), problem("drop", entry_point="drop")):
        for theirs in (problem("take"), problem("take", entry_point="take")):
            [removal] = decontaminate([ours], [theirs]).removals
            assert (removal.sign, removal.matched_id) == ("tests", "take")
    other = replace(problem("drop"), tests=AssertTests((test.format(name="drop").replace("again", "so"),)))
    assert decontaminate([other], [problem("take")]).kept == [other]


def test_tests_that_a_prompt_shows_are_compared(shared_data):
    plus = load_problems("mbpp_plus", split="test", path=shared_data / "mbpp_plus.jsonl")
    by_id = {p.id.split("/")[1]: p for p in load_problems("mbpp", path=shared_data / "mbpp.jsonl")}
    copies = [replace(by_id[p.id.split("/")[1]], prompt="Do it.", reference=None, entry_point=None) for p in plus]
    found = decontaminate(copies, plus)
    assert {removal.sign for removal in found.removals} == {"tests"}
    assert len(found.removals) >= 0.4 * len(copies)  # the tests of the others are too short to tell them


def test_false_positives_of_mbpp_train_against_humaneval(mbpp_train, humaneval):
    # two benchmarks written apart: what is removed here is removed without need
    assert len(decontaminate(mbpp_train, humaneval).removals) / len(mbpp_train) <= 0.01


def test_what_mbpp_train_shares_with_mbpp_test_is_found_and_reported(mbpp_train, shared_data):
    against = load_problems("mbpp", split="test", path=shared_data / "mbpp.jsonl")
    found = decontaminate(mbpp_train, against)
    by_id = {removal.item_id: removal for removal in found.removals}
    assert by_id["mbpp/608"].matched_id == "mbpp/67" and by_id["mbpp/608"].sign == "structure"  # Bell numbers, twice
    assert by_id["mbpp/704"].matched_id == "mbpp/248"  # harmonic sum of n-1, twice
    assert all(removal.text and removal.matched_text and 0 < removal.score <= 1 for removal in found.removals)
    assert len(found.kept) + len(found.removals) == len(mbpp_train)
    assert len(found.removals) < 0.12 * len(mbpp_train)
    assert found.checked_against == {"mbpp (test)": 500}


def test_traces_are_compared_by_their_code(humaneval):
    taken = next(p for p in humaneval if _shingles(p.reference).total() > 60)
    copied = Trace("mine/1", "t", "", disguised(taken.reference))
    own = Trace("mine/2", "t", "", "def f(n):\n    return n + 1\n")
    nothing = Trace("mine/3", "t", "", None)
    found = decontaminate([copied, own, nothing], humaneval)
    assert found.kept == [own, nothing] and found.removals[0].matched_id == taken.id


def test_seed_and_listops_stay(humaneval):
    ours = load_problems("seed") + load_problems("listops", split="train", size=200)
    assert decontaminate(ours, humaneval).removals == []
