"""Study 1: compositional problems, students from scratch, every objective against SFTTrainer.

python -m benchmarks.method.study1 --out results [--workers 2] tune      # on the validation split
python -m benchmarks.method.study1 --out results [--workers 2] run       # on the test split, with what tune chose
python -m benchmarks.method.study1 --out results report                  # tables and plots

Each command may be stopped and run again; finished runs are kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_structdistill.training_args import COEFFICIENTS

from . import report
from .arms import ARMS, SFT, candidates
from .generated import Generated
from .ledger import Ledger
from .pool import make_runs
from .setting import Arm, Run
from .statistics import MAIN_MEASURES, MEASURES

MAIN = Generated()
VARIANTS = {
    "without reasoning": MAIN,
    "without reasoning, 7200 problems": replace(MAIN, train_size=7200),
    "with reasoning": replace(MAIN, reasoning=True),
}
SEEDS = {"without reasoning": 8, "without reasoning, 7200 problems": 5, "with reasoning": 5}
TUNING_SEED = 1000  # no seed of the test runs


def tune(out: Path, workers: int, arms: Sequence[str]) -> None:
    """Three trials an arm on the validation split; the best by pass@1, then by corrected data flow, is chosen."""
    ledger = Ledger(out / "tune.jsonl")
    trials = {SFT: _trials(SFT, 0.0)}
    make_runs(trials[SFT], ledger, workers)
    rate = max(_rows(ledger, trials[SFT]), key=_quality)["learning_rate"]
    for arm in arms:
        trials.setdefault(arm, _trials(arm, rate))
    make_runs([run for arm in arms for run in trials[arm]], ledger, workers)
    chosen = _read(out)
    for arm in arms:
        best = max(_rows(ledger, trials[arm]), key=_quality)
        chosen[arm] = {"learning_rate": best["learning_rate"], "settings": best["arm"]["settings"]}
    (out / "chosen.json").write_text(json.dumps(chosen, indent=2) + "\n", encoding="utf-8")


def _trials(arm: str, rate: float) -> list[Run]:
    return [
        Run(MAIN, candidate, TUNING_SEED, "validation", tried, study=f"tune {arm}")
        for candidate, tried in candidates(arm, rate)
    ]


def _rows(ledger: Ledger, runs: Sequence[Run]) -> list[dict[str, Any]]:
    keys = {run.key for run in runs}
    return [row for row in ledger.rows() if row["key"] in keys]


def _quality(row: dict[str, Any]) -> tuple[float, float]:
    return row["scores"]["pass@1"], row["scores"]["strict_dataflow_match_corrected"] or 0.0


def _read(out: Path) -> dict[str, Any]:
    file = out / "chosen.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def run(
    out: Path, workers: int, arms: Sequence[str], variants: Sequence[str] = tuple(VARIANTS), seeds: int | None = None
) -> None:
    """Every chosen arm on the test split; seed by seed, so that pairs fill up. `seeds` stops each variant earlier."""
    missing = [arm for arm in arms if arm not in _read(out)]
    if missing:
        raise SystemExit(f"not tuned yet: {', '.join(missing)}; run the command `tune` first")
    runs = []
    for variant in variants:
        for seed in range(SEEDS[variant] if seeds is None else min(seeds, SEEDS[variant])):
            for name in arms:
                arm, rate = chosen_arm(out, name), chosen_rate(out, name)
                runs.append(Run(VARIANTS[variant], arm, seed, "test", rate, study=variant))
    make_runs(runs, Ledger(out / "runs.jsonl"), workers)


def chosen_arm(out: Path, name: str) -> Arm:
    """The arm with the coefficients that tuning chose."""
    settings = _read(out)[name]["settings"]
    return Arm(name, settings, rejected=bool(settings and settings["divergence_coef"]))


def chosen_rate(out: Path, name: str) -> float:
    """The learning rate that tuning chose for an arm."""
    return _read(out)[name]["learning_rate"]


def write_report(out: Path) -> str:
    """Tables of both variants as Markdown, with a plot each beside it."""
    rows = Ledger(out / "runs.jsonl").rows()
    trials = Ledger(out / "tune.jsonl").rows()
    parts = [f"### Study 1, tuning\n\n{tuning_table(trials)}"] if trials else []
    for variant in VARIANTS:
        shown = [row for row in rows if row["study"] == variant]
        if shown:
            # study 3 adds the setting that it confirms
            names = list(dict.fromkeys([*ARMS, *(row["arm"]["name"] for row in shown)]))
            parts.append(f"### Study 1, {variant}\n\n{report.tables(shown, names, SFT, times=True)}")
            report.plot(shown, names, SFT, out / f"study1-{variant.replace(', ', '-').replace(' ', '-')}.png")
    text = "\n\n".join(parts)
    (out / "study1.md").write_text(text + "\n", encoding="utf-8")
    return text


def tuning_table(trials: Sequence[dict[str, Any]]) -> str:
    """Markdown: the trials of an arm in a line, weakest first; SFTTrainer's are its learning rates."""
    lines = []
    for arm in dict.fromkeys(row["arm"]["name"] for row in sorted(trials, key=lambda r: ARMS.index(r["arm"]["name"]))):
        own = sorted((row for row in trials if row["arm"]["name"] == arm), key=_strength)
        cells = [", ".join(f"{row['scores'][measure]:.3f}" for row in own) for measure in MAIN_MEASURES]
        lines.append([arm, ", ".join(f"{_strength(row):g}" for row in own), *cells])
    return report.markdown(["arm", "tried", *(MEASURES[measure] for measure in MAIN_MEASURES)], lines)


def _strength(row: dict[str, Any]) -> float:
    """What was varied: the learning rate, the one coefficient, or the largest of all."""
    settings = row["arm"]["settings"]
    return max(settings[name] for name in COEFFICIENTS) if settings else row["learning_rate"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("tune", "run", "report"))
    parser.add_argument("--out", type=Path, required=True, help="folder for the ledgers, tables and plots")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, each on one core")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=tuple(VARIANTS), help="of the command run")
    parser.add_argument("--seeds", type=int, help="of the command run: at most so many seeds for now")
    options = parser.parse_args()
    if options.command == "report":
        print(write_report(options.out))
    elif options.command == "tune":
        tune(options.out, options.workers, options.arms)
    else:
        run(options.out, options.workers, options.arms, options.variants, options.seeds)


if __name__ == "__main__":
    main()
