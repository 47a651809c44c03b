"""loopops: nested loops that keep two accumulators, with a condition at each level."""

from __future__ import annotations

import random

from .family import Arguments, Composition, Family, Names, Shape
from .wording import FUNCTIONS, function, op, tell

_ARGUMENTS = ("rows", "groups", "batches", "lists")
_FLAT = ("numbers", "values", "items", "data")
_OUTER = ("tables", "pages", "blocks", "grids")

GATES = {
    "long": op("len({row}) > 3", "has more than 3 numbers", "is longer than 3"),
    "even_sum": op("sum({row}) % 2 == 0", "has an even sum", "adds up to an even number"),
    "rising": op("{row}[-1] > {row}[0]", "ends higher than it starts", "has a last number above its first"),
    "has_small": op("min({row}) < -5", "has a number below -5", "goes below -5"),
    "positive_sum": op("sum({row}) > 0", "has a positive sum", "adds up to more than 0"),
}
CONDITIONS = {
    "even": op("{n} % 2 == 0", "is even", "2 divides"),
    "odd": op("{n} % 2 == 1", "is odd", "2 does not divide"),
    "positive": op("{n} > 0", "is positive", "is above 0"),
    "negative": op("{n} < 0", "is negative", "is below 0"),
    "threes": op("{n} % 3 == 0", "is a multiple of 3", "3 divides"),
    "large": op("abs({n}) > 4", "is more than 4 away from 0", "has an absolute value above 4"),
}
FIRSTS = {
    "add": op("{total} += {n}", "add it to `{total}`"),
    "add_square": op("{total} += {n} * {n}", "add its square to `{total}`"),
    "subtract": op("{total} -= {n}", "subtract it from `{total}`", "take it off `{total}`"),
    "weigh": op("{total} = 2 * {total} + {n}", "double `{total}` and add it"),
    "swap": op("{total} = {n} - {total}", "set `{total}` to it minus `{total}`"),
}
SECONDS = {
    "count": op("{other} += 1", "count it in `{other}`", "add 1 to `{other}`"),
    "largest": op("{other} = max({other}, {n})", "keep the larger of it and `{other}` in `{other}`"),
    "latest": op("{other} = {n}", "remember it in `{other}`", "set `{other}` to it"),
    "running": op("{other} += {total}", "add `{total}` to `{other}`"),
    "gap": op("{other} = {total} - {n}", "set `{other}` to `{total}` minus it"),
}
FINISHES = {
    "difference": op("{total} - {other}", "`{total}` minus `{other}`"),
    "sum": op("{total} + {other}", "the sum of `{total}` and `{other}`", "`{total}` plus `{other}`"),
    "product": op("{total} * {other}", "the product of `{total}` and `{other}`", "`{total}` times `{other}`"),
    "pair": op("[{other}, {total}]", "the list of `{other}` and `{total}`"),
    "larger": op("max({total}, {other})", "the larger of `{total}` and `{other}`"),
}
_TABLES = {"gate": GATES, "condition": CONDITIONS, "first": FIRSTS, "second": SECONDS, "finish": FINISHES}
_ACCUMULATORS = ("total", "score", "tally", "level", "mass", "debt")
_OTHERS = ("other", "mark", "seen", "peak", "trace", "hold")


class LoopOps(Family):
    name = "loopops"
    shapes = (
        Shape(("condition", "first", "second", "finish"), depth=1),
        Shape(("gate", "condition", "first", "second", "finish"), depth=2),
        Shape(("gate", "condition", "first", "second", "finish"), depth=3, test_only=True),
    )
    inventory = {slot: tuple(table) for slot, table in _TABLES.items()}
    optional = frozenset({"gate", "condition"})

    def names(self, composition: Composition, rng: random.Random) -> Names:
        pool = (_FLAT, _ARGUMENTS, _OUTER)[composition.shape.depth - 1]
        return {
            "function": rng.choice(FUNCTIONS),
            "argument": rng.choice(pool),
            "total": rng.choice(_ACCUMULATORS),
            "other": rng.choice(_OTHERS),
        }

    def program(self, composition: Composition, names: Names) -> str:
        lines = ["{total} = 0", "{other} = 0"]
        indent = ""
        for variable, container, slot in self._loops(composition):
            lines.append(f"{indent}for {variable} in {container}:")
            indent += "    "
            if slot and composition[slot]:
                condition = _TABLES[slot][str(composition[slot])].code.format(row=variable, n=variable)
                lines.append(f"{indent}if {condition}:")
                indent += "    "
        lines += [indent + _TABLES[slot][str(composition[slot])].code for slot in ("first", "second")]
        lines.append(f"return {FINISHES[str(composition['finish'])].code}")
        return function("{function}({argument})", *lines).format(n="n", **names)

    def _loops(self, composition: Composition) -> list[tuple[str, str, str]]:
        """(variable, what it runs over, slot of its condition) from the outside in."""
        variables = ("table", "row", "n")[-composition.shape.depth :]
        slots = ("", "gate", "condition")[-composition.shape.depth :]
        return list(zip(variables, ("{argument}", *variables), slots, strict=False))

    def prompt(self, composition: Composition, names: Names, rng: random.Random) -> str:
        kind = ("a list of integers", "a list of lists of integers", "a list of lists of lists of integers")
        through = {"table": "each table", "row": "each row", "n": "each number"}
        path = []
        for variable, _, slot in self._loops(composition):
            condition = f" that {tell(_TABLES[slot], composition[slot], rng)}" if slot and composition[slot] else ""
            path.append(f"{through[variable]}{condition}")
        does = f"{tell(FIRSTS, composition['first'], rng)}, then {tell(SECONDS, composition['second'], rng)}"
        told = (
            f"Write a function `{{function}}({{argument}})` for {kind[composition.shape.depth - 1]}. "
            f"Start `{{total}}` and `{{other}}` at 0. For {', in it '.join(path)}: {does}. "
            f"Return {tell(FINISHES, composition['finish'], rng)}."
        )
        return told.format(**names)

    def steps(self, composition: Composition, names: Names) -> list[str]:
        steps = ["`{total}` and `{other}` start at 0."]
        for variable, container, slot in self._loops(composition):
            kept = f", only where it {tell(_TABLES[slot], composition[slot])}" if slot and composition[slot] else ""
            steps.append(f"`{variable}`: each of `{container}`{kept}.")
        steps += [f"With `n`: {tell(_TABLES[slot], composition[slot])}." for slot in ("first", "second")]
        steps.append(f"Return {tell(FINISHES, composition['finish'])}.")
        return [step.format(**names) for step in steps]

    def arguments(self, composition: Composition, rng: random.Random) -> Arguments:
        def numbers() -> list[int]:
            return [rng.randint(-9, 9) for _ in range(rng.randint(2, 6))]

        if composition.shape.depth == 1:
            return ([rng.randint(-9, 9) for _ in range(rng.randint(5, 8))],)
        rows = [[numbers() for _ in range(rng.randint(2, 4))] for _ in range(3)]
        return (rows[0],) if composition.shape.depth == 2 else (rows,)
