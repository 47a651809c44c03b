"""A folder of traces that `load_dataset` and StructureAwareTrainer take as it is: Parquet, card, picture."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ..problems.decontamination import Decontamination
from ..problems.loading import BENCHMARKS
from ..teachers import Example, Trace, TraceSet
from ..templates import render_template

LENGTHS_FILE = "lengths.png"
REMOVALS_FILE = "decontamination.jsonl"
_CARD_REMOVALS = 30  # shown in the card; all of them are in REMOVALS_FILE

Columns = dict[str, list[Any]]


def write_trace_dataset(
    out: str | Path,
    collected: TraceSet,
    examples: Sequence[Example],
    *,
    title: str = "Verified reasoning traces",
    command: str | None = None,
    decontamination: Decontamination[Any] | None = None,
    not_checked: Mapping[str, str] | None = None,
    licence: str | None = None,
) -> Path:
    """Write the data set and its card into `out`, replacing an earlier one there.

    Configs: "traces", every reply with its verdict; "sft", prompt and completion ready for TRL, with a `rejected`
    column where some reply failed; "pairs", prompt, chosen and rejected. A config without rows is left out, and rows
    of validation problems are a split "validation".

    Args:
        collected: from `teachers.collect_traces`.
        examples: from `teachers.select_examples`.
        command: how to make it again, shown in the card.
        decontamination: what was removed before; `not_checked` names benchmarks that could not be compared, and why.
        licence: of the data set; by default the licence of the problems, where they share one.

    Returns:
        the path of the card, README.md.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    rows = {
        "sft": [_sft_row(example) for example in examples],
        "pairs": [_pair_row(example) for example in examples if example.rejected is not None],
        "traces": [_trace_row(trace, collected) for trace in collected.traces],
    }
    counts = {name: _write_config(out, name, table) for name, table in rows.items()}
    _write_removals(out / REMOVALS_FILE, decontamination)
    _draw_lengths(out / LENGTHS_FILE, examples)
    card = _card(out, collected, examples, counts, title, command, decontamination, not_checked or {}, licence)
    _replace(out / "README.md", card.encode())
    return out / "README.md"


def _sft_row(example: Example) -> dict[str, Any]:
    trace = example.trace
    return {
        "split": example.problem.split,
        "prompt": example.prompt,
        "completion": example.completion,
        "rejected": example.rejected,
        "problem_id": example.problem.id,
        "source": example.problem.source,
        "teacher": trace.teacher,
        "recipe": trace.recipe,
        "role": example.role,
        "syntax_match": trace.syntax,
        "dataflow_match": trace.dataflow,
    }


def _pair_row(example: Example) -> dict[str, Any]:
    return {
        "split": example.problem.split,
        "prompt": example.prompt,
        "chosen": example.completion,
        "rejected": example.rejected,
        "problem_id": example.problem.id,
        "teacher": example.trace.teacher,
    }


def _trace_row(trace: Trace, collected: TraceSet) -> dict[str, Any]:
    problem = collected.problems[trace.problem_id]
    verdict = trace.verdict
    return {
        "split": problem.split,
        "problem_id": trace.problem_id,
        "problem_split": problem.split,
        "source": problem.source,
        "teacher": trace.teacher,
        "revision": trace.revision,
        "recipe": trace.recipe,
        "sampling": json.dumps(dict(trace.sampling), sort_keys=True),
        "sample": trace.sample,
        "messages": [dict(message) for message in trace.messages],
        "reasoning": trace.reasoning,
        "code": trace.code,
        "extraction": trace.extraction,
        "status": verdict.status if verdict else "unknown",
        "failed_test": verdict.failed_test if verdict else None,
        "reason": verdict.reason if verdict else None,
        "syntax_match": trace.syntax,
        "dataflow_match": trace.dataflow,
        "tokens": trace.tokens,
        "finish_reason": trace.finish_reason,
        "key": trace.key,
    }


def _write_config(out: Path, name: str, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Write one config; returns the number of rows by split."""
    folder = out / name
    if folder.is_dir():
        shutil.rmtree(folder)
    splits: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        row = dict(row)
        split = "validation" if row.pop("split") == "validation" else "train"
        splits.setdefault(split, []).append(row)
    for split, part in splits.items():
        folder.mkdir(exist_ok=True)
        _write_parquet(folder, split, part)
    return {split: len(splits[split]) for split in ("train", "validation") if split in splits}


def _write_parquet(folder: Path, split: str, rows: list[dict[str, Any]]) -> None:
    """Write one file, named by its content.

    datasets 5.2 keys its cache of a local folder by the configs in the card, not by the files' times or sizes: under a
    constant name or a pattern, loading a folder that was written anew gives the old rows.
    """
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.Table.from_pylist(rows, schema=_schema(rows[0]))
    partial = folder / f"{split}.partial"
    parquet.write_table(table, partial)
    content = hashlib.sha256(partial.read_bytes()).hexdigest()[:12]
    os.replace(partial, folder / f"{split}-{content}.parquet")


def _schema(row: Mapping[str, Any]) -> Any:
    # said out loud: a column that happens to be all null must not become of type null
    import pyarrow

    special = {
        "sample": pyarrow.int64(),
        "tokens": pyarrow.int64(),
        "syntax_match": pyarrow.float64(),
        "dataflow_match": pyarrow.float64(),
        "messages": pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])),
    }
    return pyarrow.schema([(name, special.get(name, pyarrow.string())) for name in row])


def _write_removals(path: Path, decontamination: Decontamination[Any] | None) -> None:
    if decontamination is None or not decontamination.removals:
        path.unlink(missing_ok=True)
        return
    lines = [json.dumps(vars(removal), ensure_ascii=False) for removal in decontamination.removals]
    _replace(path, ("\n".join(lines) + "\n").encode())


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def _draw_lengths(path: Path, examples: Sequence[Example]) -> None:
    """Histograms of the lengths of reasoning and code, in characters, one row a recipe."""
    path.unlink(missing_ok=True)
    if not examples:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    recipes = sorted({example.trace.recipe for example in examples})
    figure = Figure(figsize=(9, 3), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (label, measure) in zip(figure.subplots(1, 2), _LENGTHS.items(), strict=True):
        lengths = [[measure(e) for e in examples if e.trace.recipe == recipe] for recipe in recipes]
        axes.hist(lengths, bins=30, stacked=True, label=recipes)
        axes.set_xlabel(f"{label}, characters")
        axes.set_ylabel("examples")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False)
    partial = path.with_name(path.name + ".partial")
    figure.savefig(partial, format="png", dpi=110, metadata={"Software": None})
    os.replace(partial, path)


_LENGTHS = {
    "reasoning": lambda example: len(example.trace.reasoning),
    "code": lambda example: len(example.trace.code or ""),
}


def _card(
    out: Path,
    collected: TraceSet,
    examples: Sequence[Example],
    counts: Mapping[str, Mapping[str, int]],
    title: str,
    command: str | None,
    decontamination: Decontamination[Any] | None,
    not_checked: Mapping[str, str],
    licence: str | None,
) -> str:
    sources = _sources(collected)
    licences = {source["licence"] for source in sources}
    removals = decontamination.removals if decontamination else []
    return render_template(
        "trace_dataset.md.jinja",
        title=title,
        counts=counts,
        files={name: {split: _file_of(out / name, split) for split in parts} for name, parts in counts.items()},
        licence=licence or (licences.pop() if len(licences) == 1 else "other"),
        size_category=_size_category(sum(counts.get("traces", {}).values())),
        sources=sources,
        teachers=_teachers(collected),
        prompts=_prompts(collected.traces),
        pass_rates=collected.pass_rates(),
        statuses=dict(collected.statuses().most_common()),
        num_problems=len(collected.problems),
        num_solved=len({trace.problem_id for trace in collected.traces if trace.passed}),
        num_refused=len(collected.refused),
        tokens=_tokens(collected.traces),
        lengths=_length_table(examples),
        lengths_file=LENGTHS_FILE if examples else None,
        example=_middling(examples),
        num_rejected=sum(example.rejected is not None for example in examples),
        decontamination=decontamination,
        removals=[_shortened(removal) for removal in removals[:_CARD_REMOVALS]],
        removals_file=REMOVALS_FILE,
        not_checked=not_checked,
        command=command,
        versions={name: metadata.version(name) for name in ("hf-structdistill", "tree-sitter-python", "datasets")},
    )


def _file_of(folder: Path, split: str) -> str:
    (file,) = folder.glob(f"{split}-*.parquet")
    return file.name


def _middling(examples: Sequence[Example]) -> Example | None:
    """The example of median length."""
    ordered = sorted(examples, key=lambda example: len(example.prompt + example.completion))
    return ordered[len(ordered) // 2] if ordered else None


def _size_category(rows: int) -> str:
    for bound, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if rows < bound:
            return name
    return "n>1M"


def _sources(collected: TraceSet) -> list[dict[str, Any]]:
    """One row a source of problems: its Hub id, licence, citation, revision, hash and splits."""
    found: dict[str, dict[str, Any]] = {}
    for problem in collected.problems.values():
        benchmark = BENCHMARKS.get(problem.source)
        entry = found.setdefault(
            problem.source,
            {
                "name": problem.source,
                "hub_id": benchmark.hub_id if benchmark else None,
                "licence": benchmark.licence if benchmark else "unknown",
                "citation": benchmark.citation if benchmark else "",
                "revision": problem.metadata.get("revision"),
                "content_hash": problem.metadata.get("content_hash"),
                "splits": {},
            },
        )
        entry["splits"][problem.split or "none"] = entry["splits"].get(problem.split or "none", 0) + 1
    return list(found.values())


def _teachers(collected: TraceSet) -> list[dict[str, Any]]:
    """One row for each teacher, revision, recipe and sampling, with the number of replies."""
    found: dict[tuple[Any, ...], int] = {}
    for trace in collected.traces:
        sampling = json.dumps(dict(trace.sampling), sort_keys=True) if trace.sampling else ""
        key = (trace.teacher, trace.revision, trace.recipe, sampling)
        found[key] = found.get(key, 0) + 1
    names = ("teacher", "revision", "recipe", "sampling")
    return [{**dict(zip(names, key, strict=True)), "replies": replies} for key, replies in found.items()]


def _prompts(traces: Iterable[Trace]) -> list[dict[str, Any]]:
    """For each teacher and recipe the first prompt, verbatim."""
    shown: dict[tuple[str, str], dict[str, Any]] = {}
    for trace in traces:
        entry = {"teacher": trace.teacher, "recipe": trace.recipe, "problem_id": trace.problem_id}
        shown.setdefault((trace.teacher, trace.recipe), {**entry, "messages": trace.messages})
    return list(shown.values())


def _tokens(traces: Sequence[Trace]) -> dict[str, int]:
    reported = [trace.tokens for trace in traces if trace.tokens is not None]
    return {"total": sum(reported), "replies": len(reported), "of": len(traces)}


def _length_table(examples: Sequence[Example]) -> list[dict[str, Any]]:
    rows = []
    for label, measure in _LENGTHS.items():
        lengths = sorted(measure(example) for example in examples)
        if lengths:
            middle, high = lengths[len(lengths) // 2], lengths[int(len(lengths) * 0.95)]
            rows.append({"part": label, "median": middle, "p95": high, "longest": lengths[-1]})
    return rows


def _shortened(removal: Any) -> dict[str, Any]:
    def cell(text: str) -> str:
        line = " ".join(text.split()).replace("|", "\\|").replace("`", "'")
        return line if len(line) <= 120 else line[:119] + "…"

    return {**vars(removal), "text": cell(removal.text), "matched_text": cell(removal.matched_text)}
