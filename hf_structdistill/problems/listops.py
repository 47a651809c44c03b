"""listops: generated tasks that chain filters, maps and a reduction over a list of integers.

A composition is the ordered chain of operations. About a fifth of the pairs of neighbouring operations are held out:
no training chain contains one, every test chain contains at least one. So each operation is seen in training, in its
place, and what the test split asks for is to put known operations together in a way never seen.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError
from .families.family import endless
from .problem import AssertTests, Problem

GENERATOR_VERSION = 1
DEFAULT_SIZES = {"train": 800, "test": 200}
HELD_OUT_EVERY = 5
NUM_TESTS = 8


@dataclass(frozen=True)
class Operation:
    """One step: its wordings in the prompt, the variable that holds its result, and its code.

    `code` is an expression over `{x}` (the list so far); a reduction that needs a loop gives statements that assign
    to the variable.
    """

    kind: str
    wordings: tuple[str, ...]
    variable: str
    code: str


def _filter(variable: str, condition: str, *wordings: str) -> Operation:
    return Operation("filter", wordings, variable, f"[n for n in {{x}} if {condition}]")


def _map(variable: str, expression: str, *wordings: str) -> Operation:
    return Operation("map", wordings, variable, f"[{expression} for n in {{x}}]")


def _reduce(variable: str, code: str, *wordings: str) -> Operation:
    return Operation("reduce", wordings, variable, code)


_PRODUCT = "product = 1\nfor n in {x}:\n    product *= n"

OPERATIONS: dict[str, Operation] = {
    "even": _filter("evens", "n % 2 == 0", "keep the even numbers", "drop the odd numbers"),
    "odd": _filter("odds", "n % 2 == 1", "keep the odd numbers", "drop the even numbers"),
    "positive": _filter("positives", "n > 0", "keep the positive numbers", "drop zero and the negative numbers"),
    "negative": _filter("negatives", "n < 0", "keep the negative numbers", "drop zero and the positive numbers"),
    "large": _filter("large", "n > 5", "keep the numbers above 5", "drop the numbers up to 5"),
    "threes": _filter("threes", "n % 3 == 0", "keep the multiples of 3", "drop what 3 does not divide"),
    "double": _map("doubled", "n * 2", "double each number", "multiply each number by 2"),
    "triple": _map("tripled", "n * 3", "triple each number", "multiply each number by 3"),
    "square": _map("squared", "n * n", "square each number", "multiply each number by itself"),
    "negate": _map("negated", "-n", "negate each number", "flip the sign of each number"),
    "increment": _map("raised", "n + 1", "add 1 to each number", "raise each number by 1"),
    "lower": _map("lowered", "n - 4", "subtract 4 from each number", "lower each number by 4"),
    "absolute": _map("sizes", "abs(n)", "take the absolute value of each number", "drop the sign of each number"),
    "remainder": _map("rests", "n % 7", "take each number modulo 7", "take the remainder of each number by 7"),
    "sum": _reduce("total", "sum({x})", "return the sum", "return the total"),
    "product": _reduce("product", _PRODUCT, "return the product (1 if none is left)"),
    "largest": _reduce("largest", "max({x}, default=0)", "return the largest (0 if none is left)"),
    "smallest": _reduce("smallest", "min({x}, default=0)", "return the smallest (0 if none is left)"),
    "distinct": _reduce("distinct", "len(set({x}))", "return how many distinct numbers are left"),
    "last": _reduce("last", "{x}[-1] if {x} else 0", "return the last one (0 if none is left)"),
}

_FUNCTIONS = ("solve", "compute", "process", "reduce_list", "run_steps", "evaluate_list")
_ARGUMENTS = ("numbers", "values", "items", "data")
_SHAPES = (("filter", "reduce"), ("map", "reduce"), ("filter", "map", "reduce"), ("map", "filter", "reduce"))

Chain = tuple[str, ...]


def operations(kind: str) -> list[str]:
    """Names of the operations of `kind` ("filter", "map" or "reduce")."""
    return [name for name, operation in OPERATIONS.items() if operation.kind == kind]


def held_out_pairs(seed: int = 0) -> frozenset[tuple[str, str]]:
    """Pairs of neighbouring operations that only test chains contain.

    A shifted diagonal of each table of pairs, so that every operation keeps training partners on both sides.
    """
    kinds = ("filter", "map", "reduce")
    pairs = set()
    for first, second in itertools.permutations(kinds, 2):
        if first == "reduce":
            continue
        for i, left in enumerate(operations(first)):
            for j, right in enumerate(operations(second)):
                if (i + 2 * j + seed) % HELD_OUT_EVERY == 0:
                    pairs.add((left, right))
    return frozenset(pairs)


def chains(split: str, seed: int = 0) -> list[Chain]:
    """All compositions of a split, in a fixed order."""
    held_out = held_out_pairs(seed)
    chosen = []
    for shape in _SHAPES:
        for chain in itertools.product(*(operations(kind) for kind in shape)):
            tests_only = any(pair in held_out for pair in itertools.pairwise(chain))
            if tests_only == (split == "test"):
                chosen.append(chain)
    return chosen


def program(chain: Chain, function: str, argument: str, reads: Sequence[str] | None = None) -> str:
    """The reference solution; every step assigns a named variable.

    `reads` names the list each step reads, the result of the step before by default: another choice is a program
    with the right operations and the wrong data flow.
    """
    variables = [OPERATIONS[name].variable for name in chain]
    reads = [argument, *variables[:-1]] if reads is None else reads
    lines = [f"def {function}({argument}):"]
    for name, variable, read in zip(chain, variables, reads, strict=True):
        code = OPERATIONS[name].code.replace("{x}", read)
        if "\n" not in code:
            code = f"{variable} = {code}"
        lines += ["    " + line for line in code.split("\n")]
    lines.append(f"    return {variables[-1]}")
    return "\n".join(lines) + "\n"


def reasoning(chain: Chain, argument: str) -> str:
    """Numbered steps that name the variable of each step and the one it reads."""
    steps = []
    read = argument
    for number, name in enumerate(chain, 1):
        operation = OPERATIONS[name]
        told = operation.wordings[0].removeprefix("return ")
        steps.append(f"{number}. `{operation.variable}`: {told}, from `{read}`.")
        read = operation.variable
    steps.append(f"{len(chain) + 1}. Return `{read}`.")
    return "\n".join(steps)


def generate_listops(
    split: str = "train", *, size: int | None = None, seed: int = 0, num_tests: int = NUM_TESTS
) -> list[Problem]:
    """Generate problems of one split; the same arguments give the same problems.

    Args:
        split: "train" or "test"; no composition is in both, for any sizes (see the module's docstring).
        size: number of problems, 800 train or 200 test by default. A composition comes back, in other words and
            with other names, only after all of its split were used.
        seed: chooses the held-out pairs, the order and the wordings.
        num_tests: asserts a problem. Each is the trusted reference's own output on a generated list.

    Returns:
        Problems with `reference` and, in `metadata`, "steps", "argument", "reasoning", "wrong_solution".

    Raises:
        InputError: unknown split or a size below 1.
    """
    if split not in DEFAULT_SIZES:
        raise InputError(f"Expected a split of 'listops' (train, test), found '{split}'.")
    size = DEFAULT_SIZES[split] if size is None else size
    if size < 1:
        raise InputError(f"Expected at least 1 listops problem, found size {size}.")
    rng = random.Random(f"listops-{GENERATOR_VERSION}/{split}/{seed}")
    problems: list[Problem] = []
    for chain in endless(chains(split, seed), rng):
        problem = _problem(chain, split, len(problems), rng, num_tests)
        if problem is not None:
            problems.append(problem)
        if len(problems) == size:
            return problems
    raise AssertionError("unreachable: the stream of chains is endless")


def _problem(chain: Chain, split: str, index: int, rng: random.Random, num_tests: int) -> Problem | None:
    function, argument = rng.choice(_FUNCTIONS), rng.choice(_ARGUMENTS)
    wordings = [rng.choice(OPERATIONS[name].wordings) for name in chain]
    reference = program(chain, function, argument)
    inputs = _inputs(rng, num_tests)
    outputs = _outputs(reference, function, inputs)
    if len(set(outputs)) < 3 or not _every_step_matters(chain, function, argument, inputs, outputs):
        return None
    wrong = _wrong(chain, function, argument, inputs, outputs, rng)
    if wrong is None:
        return None
    prompt = f"Write a function `{function}({argument})` for a list of integers: {', '.join(wordings[:-1])}, "
    asserts = [f"assert {function}({values}) == {output}" for values, output in zip(inputs, outputs, strict=True)]
    return Problem(
        id=f"listops/{split}/{index}",
        prompt=f"{prompt}then {wordings[-1]}.",
        tests=AssertTests(tuple(asserts)),
        entry_point=function,
        reference=reference,
        source="listops",
        split=split,
        metadata={
            "steps": list(chain),
            "argument": argument,
            "reasoning": reasoning(chain, argument),
            "wrong_solution": wrong,
        },
    )


def _inputs(rng: random.Random, count: int) -> list[list[int]]:
    lists = [[rng.randint(-12, 12) for _ in range(rng.randint(4, 8))] for _ in range(count - 1)]
    return [*lists, []]


def _outputs(code: str, function: str, inputs: list[list[int]]) -> list[int]:
    namespace: dict[str, object] = {}
    exec(code, namespace)  # trusted: our own generated code
    solve = namespace[function]
    assert callable(solve)
    return [solve(list(values)) for values in inputs]


def _every_step_matters(
    chain: Chain, function: str, argument: str, inputs: list[list[int]], outputs: list[int]
) -> bool:
    """False where the tests cannot see a step, e.g. keeping multiples of 3 of tripled numbers."""
    for step in range(len(chain) - 1):
        shorter = (*chain[:step], *chain[step + 1 :])
        if _outputs(program(shorter, function, argument), function, inputs) == outputs:
            return False
    return True


def _wrong(
    chain: Chain, function: str, argument: str, inputs: list[list[int]], outputs: list[int], rng: random.Random
) -> str | None:
    """A program that fails the tests: one step reads the wrong variable, or is another operation of its kind."""
    variables = [OPERATIONS[name].variable for name in chain]
    misread = []
    for step in range(1, len(chain)):
        for read in [argument, *variables[: step - 1]]:
            reads = [argument, *variables[:-1]]
            reads[step] = read
            misread.append(program(chain, function, argument, reads))
    mistaken = [
        program((*chain[:step], other, *chain[step + 1 :]), function, argument)
        for step, name in enumerate(chain)
        for other in operations(OPERATIONS[name].kind)
        if other != name
    ]
    groups = [rng.sample(group, len(group)) for group in (misread, mistaken)]
    rng.shuffle(groups)
    for code in itertools.chain(*groups):
        if _outputs(code, function, inputs) != outputs:
            return code
    return None
