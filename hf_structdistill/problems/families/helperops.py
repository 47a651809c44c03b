"""helperops: helper functions that call each other, used over a list."""

from __future__ import annotations

import random

from .family import Arguments, Composition, Family, Names, Shape
from .wording import FUNCTIONS, function, op, tell

_ARGUMENTS = ("numbers", "values", "items", "data")
_HELPERS = ("shift", "bend", "lift", "fold", "press", "twist", "grow", "trim")
_RESULTS = ("results", "outputs", "made", "got")

INNERS = {
    "double_more": op("2 * n + 1", "twice n plus 1", "1 more than twice n"),
    "square": op("n * n", "n squared", "n times itself"),
    "distance": op("abs(n - 5)", "the distance of n from 5"),
    "rest": op("n % 7", "n modulo 7", "the remainder of n by 7"),
    "half": op("n // 2", "half of n, rounded down"),
    "flip": op("10 - n", "10 minus n"),
}
OUTERS = {
    "plus": op("{f}(n) + n", "`{f}` of n plus n"),
    "twice": op("{f}({f}(n))", "`{f}` applied twice to n", "`{f}` of `{f}` of n"),
    "step": op("{f}(n) - {f}(n - 1)", "`{f}` of n minus `{f}` of n - 1"),
    "next": op("2 * {f}(n + 1)", "twice `{f}` of n + 1"),
    "larger": op("max({f}(n), n)", "the larger of n and `{f}` of n"),
}
USES = {
    "all": op("[{f}(n) for n in {argument}]", "`{f}` of each number"),
    "grown": op("[{f}(n) for n in {argument} if {f}(n) > n]", "`{f}` of each number that it makes larger"),
    "even": op("[n for n in {argument} if {f}(n) % 2 == 0]", "the numbers for which `{f}` is even"),
    "above": op("[n for n in {argument} if {f}(n) > 4]", "the numbers for which `{f}` is above 4"),
    "added": op("[n + {f}(n) for n in {argument}]", "each number plus its `{f}`"),
}
FINISHES = {
    "sum": op("sum({x})", "their sum", "their total"),
    "largest": op("max({x}, default=0)", "the largest of them (0 if there is none)"),
    "smallest": op("min({x}, default=0)", "the smallest of them (0 if there is none)"),
    "sorted": op("sorted({x})", "them sorted", "them in order"),
    "distinct": op("len(set({x}))", "how many different ones there are"),
}
_TABLES = {"inner": INNERS, "outer": OUTERS, "third": OUTERS, "use": USES, "finish": FINISHES}


class HelperOps(Family):
    name = "helperops"
    shapes = (
        Shape(("inner", "use", "finish"), depth=1),
        Shape(("inner", "outer", "use", "finish"), depth=2),
        Shape(("inner", "outer", "third", "use", "finish"), depth=3, test_only=True),
    )
    inventory = {slot: tuple(table) for slot, table in _TABLES.items()}
    optional = frozenset({"outer", "third"})

    def names(self, composition: Composition, rng: random.Random) -> Names:
        helpers = rng.sample(_HELPERS, 3)
        return {
            "function": rng.choice(FUNCTIONS),
            "argument": rng.choice(_ARGUMENTS),
            "results": rng.choice(_RESULTS),
            **dict(zip(("inner", "outer", "third"), helpers, strict=True)),
        }

    def _layers(self, composition: Composition) -> list[tuple[str, str]]:
        """(slot, operation) of the helpers, innermost first."""
        return [(slot, str(composition[slot])) for slot in ("inner", "outer", "third") if composition[slot]]

    def program(self, composition: Composition, names: Names) -> str:
        parts = []
        below = ""
        for slot, operation in self._layers(composition):
            code = _TABLES[slot][operation].code.replace("{f}", below)
            parts.append(function(f"{{{slot}}}(n)", f"return {code}"))
            below = f"{{{slot}}}"
        use = USES[str(composition["use"])].code.replace("{f}", below)
        finish = FINISHES[str(composition["finish"])].code.replace("{x}", "{results}")
        parts.append(function("{function}({argument})", f"{{results}} = {use}", f"return {finish}"))
        return "\n\n".join(parts).format(**names)

    def prompt(self, composition: Composition, names: Names, rng: random.Random) -> str:
        told = []
        below = ""
        for slot, operation in self._layers(composition):
            told.append(f"`{{{slot}}}(n)` gives {tell(_TABLES[slot], operation, rng).replace('{f}', below)}. ")
            below = f"{{{slot}}}"
        use = tell(USES, composition["use"], rng).replace("{f}", below)
        finish = tell(FINISHES, composition["finish"], rng)
        text = f"Write helper functions and `{{function}}({{argument}})` for a list of integers. {''.join(told)}"
        return (text + f"`{{function}}` collects {use} and returns {finish}.").format(**names)

    def steps(self, composition: Composition, names: Names) -> list[str]:
        steps = []
        below = ""
        for slot, operation in self._layers(composition):
            steps.append(f"`{{{slot}}}`: {tell(_TABLES[slot], operation).replace('{f}', below)}.")
            below = f"{{{slot}}}"
        steps.append(f"`{{results}}`: {tell(USES, composition['use']).replace('{f}', below)}, from `{{argument}}`.")
        steps.append(f"Return {tell(FINISHES, composition['finish'])}, from `{{results}}`.")
        return [step.format(**names) for step in steps]

    def arguments(self, composition: Composition, rng: random.Random) -> Arguments:
        return ([rng.randint(-9, 12) for _ in range(rng.randint(4, 7))],)
