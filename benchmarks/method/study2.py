"""Study 2: real Python. A base student tuned on MBPP train and the seed problems, every objective against SFTTrainer.

python -m benchmarks.method.study2 --out results --base pycode-17m gate     # is the base above the floor?
python -m benchmarks.method.study2 --out results --base pycode-17m run      # only behind an open gate
python -m benchmarks.method.study2 --out results report

The gate: after tuning with SFTTrainer, greedy completions of MBPP validation parse in 90% of the cases and reach a
corrected syntax match of 0.1. Below it the study reports the floor and claims nothing.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import report
from .arms import ARMS, SFT
from .ledger import Ledger
from .pool import make_runs
from .real_python import RealPython
from .setting import Arm, Run
from .statistics import MEASURES
from .study1 import chosen_arm

GATE = {"parse_rate": 0.9, "strict_syntax_match_corrected": 0.1}
RATES = (3e-4, 6e-4, 1.2e-3)
EPOCHS = (3.0, 8.0)
SEEDS = 5
SPLITS = ("test", "humaneval", "seed")
VARIANTS = [(target, reasoning) for target in ("reference", "teacher") for reasoning in (True, False)]


def rate_runs(base: str) -> list[Run]:
    """SFTTrainer at each rate on the quickest setting (code alone, the fewest epochs), judged on MBPP validation."""
    return [_gate_run(base, False, EPOCHS[0], rate) for rate in RATES]


def length_runs(base: str, rate: float) -> list[Run]:
    """The rest of the gate at the rate that was best there: more epochs, and plans before the code."""
    shapes = [*itertools.product((False, True), EPOCHS)][1:]
    return [_gate_run(base, reasoning, epochs, rate) for reasoning, epochs in shapes]


def _gate_run(base: str, reasoning: bool, epochs: float, rate: float) -> Run:
    return Run(RealPython(base, reasoning=reasoning, epochs=epochs), Arm(SFT), 1000, "validation", rate, study="gate")


def best_of_gate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The gate's best run: by corrected syntax match among those that parse often enough, else among all."""
    parsing = [row for row in rows if row["scores"]["parse_rate"] >= GATE["parse_rate"]]
    return max(parsing or rows, key=lambda row: row["scores"]["strict_syntax_match_corrected"])


def is_open(row: dict[str, Any]) -> bool:
    """Whether the best tuned base is above the floor."""
    return all(row["scores"][name] >= least for name, least in GATE.items())


def gate(out: Path, base: str, workers: int, limit: int | None = None) -> dict[str, Any]:
    """Tune and judge the base: first its rate, then length and plans. `limit` makes the first runs only, for now."""
    ledger = Ledger(out / "gate.jsonl")
    runs = rate_runs(base)[:limit]
    make_runs(runs, ledger, workers)
    best = best_of_gate(_finished(runs, ledger))
    planned = [*rate_runs(base), *length_runs(base, best["learning_rate"])]
    runs = planned[:limit]
    make_runs(runs, ledger, workers)
    best = best_of_gate(_finished(runs, ledger))
    scores = best["scores"]
    found = ", ".join(f"{name} {scores[name]:.3f} (least {least})" for name, least in GATE.items())
    word = "open" if is_open(best) else "closed"
    print(f"gate {word} after {len(runs)} of {len(planned)} runs: {found}; pass@1 {scores['pass@1']:.3f}")
    return best


def _finished(runs: Sequence[Run], ledger: Ledger) -> list[dict[str, Any]]:
    keys = {run.key for run in runs}
    return [row for row in ledger.rows() if row["key"] in keys]


def run(out: Path, base: str, workers: int) -> None:
    best = gate(out, base, workers)
    if not is_open(best):
        raise SystemExit("the base is at the floor: no arm can be told from another; train a better one first")
    setting = best["setting"]
    runs = [
        Run(
            RealPython(base, target, reasoning, epochs=setting["epochs"]),
            chosen_arm(out, name),
            seed,
            split,
            best["learning_rate"],
            study=f"{target}, {'plans' if reasoning else 'no plans'}, {split}",
        )
        for (target, reasoning), seed, name, split in itertools.product(VARIANTS, range(SEEDS), ARMS, SPLITS)
    ]
    make_runs(runs, Ledger(out / "runs2.jsonl"), workers)


def write_report(out: Path) -> str:
    rows = Ledger(out / "runs2.jsonl").rows()
    parts = [
        f"### Study 2, {study}\n\n" + report.tables([row for row in rows if row["study"] == study], ARMS, SFT)
        for study in dict.fromkeys(row["study"] for row in rows)
    ]
    gates = Ledger(out / "gate.jsonl").rows()
    if gates:
        parts.insert(0, "### Study 2, the gate\n\n" + gate_table(gates))
    text = "\n\n".join(parts)
    (out / "study2.md").write_text(text + "\n", encoding="utf-8")
    return text


def gate_table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a run of the gate a line."""
    names = (*GATE, "pass@1", "strict_dataflow_match_corrected", "bits_per_byte")
    heads = ["completion", "epochs", "learning rate", *(MEASURES[name] for name in names)]
    lines = []
    for row in rows:
        shape = "plan and code" if row["setting"]["reasoning"] else "code"
        cells = [f"{row['scores'][name]:.3f}" for name in names]
        lines.append([shape, f"{row['setting']['epochs']:g}", f"{row['learning_rate']:g}", *cells])
    return report.markdown(heads, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("gate", "run", "report"))
    parser.add_argument("--out", type=Path, required=True, help="folder of study 1, for its chosen arms")
    parser.add_argument("--base", default="pycode-17m", help="name below the shared models, or a folder")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=int, help="of the command gate: at most so many runs for now")
    options = parser.parse_args()
    if options.command == "report":
        print(write_report(options.out))
    elif options.command == "gate":
        gate(options.out, options.base, options.workers, options.limit)
    else:
        run(options.out, options.base, options.workers)


if __name__ == "__main__":
    main()
