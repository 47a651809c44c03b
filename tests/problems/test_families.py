"""Generated families: what the test split asks for was never in training, and every problem's tests mean something."""

import ast
import itertools
import subprocess
import sys

import pytest

from hf_structdistill.errors import InputError
from hf_structdistill.problems import load_problems
from hf_structdistill.problems.families import (
    FAMILIES,
    SPLITS,
    generate_mixture,
    generate_problems,
    wrong_variable_mutants,
)
from hf_structdistill.problems.families.execution import run
from hf_structdistill.sandbox import verify

family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


def neighbours(shape, operations):
    return set(itertools.pairwise(zip(shape.slots, operations, strict=True)))


@family
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_no_pair_of_a_held_out_split_is_trained(family, seed):
    by_split = {split: family.compositions(split, seed) for split in SPLITS}
    trained = set().union(*(neighbours(c.shape, c.operations) for c in by_split["train"]))
    for split in ("validation", "test"):
        for composition in by_split[split]:
            unseen = neighbours(composition.shape, composition.operations) - trained
            assert unseen or composition.shape.test_only
    assert not {(c.shape, c.operations) for c in by_split["validation"]} & {
        (c.shape, c.operations) for c in by_split["test"]
    }


@family
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_every_operation_is_trained_in_every_slot_of_a_trained_shape(family, seed):
    trained = family.compositions("train", seed)
    for shape in family.shapes:
        if not shape.test_only:
            for index, slot in enumerate(shape.slots):
                seen = {c.operations[index] for c in trained if c.shape == shape}
                assert seen == set(family.inventory[slot]), (shape, slot)


@family
def test_only_the_test_split_nests_deeper(family):
    depth = {split: {p.metadata["depth"] for p in generate_problems(family, split, size=60)} for split in SPLITS}
    assert max(depth["test"]) > max(depth["train"]) and depth["validation"] <= depth["train"]
    deeper = [p for p in generate_problems(family, "test", size=60) if p.metadata["novelty"] == "depth"]
    assert len(deeper) == 15 and {p.metadata["depth"] for p in deeper} == {max(depth["test"])}


@family
def test_the_sandbox_passes_references_and_fails_wrong_solutions(family):
    problems = [p for split in SPLITS for p in generate_problems(family, split, size=12)]
    assert {v.status for v in verify(problems, [p.reference for p in problems])} == {"passed"}
    wrong = verify(problems, [p.metadata["wrong_solution"] for p in problems])
    assert "passed" not in {v.status for v in wrong}
    assert {p.metadata["wrong_kind"] for p in problems} == {"variable", "operation"}


def failed_tests(problem, code):
    tree = ast.parse("\n".join(problem.tests.asserts))
    calls = [tuple(map(ast.literal_eval, node.test.left.args)) for node in tree.body]
    expected = [repr(ast.literal_eval(node.test.comparators[0])) for node in tree.body]
    return [got for got, want in zip(run(code, problem.entry_point, calls), expected, strict=True) if got != want]


class WithoutConditions(ast.NodeTransformer):
    def visit_If(self, node):
        self.generic_visit(node)
        return node.body


@family
def test_tests_see_every_condition_and_have_various_answers(family):
    for problem in generate_problems(family, "train", size=40):
        assert not failed_tests(problem, problem.reference)
        assert len({test.rpartition(" == ")[2] for test in problem.tests.asserts}) >= 3
        tree = ast.parse(problem.reference)
        if any(isinstance(node, ast.If) for node in ast.walk(tree)):
            assert failed_tests(problem, ast.unparse(WithoutConditions().visit(tree))), problem.reference


@family
def test_reasoning_and_prompt_name_the_variables_the_code_assigns(family):
    for problem in generate_problems(family, "train", size=30):
        names = {
            node.id
            for node in ast.walk(ast.parse(problem.reference))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        } - {"n", "word", "key", "value", "number"}
        assert names and all(f"`{name}`" in problem.metadata["reasoning"] for name in names), problem.id


@family
def test_the_same_arguments_give_the_same_problems(family):
    assert generate_problems(family, "train", size=9, seed=4) == generate_problems(family, "train", size=9, seed=4)
    assert generate_problems(family, "train", size=9, seed=4) != generate_problems(family, "train", size=9, seed=5)
    assert generate_problems(family, "train", size=9) == generate_problems(family, "train", size=20)[:9]


def test_problems_do_not_depend_on_the_hash_seed():
    script = (
        "from hf_structdistill.problems import load_problems\n"
        "import sys; sys.stdout.write(load_problems('generated', split='test', size=20)[0].metadata['content_hash'])"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(hashes) == 1 and hashes.pop().startswith("sha256:")


def test_the_mixture_takes_families_in_turn():
    problems = generate_mixture("validation", size=12)
    assert [p.source for p in problems[:5]] == list(FAMILIES) and len(problems) == 12
    assert len({p.id for p in problems}) == 12


def test_families_load_by_name_and_say_which_generator_made_them():
    problems = load_problems("varops", split="test", size=5, seed=3)
    assert [p.source for p in problems] == ["varops"] * 5
    assert problems[0].metadata["revision"] == "varops-1-seed3"
    with pytest.raises(InputError, match="train, validation, test"):
        load_problems("loopops", split="dev")
    with pytest.raises(InputError, match="at least 1"):
        load_problems("generated", split="test", size=0)


def test_varops_reads_every_result():
    for problem in generate_problems(FAMILIES["varops"], "test", size=60):
        body = ast.parse(problem.reference).body[0].body
        stored = [line.targets[0].id for line in body[:-1]]
        read = {
            n.id
            for n in ast.walk(ast.parse(problem.reference))
            if isinstance(n, ast.Name) and n.ctx.__class__ is ast.Load
        }
        assert set(stored) <= read, problem.reference


def test_mutants_read_one_other_variable_defined_before():
    source = "def f(a, b):\n    c = a + b\n    return c * a\n"
    assert list(wrong_variable_mutants(source)) == [
        source.replace("a + b", "b + b"),
        source.replace("a + b", "a + a"),
        source.replace("c * a", "a * a"),
        source.replace("c * a", "b * a"),
        source.replace("c * a", "c * b"),
        source.replace("c * a", "c * c"),
    ]


def test_a_mutant_that_never_ends_is_stopped():
    endless = "def f(xs):\n    for x in xs:\n        xs.append(x)\n    return xs\n"
    assert run(endless, "f", [([1],)]) == ["_OutOfLinesError"]
    assert sys.gettrace() is None
