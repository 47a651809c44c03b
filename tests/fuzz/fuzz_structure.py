"""Fuzz target: any bytes have a tree and a data flow, and both keep their promises.

    pip install atheris
    python tests/fuzz/fuzz_structure.py -max_total_time=600 corpus/

Without atheris, `--random N [seed]` runs N inputs spliced from Python fragments and random bytes instead.
"""

import random
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "structure"), str(Path(__file__).resolve().parents[2])]

from invariants import check_anything  # noqa: E402
from test_robustness import PROGRAM, TOKENS  # noqa: E402


def one_input(data: bytes) -> None:
    check_anything(data)


def splice(generator: random.Random) -> bytes:
    """Fragments of a program, tokens and noise, in random order."""
    pieces = []
    for _ in range(generator.randrange(1, 30)):
        choice = generator.random()
        if choice < 0.5:
            pieces.append(generator.choice(TOKENS).encode("utf-8", "surrogatepass"))
        elif choice < 0.9:
            start = generator.randrange(len(PROGRAM))
            pieces.append(PROGRAM[start : start + generator.randrange(120)].encode())
        else:
            pieces.append(generator.randbytes(generator.randrange(4)))
        pieces.append(generator.choice([b"", b" ", b"\n", b"\n    "]))
    return b"".join(pieces)


def main() -> None:
    if len(sys.argv) > 2 and sys.argv[1] == "--random":
        generator = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
        for _ in range(int(sys.argv[2])):
            data = splice(generator)
            try:
                one_input(data)
            except Exception:
                sys.stderr.write(f"failing input: {data!r}\n")
                raise
        return
    import atheris

    with atheris.instrument_imports(include=["hf_structdistill"]):
        import hf_structdistill.structure.dataflow.python  # noqa: F401
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
