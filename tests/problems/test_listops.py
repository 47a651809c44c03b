"""listops: what the test split asks for was never in training, and every problem's tests mean something."""

import ast
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_structdistill.errors import InputError
from hf_structdistill.problems.listops import OPERATIONS, chains, generate_listops, held_out_pairs, operations


def pairs_of(problem):
    return set(itertools.pairwise(problem.metadata["steps"]))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_no_composition_is_in_both_splits(seed):
    held_out = held_out_pairs(seed)
    train, test = set(chains("train", seed)), set(chains("test", seed))
    assert not train & test
    assert not any(pair in held_out for chain in train for pair in itertools.pairwise(chain))
    assert all(any(pair in held_out for pair in itertools.pairwise(chain)) for chain in test)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_every_operation_is_trained_in_every_place_it_can_take(seed):
    seen = {pair for chain in chains("train", seed) for pair in itertools.pairwise(chain)}
    for kind in ("filter", "map"):
        for name in operations(kind):
            assert {OPERATIONS[right].kind for left, right in seen if left == name} >= {"reduce"}
    for name in operations("reduce"):
        assert {OPERATIONS[left].kind for left, right in seen if right == name} == {"filter", "map"}


def test_generated_splits_hold_no_common_pair():
    train, test = generate_listops("train", size=400), generate_listops("test", size=150)
    trained = set().union(*map(pairs_of, train))
    assert all(pairs_of(problem) - trained for problem in test)


def test_the_same_arguments_give_the_same_problems():
    assert generate_listops("train", size=30, seed=4) == generate_listops("train", size=30, seed=4)
    assert generate_listops("train", size=30, seed=4) != generate_listops("train", size=30, seed=5)
    assert generate_listops("train", size=30) == generate_listops("train", size=60)[:30]


def passes(problem, code):
    namespace = {}
    exec(code, namespace)
    try:
        for test in problem.tests.asserts:
            exec(test, namespace)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("split", ["train", "test"])
def test_references_pass_and_wrong_solutions_fail(split):
    for problem in generate_listops(split, size=200):
        assert passes(problem, problem.reference), problem.id
        assert not passes(problem, problem.metadata["wrong_solution"]), problem.id


def test_reasoning_names_every_variable_of_the_code():
    for problem in generate_listops("train", size=50):
        assigned = {
            target.id
            for node in ast.walk(ast.parse(problem.reference))
            if isinstance(node, ast.Assign)
            for target in node.targets
        }
        assert assigned and all(f"`{name}`" in problem.metadata["reasoning"] for name in assigned)


def test_a_program_without_one_of_the_steps_fails():
    from hf_structdistill.problems.listops import program

    for problem in generate_listops("train", size=100):
        steps = problem.metadata["steps"]
        for step in range(len(steps) - 1):
            shorter = (*steps[:step], *steps[step + 1 :])
            assert not passes(problem, program(shorter, problem.entry_point, problem.metadata["argument"]))


def test_impossible_requests():
    with pytest.raises(InputError, match="train, test"):
        generate_listops("dev")
    with pytest.raises(InputError, match="at least 1"):
        generate_listops("train", size=0)
