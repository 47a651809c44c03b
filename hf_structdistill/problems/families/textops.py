"""textops: strings taken apart into words, filtered, changed and built up again."""

from __future__ import annotations

import random

from .family import Arguments, Composition, Family, Names, Shape
from .wording import FUNCTIONS, function, op, tell

_TEXTS = ("text", "line", "sentence", "phrase")
_PICKED = ("picked", "kept", "chosen", "some")
_CHANGED = ("changed", "edited", "turned", "made")
_AGAIN = ("again", "second", "twice", "further")
_WORDS = ("apple", "be", "car", "delta", "echo", "fog", "garden", "hill", "ink", "joy", "level", "moon", "noon",
          "open", "pop", "ring", "stone", "tree", "under", "view")  # fmt: skip

PICKS = {
    "long": op("len(word) > 3", "longer than 3 letters", "with more than 3 letters"),
    "short": op("len(word) < 5", "shorter than 5 letters", "with fewer than 5 letters"),
    "vowel": op('word[0] in "aeiou"', "that start with a vowel"),
    "has_o": op('"o" in word', "that contain an o", "with an o in them"),
    "no_e": op('"e" not in word', "that do not contain an e", "without an e"),
    "late": op('word > "g"', "that come after 'g'"),
}
CHANGES = {
    "reverse": op("word[::-1]", "reversed", "read backwards"),
    "upper": op("word.upper()", "in capitals", "in upper case"),
    "double_first": op("word[0] + word", "with its first letter doubled", "with its first letter written twice"),
    "drop_last": op("word[:-1]", "without its last letter"),
    "measure": op("word + str(len(word))", "followed by its length", "with its length behind it"),
    "wrap": op('"<" + word + ">"', "between < and >"),
    "rotate": op("word[1:] + word[:1]", "with its first letter moved to the end"),
}
FINISHES = {
    "dashes": op('"-".join({x})', "them joined by dashes", "them with dashes between"),
    "backwards": op('" ".join(reversed({x}))', "them in reverse order, with spaces between"),
    "initials": op('"".join(word[:1] for word in {x})', "their first letters as one string"),
    "longest": op('max({x}, key=len, default="")', "the longest of them ('' if there is none)"),
    "sorted": op('",".join(sorted({x}))', "them sorted, with commas between"),
    "letters": op("sum(len(word) for word in {x})", "how many letters they have together"),
}
_TABLES = {"pick": PICKS, "change": CHANGES, "more": CHANGES, "finish": FINISHES}


class TextOps(Family):
    name = "textops"
    shapes = (
        Shape(("pick", "finish"), depth=1),
        Shape(("change", "finish"), depth=1),
        Shape(("pick", "change", "finish"), depth=2),
        Shape(("pick", "change", "more", "finish"), depth=3, test_only=True),
    )
    inventory = {slot: tuple(table) for slot, table in _TABLES.items()}
    optional = frozenset({"pick", "change", "more"})

    def names(self, composition: Composition, rng: random.Random) -> Names:
        pools = {"text": _TEXTS, "pick": _PICKED, "change": _CHANGED, "more": _AGAIN, "function": FUNCTIONS}
        return {slot: rng.choice(pool) for slot, pool in pools.items()}

    def program(self, composition: Composition, names: Names) -> str:
        lines = ["words = {text}.split()"]
        last = "words"
        for slot in ("pick", "change", "more"):
            if composition[slot] is None:
                continue
            code = _TABLES[slot][str(composition[slot])].code
            lines += [f"{{{slot}}} = []", f"for word in {last}:"]
            if slot == "pick":
                lines += [f"    if {code}:", "        {pick}.append(word)"]
            else:
                lines.append(f"    {{{slot}}}.append({code})")
            last = f"{{{slot}}}"
        lines.append("return " + FINISHES[str(composition["finish"])].code.replace("{x}", last))
        return function("{function}({text})", *lines).format(**names)

    def prompt(self, composition: Composition, names: Names, rng: random.Random) -> str:
        told = []
        if composition["pick"]:
            told.append(f"keep the words {tell(PICKS, composition['pick'], rng)} in `{{pick}}`")
        for slot in ("change", "more"):
            if composition[slot]:
                told.append(f"put each word {tell(CHANGES, composition[slot], rng)} into `{{{slot}}}`")
        head = "Write a function `{function}({text})` for a string of words: "
        return (head + ", then ".join(told) + f". Return {tell(FINISHES, composition['finish'], rng)}.").format(
            **names
        )

    def steps(self, composition: Composition, names: Names) -> list[str]:
        steps = ["`words`: the words of `{text}`."]
        last = "words"
        for slot in ("pick", "change", "more"):
            if composition[slot]:
                told = tell(_TABLES[slot], composition[slot])
                steps.append(f"`{{{slot}}}`: each of `{last}` {told}.")
                last = f"{{{slot}}}"
        steps.append(f"Return {tell(FINISHES, composition['finish'])}, from `{last}`.")
        return [step.format(**names) for step in steps]

    def arguments(self, composition: Composition, rng: random.Random) -> Arguments:
        return (" ".join(rng.choice(_WORDS) for _ in range(rng.randint(4, 8))),)
