"""Broken and altered variants of programs, the same ones every time."""

import random

_TYPOS = "()[]{}:,'\"#; \n\t\\+=$é\N{SNOWMAN}"


def mutants(programs: list[str], seed: int = 0) -> list[str]:
    """One mutant a program: cut short, a character dropped, put in or doubled, lines shuffled, or a word swapped."""
    rng = random.Random(seed)
    return [_mutate(program, rng) for program in programs]


def _mutate(program: str, rng: random.Random) -> str:
    at = rng.randrange(len(program) + 1)
    kind = rng.randrange(6)
    if kind == 0:
        return program[:at]
    if kind == 1:
        return program[:at] + program[at + 1 :]
    if kind == 2:
        return program[:at] + rng.choice(_TYPOS) + program[at:]
    if kind == 3:
        lines = program.split("\n")
        rng.shuffle(lines)
        return "\n".join(lines)
    words = program.split(" ")
    i, j = rng.randrange(len(words)), rng.randrange(len(words))
    words[i], words[j] = words[j], words[i]
    return " ".join(words)
