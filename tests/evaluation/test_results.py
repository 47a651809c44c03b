"""Scores, intervals and comparisons, on completions whose worth is known."""

import dataclasses
import itertools
import math
import random

import pytest
from scipy.stats import binomtest
from tiny_students import PROBLEMS, WRONG, answers

from hf_structdistill.errors import InputError
from hf_structdistill.evaluation import compare_results, score_completions
from hf_structdistill.evaluation.compare import compare_all
from hf_structdistill.evaluation.completion import Sample
from hf_structdistill.evaluation.intervals import (
    bootstrap_interval,
    holm,
    mcnemar,
    paired_proportion_interval,
    sign_flip_test,
    wilson_interval,
)
from hf_structdistill.evaluation.summary import headline, points, score_rows
from hf_structdistill.problems.problem import Problem


@pytest.fixture(scope="module")
def good():
    return score_completions(PROBLEMS, answers(), name="good")


@pytest.fixture(scope="module")
def worse():
    return score_completions(PROBLEMS, answers(wrong=("total", "clamp")), name="worse", tokens=[1, 2, 3, 4])


def test_right_answers_score_one(good):
    assert good.pass_at_1 == 1.0
    assert good.parse_rate == 1.0
    assert good.scores["strict"]["dataflow_match"] == 1.0
    assert good.scores["codexglue"]["codebleu"] == pytest.approx(1.0)
    assert good.scores["strict"]["syntax_match_floor"] < 0.5


def test_wrong_answers_fail_with_their_test(worse):
    assert worse.pass_at_1 == 0.5
    record = worse.by_problem()["tiny/total"][0]
    assert record.verdict.status == "failed"
    assert record.verdict.failed_test == "assert total([1, 2]) == 3"
    assert record.code == WRONG["total"]
    assert 0 < record.dataflow < 1
    assert worse.to_dict()["completion_tokens"] == 10


def test_what_is_no_code_counts_as_wrong_and_unknown_does_not():
    untested = Problem("tiny/untested", "Write anything.", None, None, "x = 1\n", "tiny", "test")
    loops = "```python\ndef double(n):\n    while True:\n        pass\n```\n"
    result = score_completions(
        [*PROBLEMS, untested],
        [loops, "I cannot do that.", "```python\ndef last(xs):\n", "```python\ndef clamp(:\n```\n", answers()[0]],
        name="mixed",
        cpu_seconds=1.0,
    )
    counts = result.counts()
    expected = {
        "problems": 5,
        "problems_judged": 4,
        "passed": 0,
        "timeout": 1,
        "unknown": 1,
        "no_code": 2,
        "unclosed": 1,
    }
    assert {key: counts[key] for key in expected} == expected
    assert counts["failed"] + counts["error"] == 3
    assert counts["unparsable"] == 1
    assert result.pass_at_1 == 0.0
    assert result.parse_rate == pytest.approx(2 / 5)
    # a completion without code is 0 where a reference has data flow, not left out
    assert result.problem_scores("dataflow")["tiny/total"] == 0.0


def test_pass_at_k_over_samples():
    right, wrong = answers(), answers(wrong=("total", "clamp"))
    samples = [[r, w, w, w, w] for r, w in zip(right, wrong, strict=True)]
    result = score_completions(PROBLEMS, samples, name="sampled")
    assert result.pass_at_1 == pytest.approx((1 + 0.2 + 1 + 0.2) / 4)
    assert result.to_dict()["pass@k"] == {"1": pytest.approx(0.6), "5": 1.0}
    low, high = result.pass_at_1_interval
    assert low <= 0.6 <= high
    assert result.to_dict()["pass@k_interval_95"]["5"] == [1.0, 1.0]
    two = score_completions(PROBLEMS, [[r, w] for r, w in zip(right, wrong, strict=True)], name="two")
    assert two.to_dict()["pass@k"] == {"1": 0.75, "2": 1.0}
    found = {c.metric: c for c in compare_all([two, result])}
    assert found["pass@1"].difference == pytest.approx(-0.15)
    assert "sign-flip" in found["pass@1"].method


def test_the_parse_rate_is_known_as_well_as_the_problems_are_many():
    broken = "```python\ndef broken(:\n```\n"

    def parse_interval(samples):
        result = score_completions(PROBLEMS, samples, name="sampled")
        (row,) = [row for row in score_rows([result]) if row.label == "Parse rate"]
        return row.cells[0].interval

    first, *others = answers()
    assert parse_interval([broken, *others]) == wilson_interval(3, 4)
    assert parse_interval([[broken] * 5, *([answer] * 5 for answer in others)]) == wilson_interval(3, 4)
    mixed = [[broken, first], *([answer] * 2 for answer in others)]
    assert parse_interval(mixed) == bootstrap_interval([0.5, 1.0, 1.0, 1.0])


def test_tokens_and_seconds_are_added_up():
    samples = [Sample(a, tokens=5, finish_reason="length", seconds=0.5) for a in answers()]
    summary = score_completions(PROBLEMS, samples, name="timed", cpu_seconds=2.0).to_dict()
    assert (summary["completion_tokens"], summary["generation_seconds"]) == (20, 2.0)
    assert summary["counts"]["cut_off"] == 4


def test_every_match_comes_with_its_floor_in_both_modes(worse):
    for mode in ("strict", "codexglue"):
        for name in ("syntax_match", "syntax_match_macro", "dataflow_match", "dataflow_match_macro"):
            value, floor = worse.scores[mode][name], worse.scores[mode][f"{name}_floor"]
            assert worse.scores[mode][f"{name}_corrected"] == pytest.approx((value - floor) / (1 - floor))


def test_several_students_are_adjusted_for(good, worse):
    others = [dataclasses.replace(worse, name=name) for name in ("b", "c")]
    found = [c for c in compare_all([good, *others]) if c.metric == "pass@1"]
    assert [(c.other, c.p_value, c.p_adjusted) for c in found] == [("b", 0.5, 1.0), ("c", 0.5, 1.0)]
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_sign_flips_agree_with_all_of_them():
    differences = [0.5, 0.25, -0.125, 0.75, 0.0, 0.375, 0.0625]
    nonzero = [d for d in differences if d]
    total = abs(sum(nonzero))
    flips = list(itertools.product((1, -1), repeat=len(nonzero)))
    extreme = sum(abs(sum(s * d for s, d in zip(signs, nonzero, strict=True))) >= total for signs in flips)
    assert sign_flip_test(differences) == pytest.approx(extreme / len(flips), abs=0.01)
    assert sign_flip_test([0.0, 0.0]) == 1.0


def test_shapes_are_checked():
    with pytest.raises(InputError, match="4 problems but 1 completions"):
        score_completions(PROBLEMS, ["x"], name="short")
    with pytest.raises(InputError, match="'tiny/double' occurs twice"):
        score_completions([PROBLEMS[0]] * 2, ["x", "y"], name="twice")


def test_comparison_is_paired_and_signed(good, worse):
    found = {c.metric: c for c in compare_results(worse, good)}
    passed = found["pass@1"]
    assert (passed.difference, passed.better, passed.worse, passed.problems) == (0.5, 2, 0, 4)
    assert passed.p_value == 0.5
    assert not passed.distinguishable
    backward = {c.metric: c for c in compare_results(good, worse)}["pass@1"]
    assert (backward.difference, backward.low, backward.high) == (-0.5, -passed.high, -passed.low)
    assert found["dataflow"].difference > 0
    text = headline([worse, good], list(found.values()))
    assert text.startswith("good and worse cannot be told apart on pass@1: 100.0% against 50.0%")


def test_a_clear_difference_is_called_one():
    problems = [
        Problem(f"tiny/{i}", "Write double(n).", PROBLEMS[0].tests, "double", PROBLEMS[0].reference, "tiny", "test")
        for i in range(12)
    ]
    wrong = "```python\ndef double(n):\n    return n\n```\n"
    base = score_completions(problems, [wrong] * 12, name="base")
    other = score_completions(problems, [answers()[0]] * 12, name="other")
    comparisons = compare_results(base, other)
    assert headline([base, other], comparisons).startswith("other solves more problems than base: pass@1 100.0%")
    assert headline([other, base], compare_results(other, base)).startswith("base solves fewer problems than other")


def test_different_benchmarks_cannot_be_compared(good):
    elsewhere = score_completions([Problem("a/1", "", None, None, "x = 1")], ["x = 1"], name="elsewhere")
    with pytest.raises(InputError, match="no problem in common"):
        compare_results(good, elsewhere)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (57, 399)])
def test_wilson_agrees_with_scipy(successes, trials):
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_bootstrap_agrees_with_the_normal_interval_and_is_repeatable():
    generator = random.Random(0)
    values = [generator.gauss(0.3, 1.0) for _ in range(400)]
    mean = sum(values) / 400
    half = 1.96 * math.sqrt(sum((v - mean) ** 2 for v in values) / 399 / 400)
    assert bootstrap_interval(values) == pytest.approx((mean - half, mean + half), abs=0.02)
    assert bootstrap_interval(values) == bootstrap_interval(values)


def test_paired_interval_does_not_collapse_without_disagreement():
    low, high = paired_proportion_interval(0, 0, 30)
    assert low == pytest.approx(-high)
    assert high > 0.05
    # Bonett and Price 2012, equation 3, by hand for 9 gained, 2 lost of 40
    up, down = 10 / 42, 3 / 42
    half = 1.959964 * math.sqrt((up + down - (up - down) ** 2) / 42)
    assert paired_proportion_interval(9, 2, 40) == pytest.approx((up - down - half, up - down + half))


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(8, 1) == pytest.approx(2 * (1 + 9) / 2**9)


def test_points_have_a_true_minus_and_no_signed_zero():
    assert [points(x) for x in (0.123, -0.05, 0.0001, -0.0001)] == ["+12.3", "\u22125.0", "0.0", "0.0"]
