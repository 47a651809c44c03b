"""The studies: runs are made once, arms share data and seeds, and intervals are paired."""

import itertools
import json
import shutil
from dataclasses import asdict, replace

import pytest

from benchmarks.method import page, report, study1, study2, study3
from benchmarks.method.arms import ARMS, OFF, SFT, SINGLE, candidates
from benchmarks.method.errors import wrong_variable_errors
from benchmarks.method.experiment import perform, train
from benchmarks.method.generated import Generated
from benchmarks.method.gradients import GradientProbe
from benchmarks.method.heads import name_masses
from benchmarks.method.ledger import Ledger
from benchmarks.method.pool import make_runs
from benchmarks.method.setting import Arm, Run
from benchmarks.method.statistics import estimate, t_interval
from hf_structdistill.problems import load_problems

TINY = Generated(train_size=15, test_size=6, width=32, layers=1, epochs=1.0, batch_size=8)


def test_every_arm_gets_as_many_trials():
    trials = {arm: list(candidates(arm, 3e-3)) for arm in ARMS}
    assert {len(found) for found in trials.values()} == {3}
    for arm, found in trials.items():
        assert len({json.dumps([a.settings, rate]) for a, rate in found}) == 3
        assert arm == SFT or all(a.settings is not None for a, _ in found)


def test_a_key_changes_with_what_a_run_depends_on_and_with_nothing_else():
    run = Run(TINY, Arm(SFT), seed=0, split="test")
    others = [replace(run, seed=1), replace(run, split="validation"), replace(run, learning_rate=1e-3),
              replace(run, setting=replace(TINY, reasoning=True)), replace(run, arm=Arm(SFT, {}))]  # fmt: skip
    assert len({run.key, *(other.key for other in others)}) == 6
    assert replace(run, study="another").key == run.key


def test_the_ledger_forgets_a_line_cut_by_a_kill(tmp_path):
    ledger = Ledger(tmp_path / "runs.jsonl")
    ledger.append({"key": "a", "value": 1})
    with open(ledger.file, "ab") as file:
        file.write(b'{"key": "b", "val')
    ledger.append({"key": "c", "value": 3})
    assert [row["key"] for row in ledger.rows()] == ["a", "c"]
    assert ledger.missing(["a", "b", "c"]) == {"b"}


def test_intervals_are_paired_by_seed():
    baseline = {0: {"x": 0.1}, 1: {"x": 0.5}, 2: {"x": 0.9}}
    arm = {0: {"x": 0.2}, 1: {"x": 0.6}, 2: {"x": 1.0}, 3: {"x": 9.0}}
    found = estimate(arm, baseline, "x")
    assert found.difference == pytest.approx(0.1) and found.low == pytest.approx(0.1) and found.clear
    # mean 1, standard error 1/sqrt(3), t quantile of 2 degrees of freedom 4.3027
    assert t_interval([0.0, 1.0, 2.0]) == pytest.approx((1 - 4.3027 / 3**0.5, 1 + 4.3027 / 3**0.5), abs=1e-4)


def test_a_wrong_variable_error_is_one_use_away_from_passing():
    problems = load_problems("varops", split="test", size=3)
    reads = problems[1].reference.rstrip().rsplit(" ", 1)[1]
    other = problems[1].reference.split(" = ")[0].rsplit(" ", 1)[1]
    misread = problems[1].reference.replace(f"return {reads}", f"return {other}")
    codes = [problems[0].reference, misread, "def nothing():\n    pass\n"]
    assert wrong_variable_errors(problems, codes, [True, False, False]) == {1: True, 2: False}


def test_examples_hold_reasoning_and_mutants_as_the_arm_asks():
    plain = TINY.examples(rejected=False)
    full = replace(TINY, reasoning=True).examples(rejected=True)
    assert set(plain[0]) == {"prompt", "completion"} and plain[0]["completion"].startswith("```python")
    assert full[0]["completion"].startswith("1. ") and full[0]["rejected"] != full[0]["completion"]


def test_a_run_trains_evaluates_and_is_reported(tmp_path):
    rows = []
    for arm in (Arm(SFT), next(candidates("data-flow pointer", 3e-3))[0]):
        for seed in (0, 1):
            rows += perform([Run(TINY, arm, seed, "test", study="without reasoning")])
    assert len(rows[0]["scores"]["passed"]) == 6 and 0 <= rows[0]["scores"]["parse_rate"] <= 1
    (again,) = perform([Run(TINY, Arm(SFT), 0, "test")])
    assert rows[0]["scores"] == again["scores"]  # the same run, the same result
    assert any("dataflow" in name for entry in rows[2]["log"] for name in entry)
    ledger = Ledger(tmp_path / "runs.jsonl")
    for row in rows:
        ledger.append(row)
        Ledger(tmp_path / "tune.jsonl").append(row)
    text = study1.write_report(tmp_path)
    assert "| data-flow pointer | 0.03, 0.03 |" in text
    assert "| data-flow pointer | 2 |" in text and (tmp_path / "study1-without-reasoning.png").stat().st_size > 5000
    assert report.tables(rows, [SFT], SFT).count(f"| {SFT} | 2 |") == 2


def test_runs_that_differ_in_their_split_share_a_training(tmp_path):
    runs = [Run(TINY, Arm(SFT), seed, split) for split in ("test", "validation") for seed in (0, 1)]
    assert len({run.training for run in runs}) == 2
    ledger = Ledger(tmp_path / "runs.jsonl")
    make_runs(runs, ledger, workers=2)
    rows = {(row["seed"], row["split"]): row for row in ledger.rows()}
    assert len(rows) == 4
    for seed in (0, 1):
        # the log holds the seconds that the training took: no two have the same
        assert rows[seed, "test"]["log"] == rows[seed, "validation"]["log"]
        assert rows[seed, "test"]["scores"] != rows[seed, "validation"]["scores"]
    assert rows[0, "test"]["log"] != rows[1, "test"]["log"]


def test_a_probe_sees_the_gradient_of_every_objective():
    settings = {**OFF, "structure_weight": 0.5, "dataflow_coef": 0.1, "divergence_coef": 0.1}
    run = Run(TINY, Arm("probed", settings, rejected=True), 0, "validation", study="3600 problems")
    probed, unprobed = train(run, GradientProbe), train(run)
    assert {row["objective"] for row in probed.measured} == {"weighted_nll", "dataflow", "divergence"}
    assert all(row["ratio"] > 0 and -1 <= row["cosine"] <= 1 for row in probed.measured)
    # what weights add to the NLL is a part of it
    assert all(row["ratio"] < 1 for row in probed.measured if row["objective"] == "weighted_nll")
    # probing leaves the training as it was
    assert _losses(probed) == _losses(unprobed)
    assert "| dataflow | " in study3.gradient_table(probed.measured)


def test_what_heads_give_to_names_before_any_training(tmp_path):
    run = Run(replace(TINY, layers=2), Arm("shared", {**OFF, "attention_coef": 0.3}), 0, "validation")
    rows, again = (name_masses(run, str(tmp_path), batches=1) for _ in range(2))
    assert rows == again and [row["layer"] for row in rows] == [0, 1]
    assert all(len(row["masses"]) == 2 and 0 < mass < 1 for row in rows for mass in row["masses"])
    assert rows[0]["variables"] == rows[1]["variables"] > 5
    assert study3.mass_table(rows).splitlines()[2].startswith(f"| 0 | {rows[0]['masses'][0]:.2f} |")


def _losses(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_arms_share_the_order_of_the_data():
    orders = []
    for arm in (Arm(SFT), Arm("pointer", {**OFF, "dataflow_coef": 1e-9})):
        losses = _losses(train(Run(replace(TINY, train_size=60), arm, 0, "validation")))
        assert len(losses) > 3
        orders.append(losses)
    assert orders[0] == pytest.approx(orders[1], rel=1e-4)


def choose(folder, coefficients):
    """What tuning would have chosen, the same for every arm."""
    settings = {**OFF, **coefficients}
    chosen = {arm: {"learning_rate": 3e-3, "settings": None if arm == SFT else settings} for arm in ARMS}
    (folder / "chosen.json").write_text(json.dumps(chosen))


@pytest.mark.parametrize("name, coefficient, number", [
    ("data-flow pointer", "dataflow_coef", 3),
    ("AST path", "ast_path_coef", 5),
    ("name attention", "attention_coef", 6),
])  # fmt: skip
def test_every_ablation_changes_one_thing(tmp_path, name, coefficient, number):
    choose(tmp_path, {coefficient: 0.1})
    runs = list(study3.ablations(tmp_path, name))
    assert len({run.key for run in runs}) == len(runs) and {run.split for run in runs} == {"validation"}
    base = next(run for run in runs if run.arm.name == name).arm.settings
    changed = [run.arm for run in runs if run.arm.name not in (SFT, name)]
    assert len({arm.name for arm in changed}) == number
    assert all(len(arm.settings.items() - base.items()) == 1 for arm in changed)
    sizes = {(run.arm.name, run.setting.train_size) for run in study3.sizes(tmp_path, name)}
    assert sizes == set(itertools.product((SFT, name), study3.SIZES))


def test_the_best_setting_on_validation_is_confirmed_on_test(tmp_path):
    choose(tmp_path, {"attention_coef": 0.3})
    ledger, runs = Ledger(tmp_path / "ablations.jsonl"), list(study3.ablations(tmp_path, "name attention"))
    quality = {"1 head": 0.4, "5 of 10 heads": 0.41, "name attention": 0.39}
    for number, run in enumerate(runs):
        if number == len(runs) - 1:
            with pytest.raises(SystemExit, match=f"not finished yet: {run.arm.name};"):
                study3.confirmation(tmp_path, "name attention")
        scores = {"pass@1": quality.get(run.arm.name, 0.3), "strict_dataflow_match_corrected": 0.5}
        ledger.append({"key": run.key, "scores": scores})
    confirmed = study3.confirmation(tmp_path, "name attention")
    assert [(run.seed, run.split) for run in confirmed] == [(seed, "test") for seed in range(8)]
    assert {run.arm.name for run in confirmed} == {"name attention, 5 of 10 heads"}
    assert {run.arm.settings["attention_heads"] for run in confirmed} == {5}
    paired = list(study3.pairs(tmp_path, "name attention", "AST path"))
    assert {run.split for run in paired} == {"validation"} and len({run.key for run in paired}) == 9
    assert {run.arm.settings["ast_path_coef"] for run in paired} == {0.03, 0.1, 0.3}
    assert {run.arm.settings["attention_heads"] for run in paired} == {5}
    for run in paired:
        ledger.append({"key": run.key, "scores": {**scores, "pass@1": 1 - run.arm.settings["ast_path_coef"]}})
    confirmed = study3.confirmation(tmp_path, "name attention", "AST path")
    assert {run.arm.name for run in confirmed} == {"name attention, 5 of 10 heads + AST path, 0.03"}
    reasoned = study3.confirmation(tmp_path, "name attention", "AST path", variant="with reasoning")
    assert len(reasoned) == 5 and all(run.setting.reasoning for run in reasoned)
    named = study3.confirmation(tmp_path, "name attention", setting="all heads share it")
    assert {run.arm.settings["attention_heads"] for run in named} == {None} and len(named) == 8
    stronger = [run.arm for run in study3.strengths(tmp_path, "AST path", [3.0]) if run.arm.name != SFT]
    assert [arm.settings for arm in stronger] == [{**OFF, "ast_path_coef": 3.0}] * 3


def test_reasoning_weighs_less_and_more(tmp_path):
    choose(tmp_path, {"attention_coef": 0.3})
    runs = list(study3.weights(tmp_path))
    assert all(run.setting.reasoning and run.split == "validation" for run in runs) and len(runs) == 9
    settings = [run.arm.settings for run in runs if run.seed == 100]
    assert settings == [None, {**OFF, "reasoning_weight": 0.5}, {**OFF, "reasoning_weight": 2.0}]


def test_an_encoder_stands_in_for_the_fingerprint(tmp_path):
    choose(tmp_path, {"alignment_coef": 0.3})
    runs = list(study3.banks(tmp_path))
    assert len({run.key for run in runs}) == len(runs) == 12
    model, tokenizer = TINY.student(TINY.examples(rejected=False), seed=0)
    model.save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    settings = {**OFF, "alignment_coef": 0.3}
    losses = []
    for changed in (settings, {**settings, "alignment_encoder": str(tmp_path / "encoder")}):
        log = train(Run(TINY, Arm("alignment", changed), 0, "validation")).state.log_history
        losses.append([entry["alignment"] for entry in log if "alignment" in entry])
    assert losses[0] and losses[1] and losses[0] != losses[1]


def test_a_base_is_tuned_by_every_arm_alike(tmp_path):
    choose(tmp_path, {"ast_path_coef": 0.03})
    runs = list(study3.on_base(tmp_path))
    assert len({run.key for run in runs}) == len(runs) == 3 * (7 + 6)
    assert {run.arm.name for run in runs} >= set(SINGLE) - {"name attention"}
    assert len({run.learning_rate for run in runs}) == len({run.setting for run in runs}) == 1
    runs = list(study3.on_base_test())
    assert len({run.key for run in runs}) == len(runs) == 9 + 6
    assert {run.split for run in runs} == {"test"}
    # one setting a study: its arms differ in nothing else
    assert len({run.study for run in runs}) == len({(run.study, run.setting) for run in runs}) == 2


def test_the_tables_of_the_page_are_those_of_the_reports(tmp_path):
    known = page.sections()
    written = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(written, known) == written  # otherwise: python -m benchmarks.method.page
    shutil.copytree(page.RESULTS, tmp_path / "results")
    made = "".join(study.write_report(tmp_path / "results") + "\n" for study in (study1, study2, study3))
    assert made == "".join((page.RESULTS / name).read_text(encoding="utf-8") for name in page.REPORTS)
    with pytest.raises(SystemExit, match="no such section in the reports: Study 9"):
        page.filled(f"<!-- table: Study 9 -->\n{page.END}", known)


def test_the_gate_opens_only_above_both_of_its_bounds(tmp_path):
    runs = study2.rate_runs("a-base")
    shapes = [(run.setting.reasoning, run.setting.epochs) for run in study2.length_runs("a-base", 6e-4)]
    assert shapes == [(False, 8), (True, 3), (True, 8)]
    ledger = Ledger(tmp_path / "gate.jsonl")
    quality = [(0.8, 0.5), (0.95, 0.05), (0.92, 0.12)]
    for run, (parsed, syntax) in zip(runs, quality, strict=False):
        scores = {"parse_rate": parsed, "strict_syntax_match_corrected": syntax, "pass@1": 0.0,
                  "strict_dataflow_match_corrected": 0.0, "bits_per_byte": 1.0}  # fmt: skip
        ledger.append({"key": run.key, **asdict(run), "scores": scores})
    rows = ledger.rows()
    assert [study2.is_open(row) for row in rows] == [False, False, True]
    assert study2.best_of_gate(rows) is rows[2]  # syntax counts among those that parse
    assert "| code | 3 | 0.0012 | 0.920 | 0.120 |" in study2.write_report(tmp_path)
