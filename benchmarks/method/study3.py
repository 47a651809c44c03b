"""Study 3: ablations of study 1's best arm, on its validation split, and where the gradient of each objective goes.

python -m benchmarks.method.study3 --out results [--workers 2] settings    # one setting changed, three seeds each
python -m benchmarks.method.study3 --out results [--workers 2] sizes       # fewer and more problems, three seeds each
python -m benchmarks.method.study3 --out results [--workers 2] base        # a student that has seen Python before
python -m benchmarks.method.study3 --out results [--workers 2] base-test   # with more steps, on the test split
python -m benchmarks.method.study3 --out results [--workers 2] weights     # reasoning weighs less and more than code
python -m benchmarks.method.study3 --out results [--workers 2] bank        # solutions embedded by an encoder
python -m benchmarks.method.study3 --out results [--workers 2] confirm     # the best setting, on the test split
python -m benchmarks.method.study3 --out results [--workers 2] confirm --setting "all heads share it"
python -m benchmarks.method.study3 --out results [--workers 2] strengths --arm "AST path" --strengths 1 3
python -m benchmarks.method.study3 --out results [--workers 2] pairs --beside "AST path"  # and a second objective
python -m benchmarks.method.study3 --out results gradients                 # one training, probed every 50 steps
python -m benchmarks.method.study3 --out results heads                     # which heads of the base find names already
python -m benchmarks.method.study3 --out results report

`--out` is the folder of study 1, whose `chosen.json` says which coefficients were tuned. `confirm` adds to its ledger:
its report shows the setting beside the other arms.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_structdistill.training_args import COEFFICIENTS

from . import report
from .arms import ALL, ARMS, OFF, REJECTED, SFT, SINGLE
from .generated import Generated, GeneratedOnBase
from .ledger import Ledger
from .pool import make_runs
from .setting import Arm, Run
from .study1 import MAIN, VARIANTS, chosen_arm, chosen_rate
from .study1 import SEEDS as TEST_SEEDS

COMMANDS = "settings sizes base base-test weights bank confirm strengths pairs gradients heads report".split()
SEEDS = range(100, 103)  # neither those of the test runs nor the tuning's
# names of studies in the ledger
SETTINGS, PAIRS, STRENGTHS = "one setting changed", "a second objective", "other strengths"
BANKS = "an encoder's bank"
SIZES = (1200, 7200)
BASE = GeneratedOnBase()
BASE_RATE = 6e-4  # for all arms: fine-tuning, not training from scratch
BASE_TEST_SEEDS = 3
HALF = {**OFF, "attention_coef": 0.3, "attention_heads": 0.5}
PAIR = Arm("half of the heads + AST path, 1", {**HALF, "ast_path_coef": 1.0})
SHARED = Arm("all heads share it, 0.3", {**OFF, "attention_coef": 0.3, "attention_heads": None})
BASE_ARMS = (
    Arm(SFT),
    Arm("name attention, 0.1", {**OFF, "attention_coef": 0.1}),
    Arm("name attention, 0.3", {**OFF, "attention_coef": 0.3}),
    Arm("half of the heads", HALF),
    Arm("half of the heads + AST path, 0.3", {**HALF, "ast_path_coef": 0.3}),
    PAIR,
    SHARED,
)
REASONING_WEIGHTS = (0.5, 2.0)
ENCODER = "pycode-17m"
ABLATIONS: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    # name, the coefficients that it needs one of, the change
    ("no curriculum (constant)", COEFFICIENTS, {"structure_schedule": "constant"}),
    ("curriculum over half of the training", COEFFICIENTS, {"structure_ramp_ratio": 0.5}),
    ("the layer before the last", ("attention_coef",), {"attention_layer": -2}),
    ("1 head", ("attention_coef",), {"attention_heads": 1}),
    ("5 of 10 heads", ("attention_coef",), {"attention_heads": 5}),
    ("all heads share it", ("attention_coef",), {"attention_heads": None}),
    ("projections of rank 16", ("dataflow_coef", "ast_path_coef"), {"structure_head_rank": 16}),
    ("1 ancestor", ("ast_path_coef",), {"structure_num_ancestors": 1}),
    ("8 ancestors", ("ast_path_coef",), {"structure_num_ancestors": 8}),
)


def ablations(out: Path, name: str) -> Iterator[Run]:
    """The chosen arm and the same with one setting changed, beside SFTTrainer."""
    arm = chosen_arm(out, name)
    settings = arm.settings or OFF
    for seed in SEEDS:
        for base in (chosen_arm(out, SFT), arm):
            yield _run(out, MAIN, base, seed, SETTINGS)
        for label, needs, change in ABLATIONS:
            if any(settings[coefficient] for coefficient in needs):
                changed = Arm(label, {**settings, **change}, arm.rejected)
                yield _run(out, MAIN, changed, seed, SETTINGS, name)


def ahead(out: Path, name: str) -> Arm:
    """The best of the finished ablations: by the mean of pass@1 over the seeds, then of corrected data flow."""
    return _best(out, [*ablations(out, name)])


def strengths(out: Path, name: str, values: Sequence[float]) -> Iterator[Run]:
    """A single objective at strengths that its tuning did not try, beside SFTTrainer."""
    coefficient = SINGLE[name][0]
    for seed in SEEDS:
        yield _run(out, MAIN, chosen_arm(out, SFT), seed, STRENGTHS)
        for value in values:
            arm = Arm(f"{name}, {value:g}", {**OFF, coefficient: value}, name in REJECTED)
            yield _run(out, MAIN, arm, seed, STRENGTHS, name)


def pairs(out: Path, name: str, beside: str, values: Sequence[float] = ()) -> Iterator[Run]:
    """The setting that is ahead, with a second objective on as well, at each strength that its tuning tried."""
    if beside == name:
        raise SystemExit(f"--beside: expected another objective than --arm, got {beside!r} for both")
    best = ahead(out, name)
    coefficient, tuned = SINGLE[beside]
    for seed, strength in itertools.product(SEEDS, values or tuned):
        settings = {**(best.settings or OFF), coefficient: strength}
        arm = Arm(f"{best.name} + {beside}, {strength:g}", settings, beside in REJECTED)
        yield _run(out, MAIN, arm, seed, PAIRS, name)


def confirmation(
    out: Path,
    name: str,
    beside: str | None = None,
    values: Sequence[float] = (),
    variant: str = "without reasoning",
    setting: str | None = None,
) -> list[Run]:
    """What is ahead on the validation split, with study 1's seeds on its test split.

    Of the settings, or of the pairs with a second objective (`values`: strengths of it beyond those of its tuning). Or
    the `setting` that is named, ahead or not. No runs where that is the arm as it is.
    """
    if setting is not None:
        best = next(run.arm for run in ablations(out, name) if run.arm.name == setting)
    elif beside is None:
        best = ahead(out, name)
    else:
        best = _best(out, list(pairs(out, name, beside, (*SINGLE[beside][1], *values))))
    if best.name in ARMS:
        return []
    arm = replace(best, name=f"{name}, {best.name}")
    rate = chosen_rate(out, name)
    return [Run(VARIANTS[variant], arm, seed, "test", rate, study=variant) for seed in range(TEST_SEEDS[variant])]


def _best(out: Path, runs: Sequence[Run]) -> Arm:
    finished = {row["key"]: row["scores"] for row in Ledger(out / "ablations.jsonl").rows()}
    arms, tried = {}, defaultdict(list)
    for run in runs:
        arms[run.arm.name] = run.arm
        tried[run.arm.name] += [finished[run.key]] if run.key in finished else []
    lacking = [label for label, found in tried.items() if len(found) < len(SEEDS)]
    if lacking:
        raise SystemExit(f"not finished yet: {', '.join(lacking)}; run the command `settings` or `pairs` first")
    measures = ("pass@1", "strict_dataflow_match_corrected")
    return arms[max(tried, key=lambda label: tuple(sum(scores[m] for scores in tried[label]) for m in measures))]


def sizes(out: Path, name: str) -> Iterator[Run]:
    """The chosen arm and SFTTrainer on fewer and on more problems, each seen once."""
    for seed, size in itertools.product(SEEDS, SIZES):
        for base in (chosen_arm(out, SFT), chosen_arm(out, name)):
            yield _run(out, replace(MAIN, train_size=size), base, seed, f"{size} problems")


def on_base(out: Path) -> Iterator[Run]:
    """Name attention, alone and with the syntax path, and each other objective as tuned from scratch, on a base."""
    others = [chosen_arm(out, name) for name in SINGLE if name != "name attention"]
    for arms in (BASE_ARMS, others):
        for seed, arm in itertools.product(SEEDS, arms):
            yield Run(BASE, arm, seed, "validation", BASE_RATE, study="a base that has seen Python")


def on_base_test() -> Iterator[Run]:
    """What gained on the base, on the test split: on as many problems as in study 1, on few seen often; then the pair.

    The pair is what is best from scratch.
    """
    many = replace(BASE, train_size=MAIN.train_size, test_size=MAIN.test_size)
    few = replace(BASE, epochs=3.0, test_size=MAIN.test_size)
    plan = (
        (many, "a base, 3600 problems, test", (Arm(SFT), SHARED)),
        (few, "a base, 800 problems seen 3 times, test", (Arm(SFT), SHARED)),
        (many, "a base, 3600 problems, test", (PAIR,)),
    )
    for setting, study, arms in plan:
        for seed, arm in itertools.product(range(BASE_TEST_SEEDS), arms):
            yield Run(setting, arm, seed, "test", BASE_RATE, study=study)


def weights(out: Path) -> Iterator[Run]:
    """With reasoning: its tokens weighing half of and twice what code tokens do, beside SFTTrainer."""
    setting = VARIANTS["with reasoning"]
    for seed in SEEDS:
        yield _run(out, setting, chosen_arm(out, SFT), seed, "weight of the reasoning")
        for weight in REASONING_WEIGHTS:
            arm = Arm(f"reasoning weighs {weight:g}", {**OFF, "reasoning_weight": weight})
            yield _run(out, setting, arm, seed, "weight of the reasoning", SFT)


def banks(out: Path) -> Iterator[Run]:
    """The objectives that read a bank of solutions, as fingerprints and as an encoder's vectors."""
    for seed, name in itertools.product(SEEDS, ("alignment", "embedding cosine (paper)")):
        arm = chosen_arm(out, name)
        encoded = replace(
            arm, name=f"{name}, encoder", settings={**(arm.settings or OFF), "alignment_encoder": ENCODER}
        )
        for tried in (arm, encoded):
            yield _run(out, MAIN, tried, seed, BANKS, name)


def _run(out: Path, setting: Generated, arm: Arm, seed: int, study: str, tuned_as: str | None = None) -> Run:
    return Run(setting, arm, seed, "validation", chosen_rate(out, tuned_as or arm.name), study=study)


def gradients(out: Path) -> None:
    """Train once with every objective on, and keep what each one's gradient is beside the NLL's."""
    from .experiment import train
    from .gradients import GradientProbe

    settings = {**OFF, **(chosen_arm(out, ALL).settings or {}), "embedding_coef": 0.1}
    run = Run(MAIN, Arm("every objective", settings, rejected=True), SEEDS[0], "validation", chosen_rate(out, ALL))
    measured = train(run, GradientProbe).measured
    _write_rows(out / "gradients.jsonl", measured)
    print(gradient_table(measured))


def heads(out: Path) -> None:
    """Keep what each head of the base gives to names before it is tuned, on the first 24 examples."""
    from .heads import name_masses

    run = Run(BASE, SHARED, SEEDS[0], "validation", BASE_RATE)
    with tempfile.TemporaryDirectory() as folder:
        rows = name_masses(run, folder, batches=3)
    _write_rows(out / "heads.jsonl", rows)
    print(mass_table(rows))


def _write_rows(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def mass_table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a layer a line."""
    heads = ["layer", *(f"head {n}" for n in range(len(rows[0]["masses"])))]
    return report.markdown(heads, [[str(row["layer"]), *(f"{mass:.2f}" for mass in row["masses"])] for row in rows])


def gradient_table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: means over the first and the last half of the probed steps."""
    middle = max(row["step"] for row in rows) / 2
    halves: dict[str, tuple[list, list]] = defaultdict(lambda: ([], []))
    for row in rows:
        halves[row["objective"]][row["step"] > middle].append(row)
    lines = [
        [name, *(_mean(half, field) for field in ("ratio", "cosine") for half in both)]
        for name, both in halves.items()
    ]
    heads = ["objective", "norm / NLL's, first half", "last half", "cosine, first half", "last half"]
    return report.markdown(heads, lines)


def _mean(rows: Sequence[dict[str, Any]], field: str) -> str:
    return f"{sum(row[field] for row in rows) / len(rows):.2f}" if rows else "none"


def write_report(out: Path) -> str:
    rows = Ledger(out / "ablations.jsonl").rows()
    parts = []
    for study in dict.fromkeys(row["study"] for row in rows):
        shown = [row for row in rows if row["study"] == study]
        if study in (PAIRS, STRENGTHS, BANKS):
            # the same runs as there, kept once
            alone = {SFT, *(row["arm"]["name"].split(" + ")[0] for row in shown)}
            shown = [row for row in rows if row["study"] == SETTINGS and row["arm"]["name"] in alone] + shown
        names = list(dict.fromkeys([SFT, *(row["arm"]["name"] for row in shown)]))
        parts.append(f"### Study 3, {study}\n\n{report.tables(shown, names, SFT)}")
    probes = ("gradients", "gradients", gradient_table), ("heads of the base", "heads", mass_table)
    for title, name, table in probes:
        file = out / f"{name}.jsonl"
        if file.is_file():
            measured = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            parts.append(f"### Study 3, {title}\n\n{table(measured)}")
    text = "\n\n".join(parts)
    (out / "study3.md").write_text(text + "\n", encoding="utf-8")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--out", type=Path, required=True, help="folder of study 1")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--arm", choices=ARMS[1:], default="name attention", help="which arm to take apart")
    parser.add_argument("--beside", choices=SINGLE, help="the second objective, of the commands pairs and confirm")
    parser.add_argument(
        "--strengths", type=float, nargs="+", default=[], help="others than tuning tried: of it, or of --arm"
    )
    parser.add_argument("--variant", choices=VARIANTS, default="without reasoning", help="of the command confirm")
    parser.add_argument(
        "--setting",
        choices=[label for label, _, _ in ABLATIONS],
        help="of the command confirm: this one, ahead or not",
    )
    options = parser.parse_args()
    if options.command == "pairs" and options.beside is None:
        parser.error("the command pairs needs --beside")
    if options.command in ("gradients", "heads"):
        {"gradients": gradients, "heads": heads}[options.command](options.out)
    elif options.command == "report":
        print(write_report(options.out))
    elif options.command == "confirm":
        runs = confirmation(
            options.out, options.arm, options.beside, options.strengths, options.variant, options.setting
        )
        make_runs(runs, Ledger(options.out / "runs.jsonl"), options.workers)
    else:
        arm = options.arm
        planned = {
            "settings": lambda: ablations(options.out, arm),
            "sizes": lambda: sizes(options.out, arm),
            "base": lambda: on_base(options.out),
            "base-test": on_base_test,
            "weights": lambda: weights(options.out),
            "bank": lambda: banks(options.out),
            "strengths": lambda: strengths(options.out, arm, options.strengths),
            "pairs": lambda: pairs(options.out, arm, options.beside, options.strengths),
        }
        make_runs(list(planned[options.command]()), Ledger(options.out / "ablations.jsonl"), options.workers)


if __name__ == "__main__":
    main()
