"""Averages, counts, the floor, several references, processes, and what is refused."""

import doctest
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_structdistill.errors import InputError
from hf_structdistill.scoring import (
    codebleu,
    dataflow_match,
    numbers,
    parses,
    pass_at_k,
    score_pairs,
    scores,
    syntax_match,
)

ADD = "def f(a, b):\n    return a + b"
LOOP = "def g(n):\n    total = 0\n    for i in n:\n        total += i\n    return total"
CONSTANT = "def one():\n    return 1"


@pytest.mark.parametrize("module", [scores, numbers])
def test_examples_in_docstrings(module):
    results = doctest.testmod(module)
    assert results.attempted > 1 and results.failed == 0


def test_micro_macro_and_per_sample():
    report = syntax_match([ADD, ADD], [ADD, LOOP], per_sample=True)
    assert report["syntax_match_per_sample"] == [1.0, report["matched_per_sample"][1] / report["total_per_sample"][1]]
    assert report["syntax_match"] == report["matched"] / report["total"]
    assert report["syntax_match_macro"] == sum(report["syntax_match_per_sample"]) / 2
    assert report["matched"] == sum(report["matched_per_sample"])
    assert "syntax_match_per_sample" not in syntax_match([ADD], [ADD])


@pytest.mark.parametrize("mode", ["strict", "codexglue"])
def test_a_reference_without_data_flow_is_left_out(mode):
    report = dataflow_match([ADD, CONSTANT], [ADD, CONSTANT], mode=mode, per_sample=True)
    assert report["dataflow_match_per_sample"] == [1.0, None]
    assert (report["dataflow_match"], report["dataflow_match_macro"], report["undefined"]) == (1.0, 1.0, 1)
    alone = dataflow_match([ADD], [CONSTANT], mode=mode)
    assert alone["dataflow_match"] == (None if mode == "strict" else 0.0)
    assert alone["dataflow_match_macro"] is None


def test_the_floor_is_the_score_against_other_samples():
    predictions, references = [ADD, LOOP, CONSTANT], [ADD, LOOP, CONSTANT]
    report = syntax_match(predictions, references, floor_shuffles=2)  # both others for each: the order cannot matter
    pairs = [(p, r) for p, r in itertools.product(predictions, references) if p != r]
    crossed = [syntax_match([prediction], [reference]) for prediction, reference in pairs]
    floor = sum(c["matched"] for c in crossed) / sum(c["total"] for c in crossed)
    assert report["syntax_match_floor"] == floor
    assert report["syntax_match_macro_floor"] == pytest.approx(sum(c["syntax_match"] for c in crossed) / 6)
    assert report["syntax_match_corrected"] == pytest.approx((1.0 - floor) / (1.0 - floor))
    assert syntax_match([ADD], [ADD])["syntax_match_floor"] is None
    assert syntax_match([ADD, LOOP], [ADD, LOOP], floor_shuffles=0)["syntax_match_floor"] is None


def test_no_sample_meets_its_own_reference():
    programs = [f"x = [{', '.join('1' * n)}]" for n in range(2, 40)]  # no two share the statement that tells them
    report = syntax_match(programs, programs)
    assert (
        report["syntax_match"] == 1.0 and report["syntax_match_floor"] == 0.0 == 1 - report["syntax_match_corrected"]
    )


def test_no_sample_meets_the_reference_of_another_sample_of_its_problem():
    programs = [ADD, ADD, ADD, LOOP, LOOP, LOOP, LOOP]  # samples of two problems, each as good as can be
    references = [[f"{program}\n", program] for program in programs]
    for mode in ("strict", "codexglue"):
        apart = score_pairs([ADD, LOOP], [[f"{LOOP}\n", LOOP], [f"{ADD}\n", ADD]], mode=mode)["syntax"]
        macro = {score_pairs([p], [r], mode=mode)["syntax"]["syntax_match"] for p, r in [(ADD, LOOP), (LOOP, ADD)]}
        for num_proc in (1, 2):
            found = score_pairs(programs, references, mode=mode, floor_shuffles=6, num_proc=num_proc)["syntax"]
            assert found["syntax_match"] == 1.0
            assert found["syntax_match_macro_floor"] == pytest.approx(sum(macro) / 2)
            assert found["syntax_match_floor"] == apart["syntax_match"]  # each has met all samples of the other one
        alone = score_pairs([ADD, LOOP], [LOOP, LOOP], mode=mode)["syntax"]
        assert alone["syntax_match_floor"] is alone["syntax_match_corrected"] is None


def test_floors_are_the_same_every_time_and_over_processes(seed_programs):
    predictions = [row["wrong_solution"] for row in seed_programs[:23]]
    references = [[row["solution"], ADD] for row in seed_programs[:23]]
    for mode in ("strict", "codexglue"):
        one = score_pairs(predictions, references, mode=mode, per_sample=True)
        assert one == score_pairs(predictions, references, mode=mode, per_sample=True)
        assert one == score_pairs(predictions, references, mode=mode, per_sample=True, num_proc=2)
    bleu = codebleu(predictions, references, per_sample=True)
    assert bleu == codebleu(predictions, references, per_sample=True, num_proc=2)


def test_score_pairs_is_both_scores(seed_programs):
    predictions = [row["wrong_solution"] for row in seed_programs[:12]]
    references = [row["solution"] for row in seed_programs[:12]]
    for mode in ("strict", "codexglue"):
        both = score_pairs(predictions, references, mode=mode)
        assert both["syntax"] == syntax_match(predictions, references, mode=mode)
        assert both["dataflow"] == dataflow_match(predictions, references, mode=mode)


def test_strict_takes_the_best_reference_and_codexglue_adds_them_up():
    strict = syntax_match([ADD], [[LOOP, ADD]])
    assert (strict["syntax_match"], strict["total"]) == (1.0, syntax_match([ADD], [ADD])["total"])
    published = syntax_match([ADD], [[LOOP, ADD]], mode="codexglue")
    totals = [syntax_match([ADD], [text], mode="codexglue")["total"] for text in (LOOP, ADD)]
    assert published["total"] == sum(totals)
    # an undefined reference does not hide a defined one
    assert dataflow_match([ADD], [[CONSTANT, ADD]])["dataflow_match"] == 1.0


def test_predictions_that_do_not_parse_are_counted():
    broken = "def f(a:\n  return"
    assert syntax_match([broken, ADD, ""], [ADD] * 3)["unparsable_predictions"] == 1
    assert not parses(broken) and parses(ADD) and parses("") and parses("func f() {}", language="go")
    # the published cleaning breaks tab-indented code; that is not the prediction's doing
    tabs = "def f(a):\n\tif a:\n\t\tb = a\n\t\treturn b\n\treturn 0"
    assert syntax_match([tabs], [tabs], mode="codexglue")["unparsable_predictions"] == 0


def test_codebleu_renormalises_over_what_is_defined():
    report = codebleu([CONSTANT], [CONSTANT])
    assert report["dataflow_match"] is None and report["undefined"] == 1
    assert report["codebleu"] == pytest.approx(1.0)
    published = codebleu([ADD], [CONSTANT], mode="codexglue")
    parts = ("ngram_match", "weighted_ngram_match", "syntax_match")
    assert published["dataflow_match"] == 0.0
    assert published["codebleu"] == pytest.approx(sum(published[part] for part in parts) / 4 + 0.25)
    only_syntax = codebleu([ADD], [LOOP], weights=(0, 0, 2, 0))
    assert only_syntax["codebleu"] == only_syntax["syntax_match"]
    assert codebleu([CONSTANT], [CONSTANT], weights=(0, 0, 0, 1))["codebleu"] is None


def test_codebleu_in_strict_mode_ignores_layout():
    spaced = "def f(a, b):\n    # adds\n    return (a+b)"
    assert codebleu([ADD.replace(" + ", "+")], [ADD])["codebleu"] == pytest.approx(1.0)
    assert codebleu([spaced], [ADD])["ngram_match"] > codebleu([spaced], [ADD], mode="codexglue")["ngram_match"]
    report = codebleu([ADD, LOOP], [ADD, CONSTANT], per_sample=True)
    assert report["codebleu_per_sample"] == [pytest.approx(1.0), codebleu([LOOP], [CONSTANT])["codebleu"]]


SHORT = ["", "x", "return 1", "n += 1", "f(x)", "pass"]


@pytest.mark.parametrize("program", SHORT)
def test_codebleu_of_a_short_program_with_itself_is_1(program):
    for several in ([program], [program] * 100, [program, ADD]):
        report = codebleu(several, several, per_sample=True)
        assert [report["codebleu"], *report["codebleu_per_sample"]] == pytest.approx([1.0] * (len(several) + 1))
    parts = codebleu([program], [program])
    assert (parts["ngram_match"] is None) == (parts["weighted_ngram_match"] is None) == (program == "")


@given(st.text(max_size=30))
@settings(max_examples=50, deadline=None)
def test_codebleu_of_any_text_is_in_bounds_and_1_with_itself(text):
    assert codebleu([text], [text])["codebleu"] == pytest.approx(1.0)
    for other in SHORT:
        assert 0.0 <= codebleu([text], [other])["codebleu"] <= 1.0 + 1e-9


def test_an_order_that_one_program_is_too_short_for_counts_as_missed():
    assert codebleu(["x"], ["x += 1"])["ngram_match"] == pytest.approx(math.exp(-2) * 0.01 ** (1 / 3))
    assert codebleu(["x += 1"], ["x"])["weighted_ngram_match"] == pytest.approx(0.01 ** (1 / 3))


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        (("x", ["y"]), {}, "expected a list for predictions, got str"),
        ((["x"], "y"), {}, "expected a list for references, got str"),
        ((["x"], ["y", "z"]), {}, "1 predictions and 2 references"),
        (([], []), {}, "at least one prediction"),
        ((["x", None], ["y", "z"]), {}, "predictions[1], got NoneType"),
        ((["x"], [3]), {}, "references[0], got int"),
        ((["x"], [[]]), {}, "at least one reference at references[0]"),
        ((["x"], [["y", b"z"]]), {}, "references[0][1], got bytes"),
        ((["x"], ["y"]), {"mode": "loose"}, "strict, codexglue, got 'loose'"),
        ((["x"], ["y"]), {"language": "cobol"}, "got 'cobol'"),
        ((["x"], ["y"]), {"num_proc": 0}, "at least 1 for num_proc, got 0"),
        ((["x"], ["y"]), {"floor_shuffles": 1.5}, "for floor_shuffles, got 1.5"),
        ((["x"], ["y"]), {"metrics": ("types",)}, "got 'types'"),
        ((["x"], ["y"]), {"language": "go"}, "use mode='codexglue'"),
    ],
)
def test_wrong_input_says_what_to_do(arguments, options, expected):
    with pytest.raises(InputError) as error:
        score_pairs(*arguments, **options)
    assert expected in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("weights", [(1, 1, 1), (0, 0, 0, 0), (1, -1, 1, 1)])
def test_codebleu_refuses_weights(weights):
    with pytest.raises(InputError, match="four weights"):
        codebleu([ADD], [ADD], weights=weights)


def test_pass_at_k_is_the_share_of_draws_with_a_right_sample():
    for n in range(1, 8):
        for c in range(n + 1):
            for k in range(1, n + 1):
                draws = list(itertools.combinations([True] * c + [False] * (n - c), k))
                assert pass_at_k(n, c, k) == sum(map(any, draws)) / len(draws)
    assert pass_at_k(10_000, 1, 5_000) == 0.5  # no overflow


@pytest.mark.parametrize(
    "arguments", [(0, 0, 1), (5, 6, 1), (5, -1, 1), (5, 1, 6), (5, 1, 0), (5.0, 1, 1), (5, True, 1)]
)
def test_pass_at_k_refuses(arguments):
    with pytest.raises(InputError):
        pass_at_k(*arguments)
