"""Syntax and data-flow match against codebleu 0.7.0, in one run, both in this one process.

    python -m benchmarks.scoring [--json rows.json] [--rounds 3] [--long-pairs 4]

Every program is seen once a round, and nothing is kept between rounds. Blocks of pairs go to ours and to codebleu in
turn, and the fastest of the rounds counts for each, so that other load on the machine hits both; times are CPU time.
"parsing" is the share of tree-sitter's parser in our time, "bound" the ratio if all but the parser were free.
codebleu is given the same grammar. Floors are left out, because codebleu has none (a line says what they add).
Measured twice: the plain Python files, then the wheel whose inner loops are compiled, each against the peer anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tree_sitter

from benchmarks._compiled import compiled_package
from benchmarks._peers import import_peer
from hf_structdistill.sandbox.verify import available_cores
from hf_structdistill.scoring import MODES, score_pairs, strict
from hf_structdistill.structure import get_language

ROOT = Path(__file__).resolve().parents[1]
SEED = ROOT / "hf_structdistill" / "problems" / "data" / "seed_problems.jsonl"
DATA = ROOT.parent / "shared" / "data"
BLOCKS = 8
Pair = tuple[str, str]


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def distinct(pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs of programs of which none has been seen before."""
    seen: set[str] = set()
    kept = []
    for pair in pairs:
        if pair[0] != pair[1] and seen.isdisjoint(pair):
            seen.update(pair)
            kept.append(pair)
    return kept


def code_of(reply: str) -> str:
    block = re.search(r"```(?:python)?\n(.*?)```", reply, re.DOTALL)
    return (block[1] if block else reply).strip()


def short_pairs() -> dict[str, list[Pair]]:
    """(prediction, reference) pairs by name; what lies beside the checkout, and always the problems in the package."""
    seed = read_rows(SEED)
    found = {"seed problems, wrong against right": [(row["wrong_solution"], row["solution"]) for row in seed]}
    if DATA.is_dir():
        number = {str(row["task_id"]): row["code"].strip() for row in read_rows(DATA / "mbpp.jsonl")}
        plus = {
            row["task_id"].split("/")[-1]: row["canonical_solution"] for row in read_rows(DATA / "mbpp_plus.jsonl")
        }
        replies = {str(row["task_id"]).split("/")[-1]: row for row in read_rows(DATA / "teacher_responses.jsonl")}
        traces = [(row["solution"], number[str(row["task_id"])]) for row in read_rows(DATA / "mbpp_traces.jsonl")]
        code = list(number.values())
        found["MBPP+ references, recorded replies"] = [
            (code_of(row["response"]), plus.get(task, number[task]).strip()) for task, row in replies.items()
        ]
        found["MBPP references, each other"] = list(zip(code[::2], code[1::2], strict=False))
        found["MBPP references, traces"] = traces
    return {name: distinct(pairs) for name, pairs in found.items()}


def long_pairs(count: int, lines: int) -> list[Pair]:
    """Standard-library files of about so many lines, two different files a pair."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    texts = [path.read_text(encoding="utf-8", errors="ignore") for path in sorted(folder.glob("*.py"))]
    fitting = [text for text in texts if 0.9 * lines <= text.count("\n") <= 1.2 * lines]
    return distinct(zip(fitting[::2], fitting[1::2], strict=False))[:count]


def peer_scorer() -> Callable[[list[Pair]], None]:
    import_peer("codebleu", "codebleu==0.7.0")
    from codebleu.dataflow_match import corpus_dataflow_match
    from codebleu.syntax_match import corpus_syntax_match

    grammar = get_language("python").grammar

    def score(pairs: list[Pair]) -> None:
        predictions, references = [p for p, _ in pairs], [[r] for _, r in pairs]
        corpus_syntax_match(references, predictions, "python", tree_sitter_language=grammar)
        corpus_dataflow_match(references, predictions, "python", tree_sitter_language=grammar)

    return score


def own_scorer(mode: str, **options: Any) -> Callable[[list[Pair]], None]:
    def score(pairs: list[Pair]) -> None:
        score_pairs([p for p, _ in pairs], [r for _, r in pairs], mode=mode, **options)

    return score


def parse_only(pairs: list[Pair]) -> None:
    grammar = get_language("python").grammar
    for program in (program for pair in pairs for program in pair):
        tree_sitter.Parser(grammar).parse(program.encode())


def seconds_of(
    scorers: dict[str, Callable[[list[Pair]], None]], pairs: list[Pair], rounds: int, blocks: int = BLOCKS
) -> dict[str, float]:
    """CPU seconds of each scorer for all pairs: per block the best of the rounds, the scorers taking turns."""
    cut = [pairs[i::blocks] for i in range(min(blocks, len(pairs)))]
    totals = dict.fromkeys(scorers, 0.0)
    for block in cut:
        best = dict.fromkeys(scorers, float("inf"))
        for _ in range(rounds):
            for name, score in scorers.items():
                start = time.process_time()
                score(block)
                best[name] = min(best[name], time.process_time() - start)
        for name in scorers:
            totals[name] += best[name]
    return totals


def measure(name: str, pairs: list[Pair], aim: float, rounds: int) -> list[dict[str, Any]]:
    scorers = {mode: own_scorer(mode, floor_shuffles=0) for mode in MODES}
    seconds = seconds_of(
        {**scorers, "floor": own_scorer("strict"), "parse": parse_only, "codebleu": peer_scorer()}, pairs, rounds
    )
    rows = []
    for mode in MODES:
        rows.append(
            {
                "what": f"syntax + data flow, {mode}: {name}",
                "peer": "codebleu 0.7.0",
                "aim": aim,
                "ratio": seconds["codebleu"] / seconds[mode],
                "pairs": len(pairs),
                "ours_us_per_pair": seconds[mode] / len(pairs) * 1e6,
                "peer_us_per_pair": seconds["codebleu"] / len(pairs) * 1e6,
                "parse_share": seconds["parse"] / seconds[mode],
                "bound": seconds["codebleu"] / seconds["parse"],  # the ratio if everything but parsing were free
            }
        )
    rows[0]["floor_adds"] = seconds["floor"] / seconds["strict"] - 1
    return rows


def measure_processes(pairs: list[Pair], copies: int = 8) -> dict[str, Any]:
    """Wall-clock gain of num_proc = the cores of this machine, on distinct programs."""
    cores = available_cores()
    many = [tuple(f"{text}\nx = {i}" for text in pair) for i in range(copies) for pair in pairs]
    seconds = {}
    for num_proc in (1, cores):
        start = time.perf_counter()
        own_scorer("strict", floor_shuffles=0, num_proc=num_proc)(many)
        seconds[num_proc] = time.perf_counter() - start
    return {
        "what": f"num_proc={cores}, {len(many)} pairs, wall clock",
        "peer": "num_proc=1",
        "aim": cores * 0.8,
        "ratio": seconds[1] / seconds[cores],
    }


def print_rows(rows: list[dict[str, Any]]) -> None:
    print(f"{'what':<72} {'us/pair':>9} {'peer':>9} {'ratio':>7} {'aim':>6} {'parsing':>8} {'bound':>6}")
    for row in rows:
        ours, peer, share = (row.get(key) for key in ("ours_us_per_pair", "peer_us_per_pair", "parse_share"))
        cells = [f"{ours:9.0f} {peer:9.0f}" if ours else " " * 19, f"{row['ratio']:6.1f}x {row['aim']:5.1f}x"]
        limits = f"{share:8.0%} {row['bound']:5.1f}x" if share else ""
        print(f"{row['what']:<72} {cells[0]} {cells[1]} {limits}")
    for row in rows:
        if "floor_adds" in row:
            print(f"floor of {row['what']}: {row['floor_adds']:+.0%} time")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long-pairs", type=int, default=4, help="pairs of 500-line and 2000-line files, 0: none")
    parser.add_argument("--plain", action="store_true", help="measure the plain Python files only")
    options = parser.parse_args(arguments)
    rows = measure_all(options)
    if not options.plain and not is_compiled():
        rows += rows_of_the_compiled(options)
    print_rows(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def is_compiled() -> bool:
    return not str(strict.__file__).endswith(".py")


def rows_of_the_compiled(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The same measurements, peer included, of the wheel whose inner loops are compiled."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(compiled_package()), str(ROOT)])}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        command = [sys.executable, str(Path(__file__).resolve()), "--json", str(file), "--rounds", str(options.rounds)]
        command += ["--long-pairs", str(options.long_pairs)]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        return [dict(row, what=f"compiled, {row['what']}") for row in json.loads(file.read_text())]


def measure_all(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    sets = short_pairs()
    for name, pairs in sets.items():
        rows += measure(name, pairs, 5.0, options.rounds)
    for lines in (500, 2000) if options.long_pairs else ():
        rows += measure(f"{lines}-line files", long_pairs(options.long_pairs, lines), 100.0, min(options.rounds, 2))
    rows.append(measure_processes(max(sets.values(), key=len)))
    return rows


if __name__ == "__main__":
    main()
