"""Fuzz target: any bytes have a tree, a data flow and scores, and all keep their promises.

    pip install atheris
    mkdir -p build/corpus
    python tests/fuzz/fuzz_structure.py -max_total_time=600 build/corpus

Without atheris, `--random N [seed]` runs N inputs spliced from Python fragments and random bytes instead.
"""

import random
import sys
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def target() -> Callable[[bytes], None]:
    """The function that fails on a broken promise. What it needs is imported here, so that atheris instruments it."""
    sys.path[:0] = [str(TESTS / "structure"), str(TESTS.parent)]
    from invariants import check_anything
    from test_robustness import PROGRAM

    import hf_structdistill.structure.dataflow.python  # noqa: F401  (imported on first use otherwise)
    from hf_structdistill.scoring import MODES, score_pairs

    def one_input(data: bytes) -> None:
        check_anything(data)
        text = data.decode("utf-8", "surrogateescape")
        for mode in MODES:
            scores = score_pairs([text, text, PROGRAM], [text, PROGRAM, text], mode=mode, per_sample=True)
            for metric, report in scores.items():
                values = report[f"{metric}_match_per_sample"]
                assert values[0] in (None, 1.0), (mode, metric, values)
                assert all(value is None or 0 <= value <= 1 for value in values), (mode, metric, values)

    return one_input


def splice(generator: random.Random, program: str, tokens: list[str]) -> bytes:
    """Fragments of a program, tokens and noise, in random order."""
    pieces = []
    for _ in range(generator.randrange(1, 30)):
        choice = generator.random()
        if choice < 0.5:
            pieces.append(generator.choice(tokens).encode("utf-8", "surrogatepass"))
        elif choice < 0.9:
            start = generator.randrange(len(program))
            pieces.append(program[start : start + generator.randrange(120)].encode())
        else:
            pieces.append(generator.randbytes(generator.randrange(4)))
        pieces.append(generator.choice([b"", b" ", b"\n", b"\n    "]))
    return b"".join(pieces)


def run_random(count: int, seed: int) -> None:
    one_input, generator = target(), random.Random(seed)
    from test_robustness import PROGRAM, TOKENS

    for _ in range(count):
        data = splice(generator, PROGRAM, TOKENS)
        try:
            one_input(data)
        except Exception:
            sys.stderr.write(f"failing input: {data!r}\n")
            raise


def main() -> None:
    if len(sys.argv) > 2 and sys.argv[1] == "--random":
        run_random(int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
        return
    import atheris

    with atheris.instrument_imports(include=["hf_structdistill"]):
        one_input = target()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
