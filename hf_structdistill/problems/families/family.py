"""What generated families share: compositions split by held-out pairs, and problems whose tests mean something.

A composition is one operation for each slot of a shape. Pairs of operations in neighbouring slots fall into ten
buckets: two are seen only in the test split and one only in the validation split, so every operation is trained in
its place and what a held-out problem asks for is to put known operations together in a way never seen. Deeper shapes
(`test_only`) are held out altogether.
"""

from __future__ import annotations

import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from ...errors import InputError
from ..problem import AssertTests, Problem
from .execution import run
from .mutants import wrong_variable_mutants

SPLITS = ("train", "validation", "test")
DEFAULT_SIZES = {"train": 800, "validation": 100, "test": 200}
NUM_TESTS = 8
DEEPER_EVERY = 4  # one test problem of four has a nesting depth never trained

_BUCKETS = 10
_VALIDATION_BUCKETS = (3,)
_TEST_BUCKETS = (0, 5)

Item = TypeVar("Item")
Names = dict[str, str]
Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Shape:
    """A frame that compositions fill: its slots, and how deep its loops, calls or chains nest."""

    slots: tuple[str, ...]
    depth: int
    test_only: bool = False


@dataclass(frozen=True)
class Composition:
    """One operation for each slot of a shape; None leaves an optional step out."""

    shape: Shape
    operations: tuple[str | None, ...]

    def __getitem__(self, slot: str) -> str | None:
        return self.operations[self.shape.slots.index(slot)] if slot in self.shape.slots else None

    def replace(self, index: int, operation: str | None) -> Composition:
        changed = (*self.operations[:index], operation, *self.operations[index + 1 :])
        return Composition(self.shape, changed)


class Family(ABC):
    """A generated family. A subclass gives tables of operations and how a composition is told and written.

    Class attributes:
        name: as `load_problems` takes it.
        version: raised when the same arguments give other problems than before.
        shapes: the frames; at least one is trained.
        inventory: the operations of each slot, in a fixed order.
        optional: slots whose step can be left out; a problem is kept only where its tests notice.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    shapes: ClassVar[tuple[Shape, ...]]
    inventory: ClassVar[Mapping[str, Sequence[str]]]
    optional: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def names(self, composition: Composition, rng: random.Random) -> Names:
        """Draw the names of function, arguments and variables; "function" and "signature" are read by others."""

    @abstractmethod
    def program(self, composition: Composition, names: Names) -> str:
        """The reference solution."""

    @abstractmethod
    def prompt(self, composition: Composition, names: Names, rng: random.Random) -> str:
        """What is asked, in words drawn by `rng`."""

    @abstractmethod
    def steps(self, composition: Composition, names: Names) -> list[str]:
        """The reasoning of the scripted teacher: what each variable holds and what it is made from."""

    @abstractmethod
    def arguments(self, composition: Composition, rng: random.Random) -> Arguments:
        """The arguments of one test call."""

    def compositions(self, split: str, seed: int = 0) -> list[Composition]:
        """All compositions of a split, in a fixed order; deeper shapes are in "test" only."""
        found = []
        for shape in self.shapes:
            for operations in itertools.product(*(self.inventory[slot] for slot in shape.slots)):
                composition = Composition(shape, operations)
                if self._split_of(composition, seed) == split:
                    found.append(composition)
        return found

    def _split_of(self, composition: Composition, seed: int) -> str:
        if composition.shape.test_only:
            return "test"
        buckets = {
            (self.inventory[a].index(left) + 3 * self.inventory[b].index(right) + seed) % _BUCKETS
            for (a, left), (b, right) in itertools.pairwise(
                zip(composition.shape.slots, composition.operations, strict=True)
            )
        }
        if buckets.intersection(_TEST_BUCKETS):
            return "test"
        return "validation" if buckets.intersection(_VALIDATION_BUCKETS) else "train"


def generate_problems(
    family: Family, split: str = "train", *, size: int | None = None, seed: int = 0, num_tests: int = NUM_TESTS
) -> list[Problem]:
    """Generate problems of one split; the same arguments give the same problems.

    Args:
        split: "train", "validation" or "test". No composition is in two of them, for any sizes.
        size: number of problems; by default 800, 100 or 200. A composition comes back, in other words and with other
            names, only after all of its split were used.
        seed: chooses the held-out pairs, the order, the wordings and the tests' inputs.
        num_tests: asserts a problem. Each is the trusted reference's own output on generated arguments.

    Returns:
        Problems with `reference` and, in `metadata`: "composition" (operation names), "depth", "novelty" ("none",
        "composition" or "depth"), "reasoning", and "wrong_solution" with its "wrong_kind" ("variable": one use reads
        another variable; "operation": another operation of the same slot).

    Raises:
        InputError: unknown split or a size below 1.
    """
    if split not in SPLITS:
        raise InputError(f"Expected a split of '{family.name}' ({', '.join(SPLITS)}), found '{split}'.")
    size = DEFAULT_SIZES[split] if size is None else size
    if size < 1:
        raise InputError(f"Expected at least 1 {family.name} problem, found size {size}.")
    rng = random.Random(f"{family.name}-{family.version}/{split}/{seed}")
    pool = family.compositions(split, seed)
    flat = endless([composition for composition in pool if not composition.shape.test_only], rng)
    deeper = endless([composition for composition in pool if composition.shape.test_only], rng)
    problems: list[Problem] = []
    while len(problems) < size:
        deep = split == "test" and len(problems) % DEEPER_EVERY == DEEPER_EVERY - 1
        problem = _problem(family, next(deeper if deep else flat), split, len(problems), rng, num_tests)
        if problem is not None:
            problems.append(problem)
    return problems


def endless(pool: list[Item], rng: random.Random) -> Iterator[Item]:
    """All of `pool` in random order, again and again."""
    while True:
        yield from rng.sample(pool, len(pool))


def _problem(
    family: Family, composition: Composition, split: str, index: int, rng: random.Random, num_tests: int
) -> Problem | None:
    names = family.names(composition, rng)
    prompt = family.prompt(composition, names, rng)
    code = family.program(composition, names)
    calls = [family.arguments(composition, rng) for _ in range(num_tests)]
    outputs = run(code, names["function"], calls)
    if len(set(outputs)) < 3 or not _every_step_matters(family, composition, names, calls, outputs):
        return None
    wrong = _wrong_solution(family, composition, names, code, calls, outputs, rng)
    if wrong is None:
        return None
    asserts = tuple(
        f"assert {names['function']}({', '.join(map(repr, arguments))}) == {output}"
        for arguments, output in zip(calls, outputs, strict=True)
    )
    novelty = "none" if split == "train" else "depth" if composition.shape.test_only else "composition"
    return Problem(
        id=f"{family.name}/{split}/{index}",
        prompt=prompt,
        tests=AssertTests(asserts),
        entry_point=names["function"],
        reference=code,
        source=family.name,
        split=split,
        metadata={
            "composition": list(composition.operations),
            "depth": composition.shape.depth,
            "novelty": novelty,
            "reasoning": "\n".join(
                f"{number}. {step}" for number, step in enumerate(family.steps(composition, names), 1)
            ),
            "wrong_solution": wrong[1],
            "wrong_kind": wrong[0],
        },
    )


def _every_step_matters(
    family: Family, composition: Composition, names: Names, calls: Sequence[Arguments], outputs: list[str]
) -> bool:
    """False where the tests cannot see an optional step, e.g. keeping multiples of 3 of tripled numbers."""
    for index, slot in enumerate(composition.shape.slots):
        if slot in family.optional:
            shorter = family.program(composition.replace(index, None), names)
            if run(shorter, names["function"], calls) == outputs:
                return False
    return True


def _wrong_solution(
    family: Family,
    composition: Composition,
    names: Names,
    code: str,
    calls: Sequence[Arguments],
    outputs: list[str],
    rng: random.Random,
) -> tuple[str, str] | None:
    """A program that the tests reject and how it is wrong; both kinds are drawn equally often."""
    misread = [("variable", mutant) for mutant in wrong_variable_mutants(code)]
    mistaken = [
        ("operation", family.program(composition.replace(index, other), names))
        for index, slot in enumerate(composition.shape.slots)
        for other in family.inventory[slot]
        if other != composition.operations[index]
    ]
    groups = [rng.sample(group, len(group)) for group in (misread, mistaken)]
    rng.shuffle(groups)
    for kind, mutant in itertools.chain(*groups):
        if run(mutant, names["function"], calls) != outputs:
            return kind, mutant
    return None
