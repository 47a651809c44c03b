"""dictops: counting, grouping and joining with dicts, then a selection and one answer."""

from __future__ import annotations

import random

from .family import Arguments, Composition, Family, Names, Shape
from .wording import FUNCTIONS, function, op, tell

_PAIRS = ("records", "entries", "sales", "events")
_LEFT = ("first", "stock", "before", "mine")
_RIGHT = ("second", "orders", "after", "yours")
_KEYS = ("ada", "bo", "cleo", "dan", "eve", "flo", "gus", "ida")

GATHERS = {
    "count": op("{g}[key] = {g}.get(key, 0) + 1", "count", "number of pairs"),
    "total": op("{g}[key] = {g}.get(key, 0) + number", "sum of numbers", "total"),
    "largest": op("{g}[key] = max({g}.get(key, 0), number)", "largest number, at least 0"),
    "latest": op("{g}[key] = number", "last number"),
    "chain": op(
        "{g}[key] = number - {g}.get(key, 0)", "running value: each number minus the value before (0 at first)"
    ),
}
MERGES = {
    "sum": op("{l}[key] + {r}[key]", "the sum of both values", "both values added"),
    "difference": op("{l}[key] - {r}[key]", "the value in `{l}` minus the value in `{r}`"),
    "larger": op("max({l}[key], {r}[key])", "the larger of both values"),
    "product": op("{l}[key] * {r}[key]", "the product of both values", "both values multiplied"),
    "reverse": op("{r}[key] - {l}[key]", "the value in `{r}` minus the value in `{l}`"),
}
SELECTS = {
    "above": op("value > 2", "whose value is above 2", "with a value over 2"),
    "even": op("value % 2 == 0", "whose value is even", "with an even value"),
    "odd": op("value % 2 == 1", "whose value is odd", "with an odd value"),
    "short": op("len(key) < 4", "shorter than 4 letters", "with fewer than 4 letters"),
    "vowel": op('key[0] in "aeiou"', "that start with a vowel"),
    "late": op('key > "c"', "that come after 'c'"),
}
FINISHES = {
    "keys": op("sorted({k})", "the sorted keys", "the keys in order"),
    "sum": op("sum({k}.values())", "the sum of the values", "the values added up"),
    "best": op("max(sorted({k}), key={k}.get, default=None)", "the key with the largest value (None if none is left)"),
    "items": op("sorted({k}.items())", "the sorted pairs of key and value"),
    "spread": op("len(set({k}.values()))", "how many different values there are", "the number of different values"),
}
_TABLES = {"gather": GATHERS, "merge": MERGES, "select": SELECTS, "finish": FINISHES}
_GATHERED = ("counts", "sums", "found", "table")
_JOINED = ("joined", "merged", "both", "shared")
_KEPT = ("kept", "chosen", "left", "rest")


class DictOps(Family):
    name = "dictops"
    shapes = (
        Shape(("gather", "select", "finish"), depth=1),
        Shape(("merge", "select", "finish"), depth=1),
        Shape(("gather", "merge", "select", "finish"), depth=2, test_only=True),
    )
    inventory = {slot: tuple(table) for slot, table in _TABLES.items()}
    optional = frozenset({"select"})

    def names(self, composition: Composition, rng: random.Random) -> Names:
        gathered, right = rng.choice(_GATHERED), rng.choice(_RIGHT)
        return {
            "function": rng.choice(FUNCTIONS),
            "pairs": rng.choice(_PAIRS),
            "g": gathered,
            "l": gathered if composition["gather"] else rng.choice(_LEFT),
            "r": right,
            "j": rng.choice(_JOINED),
            "k": rng.choice(_KEPT),
        }

    def program(self, composition: Composition, names: Names) -> str:
        lines: list[str] = []
        last = "{g}"
        if composition["gather"]:
            lines += ["{g} = {{}}", "for key, number in {pairs}:", "    " + GATHERS[composition["gather"]].code]
        if composition["merge"]:
            lines += ["{j} = {{}}", "for key in {l}:", "    if key in {r}:"]
            lines.append("        {j}[key] = " + MERGES[composition["merge"]].code)
            last = "{j}"
        if composition["select"]:
            lines += ["{k} = {{}}", f"for key, value in {last}.items():"]
            lines += [f"    if {SELECTS[composition['select']].code}:", "        {k}[key] = value"]
            last = "{k}"
        finish = FINISHES[str(composition["finish"])].code.replace("{k}", last)
        return function(f"{{function}}({self._signature(composition)})", *lines, f"return {finish}").format(**names)

    def _signature(self, composition: Composition) -> str:
        if not composition["merge"]:
            return "{pairs}"
        return "{pairs}, {r}" if composition["gather"] else "{l}, {r}"

    def prompt(self, composition: Composition, names: Names, rng: random.Random) -> str:
        told = []
        if composition["gather"]:
            gather = tell(GATHERS, composition["gather"], rng)
            told.append(
                f"From the pairs of key and number in `{{pairs}}` make a dict `{{g}}` of each key's {gather}. "
            )
        if composition["merge"]:
            merge = tell(MERGES, composition["merge"], rng)
            told.append(f"For the keys that the dicts `{{l}}` and `{{r}}` share, put {merge} into `{{j}}`. ")
        select, finish = tell(SELECTS, composition["select"], rng), tell(FINISHES, composition["finish"], rng)
        told.append(f"Keep the keys {select} in `{{k}}` and return {finish}.")
        head = f"Write a function `{{function}}({self._signature(composition)})`. "
        return (head + "".join(told)).format(**names)

    def steps(self, composition: Composition, names: Names) -> list[str]:
        steps = []
        last = "{g}"
        if composition["gather"]:
            steps.append(f"`{{g}}`: each key's {tell(GATHERS, composition['gather'])}, from `{{pairs}}`.")
        if composition["merge"]:
            steps.append(f"`{{j}}`: for each key of `{{l}}` and `{{r}}`, {tell(MERGES, composition['merge'])}.")
            last = "{j}"
        steps.append(f"`{{k}}`: keys of `{last}` {tell(SELECTS, composition['select'])}.")
        steps.append(f"Return {tell(FINISHES, composition['finish'])} of `{{k}}`.")
        return [step.format(**names) for step in steps]

    def arguments(self, composition: Composition, rng: random.Random) -> Arguments:
        def table() -> dict[str, int]:
            return {key: rng.randint(-3, 9) for key in rng.sample(_KEYS, rng.randint(4, 7))}

        pairs = [(rng.choice(_KEYS), rng.randint(-3, 9)) for _ in range(rng.randint(6, 12))]
        if not composition["merge"]:
            return (pairs,)
        return (pairs, table()) if composition["gather"] else (table(), table())
