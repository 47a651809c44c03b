"""The card of a trace data set: what a stranger has to know before training on it."""

from __future__ import annotations

import bisect
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ..files import replace_file
from ..problems.decontamination import Decontamination
from ..problems.loading import BENCHMARKS
from ..teachers import Example, Trace, TraceSet
from ..templates import render_template

LENGTHS_FILE = "lengths.png"
REMOVALS_FILE = "decontamination.jsonl"
SIZES = "1K 10K 100K 1M 10M 100M 1B 10B 100B 1T".split()

NAMES = {"mbpp": "MBPP", "mbpp_plus": "MBPP+", "humaneval": "HumanEval", "seed": "hf-structdistill's seed problems"}


@dataclass(frozen=True)
class Part:
    """One Parquet file: a split of a config."""

    file: str
    rows: int


@dataclass(frozen=True)
class Facts:
    """What a card is made of; see `write_trace_dataset`. `files` is config -> split -> part."""

    collected: TraceSet
    examples: Sequence[Example]
    files: Mapping[str, Mapping[str, Part]]
    title: str | None
    command: str | None
    decontamination: Decontamination[Any] | None
    not_checked: Mapping[str, str]
    licence: str | None


def render_card(facts: Facts) -> str:
    """The text of README.md."""
    collected, examples = facts.collected, facts.examples
    sources = _sources(collected)
    licences = {source["licence"] for source in sources}
    removals = facts.decontamination.removals if facts.decontamination else []
    return render_template(
        "trace_dataset.md.jinja",
        title=facts.title or f"Verified reasoning traces for {' and '.join(source['title'] for source in sources)}",
        files=facts.files,
        licence=facts.licence or (licences.pop() if len(licences) == 1 else "other"),
        size_category=size_category(sum(part.rows for part in facts.files.get("traces", {}).values())),
        sources=sources,
        teachers=_teachers(collected),
        prompts=_prompts(collected.traces),
        pass_rates=collected.pass_rates(),
        statuses=dict(collected.statuses().most_common()),
        num_problems=len(collected.problems),
        num_solved=len({trace.problem_id for trace in collected.traces if trace.passed}),
        num_refused=len(collected.refused),
        num_unsolvable=len({trace.problem_id for trace in collected.traces if trace.sampling.get("unsolvable")}),
        usage=collected.usage,
        lengths=_length_table(examples),
        lengths_file=LENGTHS_FILE if examples else None,
        example=_middling(examples),
        chosen=_chosen(examples),
        num_rejected=sum(example.rejected is not None for example in examples),
        decontamination=facts.decontamination,
        names={**{source["name"]: source["title"] for source in sources}, **NAMES},
        removals=[_shortened(removal) for removal in removals],
        removals_file=REMOVALS_FILE,
        not_checked=facts.not_checked,
        command=facts.command,
        versions={name: metadata.version(name) for name in ("hf-structdistill", "tree-sitter-python", "datasets")},
    )


def draw_lengths(path: Path, examples: Sequence[Example]) -> None:
    """Histograms of the lengths of reasoning and code, in characters, stacked by recipe."""
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
    figure.axes[-1].legend(frameon=False)
    replace_file(path, lambda partial: figure.savefig(partial, format="png", dpi=110, metadata={"Software": None}))


_LENGTHS = {
    "reasoning": lambda example: len(example.trace.reasoning),
    "code": lambda example: len(example.trace.code or ""),
}


def _length_table(examples: Sequence[Example]) -> list[dict[str, Any]]:
    rows = []
    for label, measure in _LENGTHS.items():
        lengths = sorted(measure(example) for example in examples)
        if lengths:
            middle, high = lengths[len(lengths) // 2], lengths[int(len(lengths) * 0.95)]
            rows.append({"part": label, "median": middle, "p95": high, "longest": lengths[-1]})
    return rows


def _middling(examples: Sequence[Example]) -> Example | None:
    """The example of median length."""
    ordered = sorted(examples, key=lambda example: len(example.prompt + example.completion))
    return ordered[len(ordered) // 2] if ordered else None


def _chosen(examples: Iterable[Example]) -> list[dict[str, Any]]:
    """Where the examples come from: one row for each teacher and recipe."""
    found = Counter((e.trace.teacher, e.trace.recipe, e.role) for e in examples)
    pairs = sorted({(teacher, recipe) for teacher, recipe, _ in found})
    return [
        {"teacher": t, "recipe": r, "best": found[t, r, "best"], "alternative": found[t, r, "alternative"]}
        for t, r in pairs
    ]


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows, one of those that `DatasetCardData` lists."""
    above = bisect.bisect_right([10**power for power in range(3, 13)], rows)
    if above in (0, len(SIZES)):
        return "n>1T" if above else "n<1K"
    return f"{SIZES[above - 1]}<n<{SIZES[above]}"


def _sources(collected: TraceSet) -> list[dict[str, Any]]:
    """One row a source of problems: its Hub id, licence, citation, revision, hash and splits."""
    found: dict[str, dict[str, Any]] = {}
    for problem in collected.problems.values():
        benchmark = BENCHMARKS.get(problem.source)
        entry = found.setdefault(
            problem.source,
            {
                "name": problem.source,
                "title": NAMES.get(problem.source, problem.source),
                "hub_id": benchmark.hub_id if benchmark else None,
                "licence": benchmark.licence if benchmark else "unknown",
                "citation": benchmark.citation if benchmark else "",
                "revision": problem.metadata.get("revision"),
                "content_hash": problem.metadata.get("content_hash"),
                "splits": {},
            },
        )
        entry["splits"][problem.split] = entry["splits"].get(problem.split, 0) + 1
    return list(found.values())


def _teachers(collected: TraceSet) -> list[dict[str, Any]]:
    """One row for each teacher, revision, recipe and sampling, with the number of replies."""
    found: Counter[tuple[Any, ...]] = Counter()
    for trace in collected.traces:
        sampling = {name: value for name, value in trace.sampling.items() if name != "unsolvable"}  # said by itself
        written = json.dumps(sampling, sort_keys=True) if sampling else ""
        found[trace.teacher, trace.revision, trace.recipe, written] += 1
    names = ("teacher", "revision", "recipe", "sampling")
    return [{**dict(zip(names, key, strict=True)), "replies": replies} for key, replies in found.items()]


def _prompts(traces: Iterable[Trace]) -> list[dict[str, Any]]:
    """For each teacher and recipe the first prompt, verbatim."""
    shown: dict[tuple[str, str], dict[str, Any]] = {}
    for trace in traces:
        entry = {"teacher": trace.teacher, "recipe": trace.recipe, "problem_id": trace.problem_id}
        shown.setdefault((trace.teacher, trace.recipe), {**entry, "messages": trace.messages})
    return list(shown.values())


def _shortened(removal: Any) -> dict[str, Any]:
    def short(text: str) -> str:
        line = " ".join(text.split())
        return line if len(line) <= 120 else line[:119] + "…"

    return {**vars(removal), "text": short(removal.text), "matched_text": short(removal.matched_text)}
