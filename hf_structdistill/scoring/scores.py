"""The public scores: validated inputs in, flat dicts out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from .ngrams import sum_counts
from .numbers import corrected_for_chance, mean_of_defined, ratio
from .pairs import Outcome, check_pairs, run_pairs
from .program import METRICS, Tally

FLOOR_SHUFFLES = 5
"""How many shuffles of the references a floor averages over, unless told otherwise."""

References = Sequence[str | Sequence[str]]


def syntax_match(
    predictions: Sequence[str],
    references: References,
    *,
    language: str = "python",
    mode: str = "strict",
    per_sample: bool = False,
    floor_shuffles: int = FLOOR_SHUFFLES,
    num_proc: int = 1,
) -> dict[str, Any]:
    """Share of the reference's subtrees that the prediction has too.

    Args:
        predictions: one program each.
        references: for each prediction one program, or a list of them: strict mode takes the one that is matched
            best, codexglue mode adds them up as the published metric does.
        mode: `"strict"` (operators count, and a subtree is matched at most as often as the prediction has it) or
            `"codexglue"` (the published metric, equal to codebleu 0.7.0).
        per_sample: also return `syntax_match_per_sample`, `matched_per_sample` and `total_per_sample`.
        floor_shuffles: against how many other samples' references each prediction is scored to say what unrelated
            programs reach; 0 for no floor.
        num_proc: processes to spread the samples over.

    Returns:
        `syntax_match` (micro average: matched / total over all samples) and `syntax_match_macro` (mean over samples);
        `syntax_match_floor` and `syntax_match_macro_floor`, the same against shuffled references (None for a single
        sample, or where all have the same references); `syntax_match_corrected`, the micro average corrected for
        chance, (m - m0) / (1 - m0); `matched`, `total`; `undefined`, samples with nothing to match, which are left
        out; `unparsable_predictions`.

    Raises:
        InputError: wrong types or lengths, empty lists, an unknown language or mode.

    >>> scores = syntax_match(["total = price + tax"], ["x = a + b"])
    >>> scores["syntax_match"], scores["matched"], scores["total"]
    (1.0, 4, 4)
    >>> syntax_match(["x = a - b"], ["x = a + b"])["syntax_match"]
    0.0
    """
    return score_pairs(
        predictions,
        references,
        language=language,
        mode=mode,
        metrics=("syntax",),
        per_sample=per_sample,
        floor_shuffles=floor_shuffles,
        num_proc=num_proc,
    )["syntax"]


def dataflow_match(
    predictions: Sequence[str],
    references: References,
    *,
    language: str = "python",
    mode: str = "strict",
    per_sample: bool = False,
    floor_shuffles: int = FLOOR_SHUFFLES,
    num_proc: int = 1,
) -> dict[str, Any]:
    """Share of the reference's data flow that the prediction has too, whatever the variables are called.

    Arguments, results and errors as in `syntax_match`, with `dataflow_match` in the names. A reference in which no
    value flows (say `return 1`) makes its sample undefined: None in the per-sample list, counted in `undefined` and
    in no average; with no sample left the averages are None (in codexglue mode the micro average is then 0.0, as in
    codebleu). strict mode needs a language with reaching definitions (python).

    >>> dataflow_match(["def f(x):\\n    return x"], ["def g(y):\\n    return y"])["dataflow_match"]
    1.0
    >>> dataflow_match(["def f(x): return 1"], ["def f(x): return 1"])["dataflow_match"] is None
    True
    """
    return score_pairs(
        predictions,
        references,
        language=language,
        mode=mode,
        metrics=("dataflow",),
        per_sample=per_sample,
        floor_shuffles=floor_shuffles,
        num_proc=num_proc,
    )["dataflow"]


def score_pairs(
    predictions: Sequence[str],
    references: References,
    *,
    language: str = "python",
    mode: str = "strict",
    metrics: Sequence[str] = METRICS,
    per_sample: bool = False,
    floor_shuffles: int = FLOOR_SHUFFLES,
    num_proc: int = 1,
) -> dict[str, dict[str, Any]]:
    """Several scores from one analysis of each program: `{"syntax": {...}, "dataflow": {...}}`.

    Each inner dict is what `syntax_match` or `dataflow_match` returns for the same arguments.
    """
    pairs = check_pairs(predictions, references)
    outcome = run_pairs(
        pairs, language=language, mode=mode, metrics=metrics, floor_shuffles=floor_shuffles, num_proc=num_proc
    )
    return {metric: _report(outcome, metric, mode, per_sample) for metric in metrics}


def _report(outcome: Outcome, metric: str, mode: str, per_sample: bool) -> dict[str, Any]:
    name = f"{metric}_match"
    tallies = [sample.tallies[metric] for sample in outcome.samples]
    floor = [floor_tallies[metric] for floor_tallies in outcome.floor]
    micro, floor_micro = _micro(tallies), _micro(floor)
    if micro is None and mode == "codexglue":
        micro = 0.0
    report: dict[str, Any] = {
        name: micro,
        f"{name}_macro": mean_of_defined([ratio(*tally) for tally in tallies]),
        f"{name}_floor": floor_micro,
        f"{name}_macro_floor": mean_of_defined([ratio(*tally) for tally in floor]),
        f"{name}_corrected": corrected_for_chance(micro, floor_micro),
        "matched": sum(matched for matched, _ in tallies),
        "total": sum(total for _, total in tallies),
        "undefined": sum(total == 0 for _, total in tallies),
        "unparsable_predictions": sum(sample.has_error for sample in outcome.samples),
    }
    if per_sample:
        report[f"{name}_per_sample"] = [ratio(*tally) for tally in tallies]
        report["matched_per_sample"] = [matched for matched, _ in tallies]
        report["total_per_sample"] = [total for _, total in tallies]
    return report


def _micro(tallies: list[Tally]) -> float | None:
    return ratio(sum(matched for matched, _ in tallies), sum(total for _, total in tallies))


def codebleu(
    predictions: Sequence[str],
    references: References,
    *,
    language: str = "python",
    mode: str = "strict",
    weights: Sequence[float] = (0.25, 0.25, 0.25, 0.25),
    per_sample: bool = False,
    num_proc: int = 1,
) -> dict[str, Any]:
    """CodeBLEU (Ren et al. 2020): n-gram, keyword-weighted n-gram, syntax and data-flow match, weighted.

    Args:
        weights: of `ngram_match`, `weighted_ngram_match`, `syntax_match` and `dataflow_match`, in this order.
        per_sample: also return `codebleu_per_sample`, each prediction scored as a corpus of its own.

    The other arguments and the errors are those of `syntax_match`. strict mode takes its n-grams over the tokens of
    the syntax tree and renormalises the weights over the parts that are defined; codexglue mode splits at white space
    and counts a data-flow match of 0 as 1, as codebleu 0.7.0 does.

    Returns:
        `codebleu`, its four parts by name, `undefined` (samples without data flow) and `unparsable_predictions`.

    >>> round(codebleu(["def f(a): return a + 1"], ["def f(b): return b + 1"])["codebleu"], 3)
    0.601
    """
    if len(weights) != 4 or min(weights) < 0 or not sum(weights):
        raise InputError(f"expected four weights, none negative and not all 0, got {list(weights)}")
    pairs = check_pairs(predictions, references)
    outcome = run_pairs(
        pairs, language=language, mode=mode, metrics=METRICS, ngrams=True, floor_shuffles=0, num_proc=num_proc
    )
    report = _codebleu(outcome, weights, mode)
    report["undefined"] = sum(sample.tallies["dataflow"][1] == 0 for sample in outcome.samples)
    report["unparsable_predictions"] = sum(sample.has_error for sample in outcome.samples)
    if per_sample:
        report["codebleu_per_sample"] = [
            _codebleu(Outcome([sample]), weights, mode)["codebleu"] for sample in outcome.samples
        ]
    return report


def _codebleu(outcome: Outcome, weights: Sequence[float], mode: str) -> dict[str, Any]:
    counts = [sample.ngrams for sample in outcome.samples if sample.ngrams is not None]
    parts: dict[str, float | None] = {
        "ngram_match": sum_counts(plain for plain, _ in counts).score(),
        "weighted_ngram_match": sum_counts(weighted for _, weighted in counts).score(),
        "syntax_match": _micro([sample.tallies["syntax"] for sample in outcome.samples]),
        "dataflow_match": _micro([sample.tallies["dataflow"] for sample in outcome.samples]),
    }
    if mode == "codexglue":
        parts["dataflow_match"] = parts["dataflow_match"] or 0.0
        values = [*list(parts.values())[:3], parts["dataflow_match"] or 1.0]
        whole = 1.0
    else:
        values = list(parts.values())
        whole = sum(weight for weight, value in zip(weights, values, strict=True) if value is not None)
    weighted = [weight * value for weight, value in zip(weights, values, strict=True) if value is not None]
    return {"codebleu": sum(weighted) / whole if whole else None, **parts}
