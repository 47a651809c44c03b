"""varops: several variables of one type alive at once, so that using the wrong one is a real error."""

from __future__ import annotations

import random

from .family import Arguments, Composition, Family, Names, Shape
from .wording import FUNCTIONS, function, op

_ARGUMENTS = ("a", "b", "c", "x", "y", "z", "p", "q", "r")
_RESULTS = ("span", "base", "rate", "gap", "load", "mark", "edge", "pace", "bulk", "tilt")

COMBINATIONS = {
    "sum": op("{l} + {r}", "the sum of `{l}` and `{r}`", "`{l}` plus `{r}`"),
    "difference": op("{l} - {r}", "`{l}` minus `{r}`", "the difference from `{r}` to `{l}`"),
    "product": op("{l} * {r}", "the product of `{l}` and `{r}`", "`{l}` times `{r}`"),
    "larger": op("max({l}, {r})", "the larger of `{l}` and `{r}`"),
    "smaller": op("min({l}, {r})", "the smaller of `{l}` and `{r}`"),
    "rest": op("{l} - {r} // 2", "`{l}` minus half of `{r}`, rounded down"),
    "double": op("2 * {l} + {r}", "twice `{l}` plus `{r}`"),
    "distance": op("abs({l} - {r})", "the distance between `{l}` and `{r}`"),
    "order": op("{l} if {l} < 10 else {r}", "`{l}` if that is below 10, else `{r}`"),
}
_NAMES = tuple(COMBINATIONS)
_SLOTS = ("first", "second", "third", "fourth", "fifth", "sixth")


class VarOps(Family):
    name = "varops"
    shapes = (
        Shape(_SLOTS[:3], depth=3),
        Shape(_SLOTS[:4], depth=4),
        Shape(_SLOTS[:5], depth=5, test_only=True),
    )
    inventory = {slot: _NAMES for slot in _SLOTS}

    def names(self, composition: Composition, rng: random.Random) -> Names:
        """Besides the names, the operands of each step: every result is read by a later step."""
        steps = len(composition.operations)
        arguments, results = rng.sample(_ARGUMENTS, 3), rng.sample(_RESULTS, steps)
        names = {"function": rng.choice(FUNCTIONS), "arguments": ", ".join(arguments)}
        unread: list[str] = []
        for step in range(steps):
            live = [*arguments, *results[:step]]
            must_read = len(unread) >= 2 or (unread and rng.random() < 0.6)
            left = unread.pop(0) if must_read else rng.choice(live)
            others = unread if step == steps - 1 and unread else live
            right = rng.choice([name for name in others if name != left] or arguments)
            unread = [name for name in unread if name not in (left, right)] + [results[step]]
            if rng.random() < 0.5:
                left, right = right, left
            names |= {f"{step}": results[step], f"{step}l": left, f"{step}r": right}
        return names

    def program(self, composition: Composition, names: Names) -> str:
        lines = [
            f"{names[str(step)]} = " + COMBINATIONS[str(operation)].code.format(**self._operands(names, step))
            for step, operation in enumerate(composition.operations)
        ]
        last = names[str(len(composition.operations) - 1)]
        return function(f"{names['function']}({names['arguments']})", *lines, f"return {last}")

    @staticmethod
    def _operands(names: Names, step: int) -> Names:
        return {"l": names[f"{step}l"], "r": names[f"{step}r"]}

    def prompt(self, composition: Composition, names: Names, rng: random.Random) -> str:
        told = [
            f"Let `{names[str(step)]}` be "
            + rng.choice(COMBINATIONS[str(operation)].wordings).format(**self._operands(names, step))
            for step, operation in enumerate(composition.operations)
        ]
        head = f"Write a function `{names['function']}({names['arguments']})` for integers. "
        return head + ". ".join(told) + f". Return `{names[str(len(told) - 1)]}`."

    def steps(self, composition: Composition, names: Names) -> list[str]:
        steps = [
            f"`{names[str(step)]}` reads `{names[f'{step}l']}` and `{names[f'{step}r']}`."
            for step in range(len(composition.operations))
        ]
        return [*steps, f"Return `{names[str(len(composition.operations) - 1)]}`."]

    def arguments(self, composition: Composition, rng: random.Random) -> Arguments:
        return tuple(rng.randint(-9, 20) for _ in range(3))
