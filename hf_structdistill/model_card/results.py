"""The evaluations of a student, as its card, its metadata and `.eval_results/` show them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..model_names import model_fingerprint

RESULTS_FOLDER = ".eval_results"
Results = Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]  # evaluations, each with the entry of one student
_SCORES = (("dataflow_match_macro", "Data-flow match"), ("syntax_match_macro", "Syntax match"))


def with_own_entry(facts: Mapping[str, Any], folder: Path, result_name: str | None = None) -> dict[str, Any]:
    """The evaluation, with the name of the entry that is the student in `folder` under "student".

    By `result_name`, or as it was said before; else the entry with the folder's fingerprint, else the one with its
    name.

    Raises:
        InputError: no such entry, several, or one of other weights: no student gets the scores of another.
    """
    of, names = f"the results of {facts['benchmark']}", ", ".join(str(entry["name"]) for entry in facts["models"])
    chosen = result_name or facts.get("student")
    if chosen is not None:
        if chosen not in [entry["name"] for entry in facts["models"]]:
            raise InputError(f"Expected --result-name (result_name=…) among {names} of {of}, found '{chosen}'.")
        return {**facts, "student": chosen}
    own, fingerprint = folder.resolve().name, model_fingerprint(str(folder))
    same = [entry for entry in facts["models"] if entry.get("fingerprint") == fingerprint]
    named = [entry for entry in same or facts["models"] if own in (entry["name"], entry.get("model"))]
    found = same if len(same) == 1 else named
    if len(found) != 1:
        raise InputError(
            f"Expected one student called '{own}', or with its weights, in {of}, found {len(found)} among {names}; "
            "say which it is by --result-name (result_name=…)."
        )
    if found[0].get("fingerprint", fingerprint) != fingerprint:
        raise InputError(
            f"'{own}' has changed since {of} were made: its fingerprint was {found[0]['fingerprint']} and is "
            f"{fingerprint}; evaluate it again, or say --result-name {found[0]['name']} to take them nevertheless."
        )
    return {**facts, "student": found[0]["name"]}


def own_entry(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry that [`with_own_entry`] found."""
    return next(entry for entry in facts["models"] if entry["name"] == facts["student"])


def index_results(facts: Mapping[str, Any], entry: Mapping[str, Any]) -> list[Any]:
    """The `model-index` entries of one evaluation."""
    from huggingface_hub import EvalResult

    where = {
        "task_type": "text-generation",
        "task_name": "Code generation",
        "dataset_type": facts.get("hub_id") or str(facts["benchmark"]),
        "dataset_name": str(facts["benchmark"]),
        "dataset_split": facts.get("split"),
        "dataset_revision": facts.get("revision"),
    }
    found = []
    for key, value in entry["pass@k"].items():
        if value is not None:
            found.append(EvalResult(metric_type=f"pass@{key}", metric_value=round(value, 4), **where))
    for key, label in _SCORES:
        value = entry["scores"].get("strict", {}).get(key)
        if value is not None:
            kind = key.removesuffix("_macro")
            found.append(EvalResult(metric_type=kind, metric_name=label, metric_value=round(value, 4), **where))
    return found


def write_eval_results(folder: Path, results: Results) -> None:
    """`.eval_results/<benchmark>.yaml` for the benchmarks that live on the Hub; others have no id to point to."""
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    for facts, entry in results:
        value = entry["pass@k"].get("1")
        if value is None or not facts.get("hub_id"):
            continue
        low, high = entry["pass@1_interval_95"]
        counts = entry["counts"]
        result = EvalResultEntry(
            dataset_id=facts["hub_id"],
            task_id="default",
            value=round(100 * value, 2),
            dataset_revision=facts.get("revision"),
            date=facts.get("date"),
            notes=f"pass@1 in percent, {counts['problems_judged']} problems of split {facts.get('split') or 'all'}, "
            f"95% interval {100 * low:.1f} to {100 * high:.1f}",
        )
        (folder / RESULTS_FOLDER).mkdir(exist_ok=True)
        path = folder / RESULTS_FOLDER / f"{re.sub(r'[^a-z0-9_]+', '_', str(facts['benchmark']).lower())}.yaml"
        path.write_text(yaml.safe_dump(eval_result_entries_to_yaml([result]), sort_keys=False), encoding="utf-8")


def evaluation_rows(facts: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """One evaluation as the template shows it, the other students of the same evaluation beside it."""
    students = [entry, *(model for model in facts["models"] if model is not entry)]
    rows = []
    for key in entry["pass@k"]:
        rows.append((f"pass@{key}", [_percent(student["pass@k"].get(key)) for student in students]))
    rows.append(("pass@1, 95% interval", [_interval(student["pass@1_interval_95"]) for student in students]))
    for key, label in _SCORES:
        values = [student["scores"].get("strict", {}).get(key) for student in students]
        if any(value is not None for value in values):
            rows.append((f"{label} (strict, macro)", [_percent(value) for value in values]))
    rows.append(("parse rate", [_percent(student["parse_rate"]) for student in students]))
    rows.append(("problems judged", [str(student["counts"]["problems_judged"]) for student in students]))
    return {
        "title": " · ".join(str(part) for part in (facts["benchmark"], facts.get("split")) if part),
        "names": ["this student", *(str(student["name"]) for student in students[1:])],
        "rows": rows,
        "differences": [c for c in facts.get("comparisons", ()) if entry["name"] in (c["base"], c["other"])],
    }


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"


def _interval(interval: Sequence[float]) -> str:
    return f"{100 * interval[0]:.1f}% to {100 * interval[1]:.1f}%"
